"""Signing for instances: the keys' life, EC2's identity documents, and JWTs for guests who ask.

Each service signs with keys of its own, which never leave its host; it signs with none before a
server has taken its public half to be published.
"""

import asyncio
import base64
import os
from collections.abc import Awaitable, Callable
from functools import lru_cache
from pathlib import Path

import structlog

from a9fe.api_client.agent_calls import AgentCalls
from a9fe.api_client.errors import ApiError
from a9fe.metadata.ec2 import identity_paths as ec2_identity
from a9fe.metadata.ec2 import paths as ec2
from a9fe.metadata.identity import documents as identity
from a9fe.metadata.identity import keys as identity_keys
from a9fe.metadata.identity.documents import Grant
from a9fe.metadata.identity.keys import KeyTimes, Policy
from a9fe.metadata.identity.signed import Identity, Signed
from a9fe.metadata.table import LATEST
from a9fe.metadata.tree import parts_of
from a9fe.metadata_service.guest_actions import Action
from a9fe.metadata_service.guest_call import GuestCall, Outcome
from a9fe.metadata_service.identity_keys import KeyDirectory, SigningKey, make
from a9fe.model.errors import A9feError
from a9fe.model.rules.scheduling import timestamp
from a9fe.runtime import metrics
from a9fe.runtime.clock import Clock, SystemClock
from a9fe.runtime.config import Config
from a9fe.runtime.tasks import Backoff, jittered
from a9fe.wire.message import Answer
from a9fe.wire.rate_limit import RateLimiter, Window
from a9fe.wire.refusals import Refusal

log = structlog.get_logger()

LINE = 64  # characters of a line of base64, as openssl reads it
KEPT = 2048  # signed documents, some 4 KB each
CONFLICT = 409  # the key was revoked, or is another host's: another one is made
STEP = 60.0  # s between two looks at the keys
RETRY = Backoff(first=0.2, ceiling=10.0)
UNUSUAL = 5  # failures in a row, some 3 s: more than starting beside the server explains
JWT_HEADERS = ((b"content-type", b"application/jwt"), (b"cache-control", b"no-store"))
RATE = Window(limit=40, duration=10.0)  # of one instance: a token costs ten plain answers
KEYS_PATH = "/a9fe/v1/identity/keys"
TOKEN_PARTS = ("openstack", LATEST, "identity")
ARCHITECTURES = {"aarch64": "arm64"}
"""EC2's names for machines, where they differ from the kernel's."""


Publish = Callable[[SigningKey], Awaitable[str]]
"""Tells a server of a key; the issuer in whose name it signs. Raises A9feError."""


def publisher(calls: AgentCalls) -> Publish:
    """Publishing with the credential of the host."""

    async def publish(key: SigningKey) -> str:
        body = {
            "host": calls.host,
            "jwk": key.jwk,
            "certificate": key.certificate_pem,
            "expires_at": timestamp(key.times.expires_at),
        }
        answer = await calls.call("PUT", f"{KEYS_PATH}/{key.id}", {"key": body})
        issuer = answer.get("issuer") if isinstance(answer, dict) else None
        if not isinstance(issuer, str) or not issuer:
            raise ApiError(502, "", "the server names no issuer of identities")
        return issuer

    return publish


class Keeper:
    """This service's keys. What signs is decided by metadata.identity.keys alone."""

    def __init__(
        self, directory: KeyDirectory, publish: Publish, policy: Policy, clock: Clock
    ) -> None:
        """Reads the keys that are there. Call it as the user that signs."""
        self._directory = directory
        self._tell = publish
        self._policy = policy
        self.clock = clock
        self._keys = {key.id: key for key in directory.load()}
        self._said_at: dict[str, float] = {}
        self._signed = lru_cache(KEPT)(self._sign)

    @property
    def _times(self) -> list[KeyTimes]:
        return [key.times for key in self._keys.values()]

    def current(self) -> SigningKey | None:
        """The key to sign with now; None: none is published yet, or all have ended."""
        found = identity_keys.to_sign_with(self._times, self.clock.now(), self._policy)
        return None if found is None else self._keys[found.id]

    def sign(self, document: bytes) -> Signed:
        """The document's signatures; made once for each document and key."""
        key = self.current()
        if key is None:
            raise A9feError("there is no key to sign with")
        return self._signed(key.id, document)

    def _sign(self, id: str, document: bytes) -> Signed:
        key = self._keys[id]
        return Signed(
            signature=in_lines(key.signature(document)), pkcs7=in_lines(key.signed_data(document))
        )

    def identity(self, machine: str) -> Identity:
        """What the tree signs with, on a machine as the kernel names it."""
        return Identity(
            architecture=ARCHITECTURES.get(machine, machine),
            ready=lambda: self.current() is not None,
            sign=self.sign,
        )

    async def run(self) -> None:
        """Keep the keys for ever; cancel it to stop."""
        failures = 0
        while True:
            reason = await self.step()
            failures = failures + 1 if reason else 0
            if failures == UNUSUAL:
                log.warning("identity key not published, trying on", reason=reason)
            await asyncio.sleep(jittered(RETRY, failures) if failures else STEP)

    async def step(self) -> str:
        """Do what is due now; why a key could not be published, else ""."""
        now = self.clock.now()
        self._forget([times.id for times in identity_keys.to_forget(self._times, now)])
        if identity_keys.is_next_due(self._times, now, self._policy):
            begin, end = identity_keys.times_of_next(self._times, now, self._policy)
            key = await asyncio.to_thread(make, begin, end, now)
            self._keep(key)
            log.info("identity key made", kid=key.id, signs_from=timestamp(begin))
        reasons = [await self._publish(key) for key in list(self._keys.values())]
        signer = self.current()
        metrics.IDENTITY_KEY_EXPIRES.set(signer.times.expires_at if signer else 0)
        return next(filter(None, reasons), "")

    def _forget(self, ids: list[str]) -> None:
        self._directory.forget(ids)
        self._keys = {id: key for id, key in self._keys.items() if id not in ids}

    def _keep(self, key: SigningKey) -> None:
        self._directory.save(key)
        self._keys[key.id] = key

    async def _publish(self, key: SigningKey) -> str:
        now = self.clock.now()
        if now < self._said_at.get(key.id, float("-inf")) + identity_keys.PUBLISH_AGAIN:
            return ""
        try:
            issuer = await self._tell(key)
        except A9feError as error:
            if isinstance(error, ApiError) and error.status == CONFLICT:
                self._forget([key.id])
            return str(error)
        said = key.published(self.clock.now(), issuer)
        if said != key:
            self._keep(said)
            log.info("identity key published", kid=key.id, issuer=issuer)
        self._said_at[key.id] = now
        return ""


def path_of(config: Config) -> str:
    """The directory of this host's keys."""
    return os.path.join(config.state_path, "identity")


def keeper(config: Config, calls: AgentCalls) -> Keeper:
    """The keeper of this host's keys, as `config` says."""
    directory = KeyDirectory(Path(path_of(config)), config.host)
    policy = Policy(
        lifetime=config.identity_key_lifetime, token_lifetime=config.identity_token_lifetime
    )
    return Keeper(directory, publisher(calls), policy, SystemClock())


def in_lines(data: bytes) -> bytes:
    """Base64, without a newline at its end (EC2)."""
    text = base64.b64encode(data)
    return b"\n".join(text[at : at + LINE] for at in range(0, len(text), LINE))


# -- What guests ask -----------------------------------------------------------------------


def is_signed_path(path: str) -> bool:
    """Whether what is at or below the path is signed, at a version that has it."""
    parts = parts_of(path) or ()
    parts = parts[1:] if parts[:1] == (ec2.EC2.name,) else parts
    below = parts[1:3] == tuple(ec2_identity.PATH.split("/"))
    return below and ec2.canonical(parts[0]) == LATEST


def guarded(
    gate: Callable[[GuestCall], Refusal | None], keeper: Keeper
) -> Callable[[GuestCall], Refusal | None]:
    """The gate, which holds back who asks for signatures while none can be made."""

    def check(call: GuestCall) -> Refusal | None:
        refusal = gate(call)
        if refusal is None and is_signed_path(call.path) and keeper.current() is None:
            return Refusal.IDENTITY_NOT_READY
        return refusal

    return check


def actions(keeper: Keeper, token_lifetime: int) -> tuple[Action, ...]:
    """GET and HEAD /openstack/latest/identity?audience=...&nonce=..., so often by one instance."""
    limiter = RateLimiter((RATE,))

    def run(call: GuestCall) -> Outcome:
        audience, nonce = _parameter(call, "audience"), _parameter(call, "nonce", optional=True)
        if audience is None:
            return Refusal.BAD_AUDIENCE
        if nonce is None:
            return Refusal.BAD_NONCE
        key = keeper.current()
        if key is None:
            return Refusal.IDENTITY_NOT_READY
        if limiter.wait((call.view.instance.id, ""), keeper.clock.monotonic()):
            return Refusal.RATE_LIMITED
        grant = Grant(
            issuer=key.issuer,
            audience=audience,
            nonce=nonce,
            issued_at=int(call.now),
            lifetime=token_lifetime,
        )
        metrics.IDENTITY_TOKENS.inc()
        token = identity.jwt(identity.claims(call.view, grant), key.id, key.signature)
        return Answer(status=200, headers=JWT_HEADERS, body=token)

    return tuple(Action(method=m, parts=TOKEN_PARTS, run=run) for m in (b"GET", b"HEAD"))


def _parameter(call: GuestCall, name: str, *, optional: bool = False) -> str | None:
    """The one value of a parameter, in printable ASCII; None where it is not good."""
    values = call.query.get(name, ("",) if optional else ())
    if len(values) != 1:
        return None
    [value] = values
    if not value:
        return value if optional else None
    good = value.isascii() and value.isprintable() and len(value) <= identity.PARAMETER_MAX
    return value if good else None
