"""This service's identity keys: made, published at the server, used and removed in time.

Each service signs with its own keys, whose private halves never leave its host. It signs with a
key only after a server has published the public half.
"""

import asyncio
import base64
import os
from collections.abc import Awaitable, Callable
from functools import lru_cache
from pathlib import Path

import structlog

from a9fe.api_client.agent_client import AgentClient
from a9fe.api_client.errors import ApiError
from a9fe.metadata.document_signer import DocumentSigner, Signatures
from a9fe.metadata.identity import key_schedule
from a9fe.metadata.identity.key_schedule import KeyTimes, Policy
from a9fe.metadata_service.identity.signing_keys import KeyDirectory, SigningKey, generate
from a9fe.model.errors import A9feError
from a9fe.model.rules.scheduling import timestamp
from a9fe.runtime import metrics
from a9fe.runtime.clock import Clock, SystemClock
from a9fe.runtime.config import Config
from a9fe.runtime.tasks import Backoff, jittered

log = structlog.get_logger()

LINE = 64  # characters a line of base64, as openssl reads it
KEPT = 2048  # signed documents, some 4 KB each
CONFLICT = 409  # the key was revoked or belongs to another host: generate another one
STEP = 60.0  # s between two checks of the keys
RETRY = Backoff(first=0.2, ceiling=10.0)
UNUSUAL = 5  # failures in a row, some 3 s: longer than a server takes to start
KEYS_PATH = "/a9fe/v1/identity/keys"
ARCHITECTURES = {"aarch64": "arm64"}
"""EC2's names of architectures that the kernel names differently."""


Publish = Callable[[SigningKey], Awaitable[str]]
"""Publish a key at the server and return the issuer for its tokens. Raises A9feError."""


def publisher(calls: AgentClient) -> Publish:
    """Publish with the host's credential."""

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


class KeyRing:
    """This service's keys. Only metadata.identity.key_schedule decides which key signs."""

    def __init__(
        self, directory: KeyDirectory, publish: Publish, policy: Policy, clock: Clock
    ) -> None:
        """Load the keys of `directory`. Call it as the user that signs."""
        self._directory = directory
        self._publish_key = publish
        self._policy = policy
        self.clock = clock
        self._keys = {key.id: key for key in directory.load()}
        self._published_at: dict[str, float] = {}
        self._signatures = lru_cache(KEPT)(self._sign)

    @property
    def _times(self) -> list[KeyTimes]:
        return [key.times for key in self._keys.values()]

    def current(self) -> SigningKey | None:
        """Return the key to sign with now; None if none is published yet, or all have expired."""
        found = key_schedule.to_sign_with(self._times, self.clock.now(), self._policy)
        return None if found is None else self._keys[found.id]

    def sign(self, document: bytes) -> Signatures:
        """Return the document's signatures, computed once for each document and key."""
        key = self.current()
        if key is None:
            raise A9feError("there is no key to sign with")
        return self._signatures(key.id, document)

    def _sign(self, id: str, document: bytes) -> Signatures:
        key = self._keys[id]
        return Signatures(
            signature=in_lines(key.signature(document)), pkcs7=in_lines(key.signed_data(document))
        )

    def document_signer(self, machine: str) -> DocumentSigner:
        """Return the signer for the trees. `machine` is the kernel's name of the architecture."""
        return DocumentSigner(
            architecture=ARCHITECTURES.get(machine, machine),
            ready=lambda: self.current() is not None,
            sign=self.sign,
        )

    async def run(self) -> None:
        """Make, publish and remove keys when that is due, until cancelled."""
        failures = 0
        while True:
            reason = await self.step()
            failures = failures + 1 if reason else 0
            if failures == UNUSUAL:
                log.warning("identity key not published, still trying", reason=reason)
            await asyncio.sleep(jittered(RETRY, failures) if failures else STEP)

    async def step(self) -> str:
        """Make, publish and remove the keys that are due. Return why publishing failed, or ""."""
        now = self.clock.now()
        self._remove([times.id for times in key_schedule.expired(self._times, now)])
        if key_schedule.is_next_due(self._times, now, self._policy):
            begin, end = key_schedule.times_of_next(self._times, now, self._policy)
            key = await asyncio.to_thread(generate, begin, end, now)
            self._save(key)
            log.info("identity key made", kid=key.id, signs_from=timestamp(begin))
        reasons = [await self._publish(key) for key in list(self._keys.values())]
        signer = self.current()
        metrics.IDENTITY_KEY_EXPIRES.set(signer.times.expires_at if signer else 0)
        return next(filter(None, reasons), "")

    def _remove(self, ids: list[str]) -> None:
        self._directory.remove(ids)
        self._keys = {id: key for id, key in self._keys.items() if id not in ids}

    def _save(self, key: SigningKey) -> None:
        self._directory.save(key)
        self._keys[key.id] = key

    async def _publish(self, key: SigningKey) -> str:
        now = self.clock.now()
        if now < self._published_at.get(key.id, float("-inf")) + key_schedule.PUBLISH_AGAIN:
            return ""
        try:
            issuer = await self._publish_key(key)
        except A9feError as error:
            if isinstance(error, ApiError) and error.status == CONFLICT:
                self._remove([key.id])
            return str(error)
        published = key.published(self.clock.now(), issuer)
        if published != key:
            self._save(published)
            log.info("identity key published", kid=key.id, issuer=issuer)
        self._published_at[key.id] = now
        return ""


def keys_path(config: Config) -> str:
    """Return the directory of this host's keys."""
    return os.path.join(config.state_path, "identity")


def key_ring_of(config: Config, calls: AgentClient) -> KeyRing:
    """Return the key ring of this host that `config` describes."""
    directory = KeyDirectory(Path(keys_path(config)), config.host)
    policy = Policy(
        lifetime=config.identity_key_lifetime, token_lifetime=config.identity_token_lifetime
    )
    return KeyRing(directory, publisher(calls), policy, SystemClock())


def in_lines(data: bytes) -> bytes:
    """Return base64 in lines, without a final newline (EC2)."""
    text = base64.b64encode(data)
    return b"\n".join(text[at : at + LINE] for at in range(0, len(text), LINE))
