"""IMDSv2 tokens: issued and checked without state, by every service that has the shared secret.

A token is base64url of version, key epoch, expiry and an HMAC-SHA256 over these, the instance and
its port. Each epoch has its own key, derived from the secret. Tokens of the present and of the
previous epoch are accepted, so keys rotate and nothing is stored. Pure.
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
EPOCH = TTL_MAX  # seconds of a key: a token expires before the end of the next epoch
VERSION = 1
OFF, REQUIRED = "off", "required"

_HEAD = struct.Struct(">BIQ")  # version, epoch, expiry in UNIX seconds
_MAC_BYTES = 32
_TEXT = re.compile(rb"[0-9A-Za-z_-]{60}")  # 45 bytes: no padding, one text per token
_KEY_OF = b"a9fe imds key\0"
_MAC_OF = b"a9fe imds token\0"


class Flaw(Enum):
    """Why a token is not accepted."""

    MALFORMED = "it is not one of our tokens"
    EPOCH = "its key is no longer or not yet in use"
    FORGED = "it was altered, or issued to another instance or port"
    EXPIRED = "it has expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The instance and port that a token is issued to; `port_id` is "" if the port is unknown."""

    instance_id: str
    port_id: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """Issues and checks tokens with `secret`, which must not be empty."""

    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse an empty secret, with which anybody could sign. Raises InvalidInput."""
        if not self.secret:
            raise InvalidInput("metadata_proxy_shared_secret", "", "a secret that is not empty")

    def issue(self, holder: Holder, ttl: int, now: float) -> bytes:
        """Return a token valid for `ttl` seconds (TTL_MIN to TTL_MAX) from `now`, UNIX seconds."""
        epoch = _epoch(now)
        head = _HEAD.pack(VERSION, epoch, int(now) + ttl)
        return base64.urlsafe_b64encode(head + self._mac(epoch, head, holder))

    def check(self, token: bytes, holder: Holder, now: float) -> Flaw | None:
        """Return why the token is not valid for that holder at `now`, None if it is."""
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
        """Return the MAC. The length of the first id separates the two ids."""
        instance, port = holder.instance_id.encode(), holder.port_id.encode()
        message = b"".join((_MAC_OF, head, len(instance).to_bytes(4), instance, port))
        return _hmac(_hmac(self.secret.encode(), _KEY_OF + epoch.to_bytes(4)), message)


def _epoch(now: float) -> int:
    return int(now) // EPOCH


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, hashlib.sha256)


def ttl_of(value: bytes) -> int | None:
    """Return the header's seconds, None if not a whole number from TTL_MIN to TTL_MAX."""
    if not value.isdigit() or len(value) > len(str(TTL_MAX)):
        return None
    ttl = int(value)
    return ttl if TTL_MIN <= ttl <= TTL_MAX else None


def mode_of(instance: Instance, cloud: MetadataOptions, now: float) -> str:
    """Return the instance's HTTP_TOKENS at `now`: its own options, else the cloud's.

    The cloud's http_tokens_required_after does not apply to an instance with its own
    http_tokens.
    """
    own = instance.metadata_options
    after = own.http_tokens_required_after
    if after is None and not own.http_tokens:
        after = cloud.http_tokens_required_after
    if after is not None and now >= seconds(instance.created_at) + after:
        return REQUIRED
    return own.http_tokens or cloud.http_tokens


def hop_limit_of(instance: Instance, cloud: MetadataOptions) -> int:
    """Return the IP hop limit of an answer with a token; 0: the kernel's default."""
    own = instance.metadata_options.http_put_response_hop_limit
    return own or cloud.http_put_response_hop_limit
