"""Tokens of IMDSv2: made and checked without state, by every service that has the shared secret.

A token is base64url of version, key epoch, expiry and an HMAC-SHA256 over these, the instance and
its port. Each epoch has a key of its own, derived from the secret; the present one's and the one
before are believed, so keys rotate and nothing is kept. Pure.
"""

import base64
import hashlib
import hmac
import re
import struct
from dataclasses import dataclass, field
from enum import Enum

from a9fe.model.errors import InvalidInput
from a9fe.model.guest import MetadataOptions
from a9fe.model.resources import Instance
from a9fe.model.rules.scheduling import seconds

TTL_MIN, TTL_MAX = 1, 21600  # seconds (EC2's)
EPOCH = TTL_MAX  # seconds of a key: a token outlives the one it was made with by one at most
VERSION = 1
OFF, REQUIRED = "off", "required"

_HEAD = struct.Struct(">BIQ")  # version, epoch, expiry in UNIX seconds
_MAC_BYTES = 32
_TEXT = re.compile(rb"[0-9A-Za-z_-]{60}")  # 45 bytes: no padding, so one text for each token
_KEY_OF = b"a9fe imds key\0"
_MAC_OF = b"a9fe imds token\0"


class Flaw(Enum):
    """Why a token is not believed."""

    MALFORMED = "it is no token of ours"
    EPOCH = "its key is used no longer, or not yet"
    FORGED = "it was altered, or made for another instance or port"
    EXPIRED = "it has expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Whom a token is for. `port_id` is "" where the hop before does not say which port asks."""

    instance_id: str
    port_id: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """Makes and checks tokens with `secret`, which must not be empty."""

    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        """An empty secret would sign for anybody."""
        if not self.secret:
            raise InvalidInput("metadata_proxy_shared_secret", "", "a secret that is not empty")

    def issue(self, holder: Holder, ttl: int, now: float) -> bytes:
        """A token that is good for `ttl` seconds (TTL_MIN to TTL_MAX) from `now`, UNIX seconds."""
        epoch = _epoch(now)
        head = _HEAD.pack(VERSION, epoch, int(now) + ttl)
        return base64.urlsafe_b64encode(head + self._mac(epoch, head, holder))

    def check(self, token: bytes, holder: Holder, now: float) -> Flaw | None:
        """Why the token is not good for that holder at `now`; None: it is. Never raises."""
        if not _TEXT.fullmatch(token):
            return Flaw.MALFORMED
        raw = base64.urlsafe_b64decode(token)
        head, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        version, epoch, expiry = _HEAD.unpack(head)
        if version != VERSION:
            return Flaw.MALFORMED
        if epoch not in {_epoch(now), _epoch(now) - 1}:
            return Flaw.EPOCH
        if not hmac.compare_digest(mac, self._mac(epoch, head, holder)):
            return Flaw.FORGED
        return None if now < expiry else Flaw.EXPIRED

    def _mac(self, epoch: int, head: bytes, holder: Holder) -> bytes:
        """The two ids are told apart by the length of the first."""
        instance, port = holder.instance_id.encode(), holder.port_id.encode()
        said = b"".join((_MAC_OF, head, len(instance).to_bytes(4), instance, port))
        return _hmac(_hmac(self.secret.encode(), _KEY_OF + epoch.to_bytes(4)), said)


def _epoch(now: float) -> int:
    return int(now) // EPOCH


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, hashlib.sha256)


def ttl_of(value: bytes) -> int | None:
    """The seconds that a header asks for; None: no whole number from TTL_MIN to TTL_MAX."""
    if not value.isdigit() or len(value) > len(str(TTL_MAX)):
        return None
    ttl = int(value)
    return ttl if TTL_MIN <= ttl <= TTL_MAX else None


def mode_of(instance: Instance, cloud: MetadataOptions, now: float) -> str:
    """The instance's HTTP_TOKENS at `now`: its own options over the cloud's.

    The cloud's time after which tokens are demanded does not concern an instance with
    http_tokens of its own.
    """
    own = instance.metadata_options
    after = own.http_tokens_required_after
    if after is None and not own.http_tokens:
        after = cloud.http_tokens_required_after
    if after is not None and now >= seconds(instance.created_at) + after:
        return REQUIRED
    return own.http_tokens or cloud.http_tokens


def hop_limit_of(instance: Instance, cloud: MetadataOptions) -> int:
    """IP hops that an answer with a token lives; 0: as the kernel has it."""
    own = instance.metadata_options.http_put_response_hop_limit
    return own or cloud.http_put_response_hop_limit
