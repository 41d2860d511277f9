"""The headers that only hops may set, and the signature (docs/contracts/trusted-headers.md).

A guest's copy of any of them is removed, in any case and with `_` for `-`, before ours is set.
"""

import hashlib
import hmac
from collections.abc import Iterable
from functools import lru_cache

from a9fe.wire.message import Headers, Request

FORWARDED_FOR = b"x-forwarded-for"
ROUTER_ID = b"x-neutron-router-id"
NETWORK_ID = b"x-neutron-network-id"
OVN_NETWORK_ID = b"x-ovn-network-id"  # the network id, from the OVN metadata agent's proxy
INSTANCE_ID = b"x-instance-id"
TENANT_ID = b"x-tenant-id"
SIGNATURE = b"x-instance-id-signature"
REQUEST_ID = b"x-a9fe-request-id"
PORT_ID = b"x-a9fe-port-id"
GUEST_FORWARDED = b"x-a9fe-guest-forwarded"  # "1": the guest had sent an X-Forwarded-For
PROBE = b"x-a9fe-probe"  # "1": an operator's probe, not counted as a guest's request
OUR_HOP = b"x-a9fe-hop"  # "1": the sender removes X-A9fe headers from the answer
INTERFACE_PORT = (
    b"x-a9fe-interface-port"  # the port of the router interface that the request came in by
)
WIRED_NETWORK = b"x-a9fe-network"  # the network that this interface is wired to
LOCAL_ADDRESS = b"x-a9fe-local-address"  # the address that the guest connected to
GUEST_MAC = b"x-a9fe-mac"  # the source MAC of the SYN
CONNECTED_AT = b"x-a9fe-connected-at"  # CLOCK_MONOTONIC, ms; not after the first answer of a port
# Of an answer:
HOP_LIMIT = b"x-a9fe-hop-limit"  # the IP TTL of the answer's packets
OWNER = b"x-a9fe-port"  # the port that the answer belongs to, "/" and its instance
CLOSE = b"x-a9fe-close"  # "1": close the guest's connection after this answer

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

# Headers of one connection, never passed on (RFC 9110 section 7.6.1).
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


HEADERS_REMEMBERED = 256  # of requests, at most 16 KiB each: most clients repeat theirs
NAMES_REMEMBERED = 1024  # header names whose meaning is cached: guests send the same few


def folded(name: bytes) -> bytes:
    """Return a header's name as hops compare it: some servers take `_` for `-`."""
    return name.lower().replace(b"_", b"-")


def is_trusted(name: bytes) -> bool:
    """Return whether only our hops may set this header."""
    plain = folded(name)
    return plain in TRUSTED or plain.startswith(OUR_PREFIX)


def strip_trusted(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Return the headers without those that a guest must not set."""
    return tuple(pair for pair in headers if not is_trusted(pair[0]))


@lru_cache(maxsize=NAMES_REMEMBERED)
def is_for_hops(name: bytes) -> bool:
    """Return whether a header of an answer is for our hops only. Guests get the request id."""
    plain = folded(name)
    return plain.startswith(OUR_PREFIX) and plain != REQUEST_ID


@lru_cache(maxsize=NAMES_REMEMBERED)
def is_forwarded_for(name: bytes) -> bool:
    """Return whether this is an X-Forwarded-For header."""
    return folded(name) == FORWARDED_FOR


def is_from_our_hop(request: Request) -> bool:
    """Return whether the sender removes X-A9fe headers from the answer."""
    return bool(request.values(OUR_HOP))


def end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Return the headers without those of one connection, Connection's list included."""
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
    """Return the headers that a hop passes on: `strip_trusted` of `end_to_end`, but faster.

    A hop must add its own headers after this: a guest could list them in Connection.
    """
    kept = [pair for pair in headers if _goes_on(pair[0])]
    if b"connection" in [name for name, _ in headers]:
        return [pair for pair in end_to_end(headers) if pair in kept]
    return kept


@lru_cache(maxsize=HEADERS_REMEMBERED)
def has_forwarded_for(headers: Headers) -> bool:
    """Return whether one of them is an X-Forwarded-For header."""
    return any([is_forwarded_for(name) for name, _ in headers])


@lru_cache(maxsize=HEADERS_REMEMBERED)
def first_hops_own(headers: Headers) -> Headers:
    """Return `guests_own`, remembered: guests repeat their headers; a hop's request id differs."""
    return tuple(guests_own(headers))


def is_forwarded(request: Request) -> bool:
    """Return whether the guest sent an X-Forwarded-For header.

    Our proxy says so in a header. Neutron's appends to the guest's header, or sends both.
    """
    forwarded = request.values(FORWARDED_FOR)
    several = len(forwarded) > 1 or any(b"," in value for value in forwarded)
    return several or bool(request.values(GUEST_FORWARDED))


def sign(secret: str, instance_id: str) -> str:
    """Return Nova's signature: hex HMAC-SHA256 of the instance id. `secret` must not be empty."""
    if not secret:
        raise ValueError("metadata_proxy_shared_secret is empty")
    return hmac.new(secret.encode(), instance_id.encode(), hashlib.sha256).hexdigest()


def verify(secret: str, instance_id: str, signature: bytes) -> bool:
    """Return whether the signature is right, in constant time. Never raises."""
    return hmac.compare_digest(sign(secret, instance_id).encode(), signature)
