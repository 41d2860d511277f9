"""Requests that need a signature: the gate for EC2's signed documents, and JWTs for guests."""

from a9fe.metadata.ec2 import identity_paths, paths
from a9fe.metadata.identity import jwt
from a9fe.metadata.table import LATEST
from a9fe.metadata.tree import parts_of
from a9fe.metadata_service.guest_actions import Action
from a9fe.metadata_service.guest_call import Gate, GuestCall, Outcome
from a9fe.metadata_service.identity.key_ring import KeyRing
from a9fe.runtime import metrics
from a9fe.wire.limits import IDENTITY_TOKENS
from a9fe.wire.message import Answer
from a9fe.wire.rate_limit import RateLimiter
from a9fe.wire.refusals import Refusal

JWT_HEADERS = ((b"content-type", b"application/jwt"), (b"cache-control", b"no-store"))
TOKEN_PARTS = ("openstack", LATEST, "identity")


def is_signed_path(path: str) -> bool:
    """Return whether the path is, or is below, EC2's signed documents at a version with them."""
    parts = parts_of(path) or ()
    parts = parts[1:] if parts[:1] == (paths.EC2.name,) else parts
    below = parts[1:3] == tuple(identity_paths.PATH.split("/"))
    return below and paths.canonical(parts[0]) == LATEST


def require_key(keys: KeyRing) -> Gate:
    """Refuse requests for signed documents while there is no key to sign with."""

    def check(call: GuestCall) -> Refusal | None:
        if is_signed_path(call.path) and keys.current() is None:
            return Refusal.IDENTITY_NOT_READY
        return None

    return check


def token_actions(keys: KeyRing, token_lifetime: int) -> tuple[Action, ...]:
    """Return GET and HEAD of /openstack/latest/identity?audience=...&nonce=..., rate-limited.

    `token_lifetime` in seconds.
    """
    limiter = RateLimiter((IDENTITY_TOKENS,))

    def run(call: GuestCall) -> Outcome:
        audience, nonce = _parameter(call, "audience"), _parameter(call, "nonce", optional=True)
        if audience is None:
            return Refusal.BAD_AUDIENCE
        if nonce is None:
            return Refusal.BAD_NONCE
        key = keys.current()
        if key is None:
            return Refusal.IDENTITY_NOT_READY
        if limiter.wait((call.view.instance.id, ""), keys.clock.monotonic()):
            return Refusal.RATE_LIMITED
        grant = jwt.Grant(
            issuer=key.issuer,
            audience=audience,
            nonce=nonce,
            issued_at=int(call.now),
            lifetime=token_lifetime,
        )
        metrics.IDENTITY_TOKENS.inc()
        token = jwt.issue(jwt.claims(call.view, grant), key.id, key.signature)
        return Answer(status=200, headers=JWT_HEADERS, body=token)

    return tuple(Action(method=m, parts=TOKEN_PARTS, run=run) for m in (b"GET", b"HEAD"))


def _parameter(call: GuestCall, name: str, *, optional: bool = False) -> str | None:
    """Return the single value of a parameter in printable ASCII; None if it is not valid."""
    values = call.query.get(name, ("",) if optional else ())
    if len(values) != 1:
        return None
    [value] = values
    if not value:
        return value if optional else None
    valid = value.isascii() and value.isprintable() and len(value) <= jwt.PARAMETER_MAX
    return value if valid else None
