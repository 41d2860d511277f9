"""Identity tokens: JWTs about an instance, made and checked without I/O.

A token is a JWS in compact form (RFC 7515) with the registered claims of RFC 7519 and the private
claim `a9fe`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from a9fe.metadata import identifiers
from a9fe.metadata.instance_view import InstanceView
from a9fe.metadata.rendered import Json
from a9fe.model.errors import A9feError
from a9fe.model.jwk import ALGORITHM, decoded, encoded

PARAMETER_MAX = 255  # characters of an audience or a nonce
JTI_BYTES = 16
TOKEN_MAX = 16384  # characters; longer tokens are not parsed
LEEWAY = 60  # seconds that clocks may differ


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The parameters of one token. Times in UNIX seconds, `lifetime` in seconds; `nonce` or ""."""

    issuer: str
    audience: str
    nonce: str
    issued_at: int
    lifetime: int


class InvalidToken(A9feError):
    """The token must not be accepted; the text says why."""


def claims(view: InstanceView, grant: Grant) -> dict[str, Json]:
    """Return the token's claims about the instance."""
    instance = view.instance
    nonce: dict[str, Json] = {"nonce": grant.nonce} if grant.nonce else {}
    return {
        "iss": grant.issuer,
        "sub": instance.id,
        "aud": grant.audience,
        "iat": grant.issued_at,
        "nbf": grant.issued_at,
        "exp": grant.issued_at + grant.lifetime,
        "jti": view.random_bytes(JTI_BYTES).hex(),
        **nonce,
        "a9fe": {
            "instance": {
                "uuid": instance.id,
                "name": instance.name,
                "project_id": instance.project_id,
                "availability_zone": instance.availability_zone,
                "flavor": instance.flavor,
                "image": instance.image,
                "instance_id": identifiers.instance_id(instance),
                "ips": [*view.all_addresses(4), *view.all_addresses(6)],
                "created_at": instance.created_at,
            }
        },
    }


def issue(content: Mapping[str, Json], kid: str, sign: Callable[[bytes], bytes]) -> bytes:
    """Return the token with these claims. `sign` returns the RS256 signature of its argument."""
    header = {"alg": ALGORITHM, "kid": kid, "typ": "JWT"}
    signed = f"{_part(header)}.{_part(content)}".encode("ascii")
    return signed + b"." + encoded(sign(signed)).encode("ascii")


def _part(value: object) -> str:
    return encoded(json.dumps(value, separators=(",", ":")).encode("ascii"))


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedToken:
    """The parts of a token whose signature has not been verified yet.

    `signed` are the bytes that `signature` must be the signature of.
    """

    kid: str
    claims: Mapping[str, object]
    signed: bytes
    signature: bytes


def parse(text: str) -> UnverifiedToken:
    """Split a token into its parts. Raises InvalidToken."""
    parts = text.split(".")
    if len(parts) != len(("header", "claims", "signature")) or len(text) > TOKEN_MAX:
        raise InvalidToken("it is not three parts separated by dots")
    try:
        header, content = (json.loads(decoded(part)) for part in parts[:2])
        signature = decoded(parts[2])
    except (ValueError, RecursionError) as error:
        raise InvalidToken(f"it cannot be decoded: {error}") from error
    if not isinstance(header, dict) or not isinstance(content, dict):
        raise InvalidToken("its header or its claims are not a JSON object")
    if header.get("alg") != ALGORITHM or "crit" in header:
        raise InvalidToken(f"its algorithm is {header.get('alg')!r}, not {ALGORITHM}")
    signed = f"{parts[0]}.{parts[1]}".encode("ascii")
    kid = str(header.get("kid", ""))
    return UnverifiedToken(kid=kid, claims=content, signed=signed, signature=signature)


def check(content: Mapping[str, object], *, issuer: str, audience: str, now: float) -> None:
    """Check the claims of a verified token at `now`, UNIX seconds. Raises InvalidToken."""
    if content.get("iss") != issuer:
        raise InvalidToken(f"it was issued by {content.get('iss')!r}, not {issuer!r}")
    if content.get("aud") != audience:
        raise InvalidToken(f"it is for {content.get('aud')!r}, not {audience!r}")
    begin, end = content.get("nbf"), content.get("exp")
    if not isinstance(begin, int) or not isinstance(end, int):
        raise InvalidToken("it has no validity period (nbf and exp)")
    if now >= end:
        raise InvalidToken(f"it expired {int(now - end)} s ago")
    if now + LEEWAY < begin:
        raise InvalidToken(f"it becomes valid in {int(begin - now)} s")
