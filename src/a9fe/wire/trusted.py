"""The headers that hops believe, and the signature (docs/contracts/trusted-headers.md).

A guest's copy of any of them is removed in any case and in underscore form before ours is set.
"""

import hashlib
import hmac
from collections.abc import Iterable
from functools import lru_cache

from a9fe.wire.message import Headers, Request

FORWARDED_FOR = b"x-forwarded-for"
ROUTER_ID = b"x-neutron-router-id"
NETWORK_ID = b"x-neutron-network-id"
OVN_NETWORK_ID = b"x-ovn-network-id"  # the same, from the OVN metadata agent's proxy
INSTANCE_ID = b"x-instance-id"
TENANT_ID = b"x-tenant-id"
SIGNATURE = b"x-instance-id-signature"
REQUEST_ID = b"x-a9fe-request-id"
PORT_ID = b"x-a9fe-port-id"
GUEST_FORWARDED = b"x-a9fe-guest-forwarded"  # "1": the guest had sent an X-Forwarded-For
PROBE = b"x-a9fe-probe"  # "1": an operator's look, not the guest's request: not counted as its
OUR_HOP = b"x-a9fe-hop"  # "1": who asks removes X-A9fe headers from the answer before the guest
INTERFACE_PORT = b"x-a9fe-interface-port"  # the router's port by whose device the request came in
WIRED_NETWORK = b"x-a9fe-network"  # the network that device was wired to
LOCAL_ADDRESS = b"x-a9fe-local-address"  # of the accepted socket
GUEST_MAC = b"x-a9fe-mac"  # the MAC that the connection came from
CONNECTED_AT = b"x-a9fe-connected-at"  # CLOCK_MONOTONIC, ms; until the first answer of a port
# Of an answer:
HOP_LIMIT = b"x-a9fe-hop-limit"  # the IP hops that its packets may live
OWNER = b"x-a9fe-port"  # the port whose answer it is, "/" and its instance
CLOSE = b"x-a9fe-close"  # "1": the guest's connection is closed after it

TRUSTED = frozenset(
    {
        FORWARDED_FOR,
        ROUTER_ID,
        NETWORK_ID,
        OVN_NETWORK_ID,
        INSTANCE_ID,
        TENANT_ID,
        SIGNATURE,
        b"x-metadata-provider",
        b"x-metadata-provider-signature",
    }
)
OUR_PREFIX = b"x-a9fe-"

# RFC 9110 section 7.6.1: these concern one connection only and are never passed on.
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"content-length",
        b"expect",
    }
)


NAMES_REMEMBERED = 1024  # of headers: guests send the same few


def is_trusted(name: bytes) -> bool:
    """Whether `name` (any case, `_` for `-`) is one that only our hops may set."""
    plain = name.lower().replace(b"_", b"-")
    return plain in TRUSTED or plain.startswith(OUR_PREFIX)


def strip_trusted(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """The headers without any that a guest must not set."""
    return tuple(pair for pair in headers if not is_trusted(pair[0]))


@lru_cache(maxsize=NAMES_REMEMBERED)
def is_for_hops(name: bytes) -> bool:
    """Whether a header of an answer is for a hop of ours alone; the request's id is for guests."""
    plain = name.lower().replace(b"_", b"-")
    return plain.startswith(OUR_PREFIX) and plain != REQUEST_ID


def is_from_our_hop(request: Request) -> bool:
    """Whether who asks takes X-A9fe headers out of the answer."""
    return bool(request.values(OUR_HOP))


def end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """The headers without those of one connection, and without what Connection lists."""
    pairs = tuple(headers)
    listed = {
        token.strip().lower()
        for name, value in pairs
        if name == b"connection"
        for token in value.split(b",")
    }
    gone = HOP_BY_HOP | listed
    return tuple(pair for pair in pairs if pair[0] not in gone)


@lru_cache(maxsize=NAMES_REMEMBERED)
def _goes_on(name: bytes) -> bool:
    return name not in HOP_BY_HOP and not is_trusted(name)


def guests_own(headers: Headers) -> list[tuple[bytes, bytes]]:
    """What a hop passes on of a request: `strip_trusted` of `end_to_end`, but fast.

    A hop sets its own headers after this, never before: a guest could list them in Connection.
    """
    kept = [pair for pair in headers if _goes_on(pair[0])]
    if b"connection" in [name for name, _ in headers]:
        return [pair for pair in end_to_end(headers) if pair in kept]
    return kept


def is_forwarded(request: Request) -> bool:
    """Whether the request came through a proxy of the guest's.

    Our proxy says so; another hop before appends to what the guest had sent, or sends both.
    """
    forwarded = request.values(FORWARDED_FOR)
    several = len(forwarded) > 1 or any(b"," in value for value in forwarded)
    return several or bool(request.values(GUEST_FORWARDED))


def sign(secret: str, instance_id: str) -> str:
    """Nova's signature: hex HMAC-SHA256 of the instance id. `secret` must not be empty."""
    if not secret:
        raise ValueError("metadata_proxy_shared_secret is empty")
    return hmac.new(secret.encode(), instance_id.encode(), hashlib.sha256).hexdigest()


def verify(secret: str, instance_id: str, signature: bytes) -> bool:
    """Whether `signature` is ours for `instance_id`; in constant time, never raises on bytes."""
    return hmac.compare_digest(sign(secret, instance_id).encode(), signature)
