"""Parses the proxy's headers into the key that the requesting port is looked up by. Pure."""

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache

from a9fe.wire.message import Listener, Request, without_mapping
from a9fe.wire.refusals import Refusal
from a9fe.wire.shares import Client
from a9fe.wire.trusted import (
    CONNECTED_AT,
    FORWARDED_FOR,
    GUEST_MAC,
    INTERFACE_PORT,
    LOCAL_ADDRESS,
    NETWORK_ID,
    OUR_HOP,
    OVN_NETWORK_ID,
    ROUTER_ID,
    WIRED_NETWORK,
)

NETWORK_IDS = (NETWORK_ID, OVN_NETWORK_ID)
_ADDRESSES_REMEMBERED = 4096
_KEYS_REMEMBERED = 4096  # some 1 KiB each
_MILLISECONDS = re.compile(rb"[0-9]{1,15}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterInterface:
    """The router interface that a request arrived on, as the L3 agent wired it.

    `port_id` is the interface's port, `network_id` the network that it is wired to,
    `local_address` the address that the connection was accepted on (canonical text).
    """

    port_id: str
    network_id: str
    local_address: str


@dataclass(slots=True, kw_only=True, unsafe_hash=True)  # frozen ones take 1 us longer to make
class LookupKey:
    """The key to the port with `guest_address` (canonical text) on a network or behind a router.

    Exactly one of `network_id` and `router_id` is not "". A proxy that is not ours
    (`by_our_proxy`) sends neither `interface` (None) nor `guest_mac`, the source MAC of the
    connection (""), nor `connected_at`, the time of its handshake in seconds of CLOCK_MONOTONIC
    (None).
    """

    guest_address: str
    network_id: str = ""
    router_id: str = ""
    interface: RouterInterface | None = None
    guest_mac: str = ""
    connected_at: float | None = None
    by_our_proxy: bool = False


def parse_lookup_key(request: Request) -> LookupKey | Refusal:
    """Parse the headers. The proxy has removed the guest's own copies of them."""
    by_name = dict(request.headers)
    if len(by_name) == len(request.headers):  # no header is repeated: our proxy sends none twice
        forwarded = [by_name[FORWARDED_FOR]] if FORWARDED_FOR in by_name else []
        networks = [by_name[name] for name in NETWORK_IDS if name in by_name]
        routers = [by_name[ROUTER_ID]] if ROUTER_ID in by_name else []
    else:
        forwarded = request.values(FORWARDED_FOR)
        networks = [value for name in NETWORK_IDS for value in request.values(name)]
        routers = request.values(ROUTER_ID)
    if len(networks) + len(routers) > 1:
        return Refusal.BOTH_IDS
    return _lookup_key(
        networks[0] if networks else b"",
        routers[0] if routers else b"",
        forwarded[-1] if forwarded else b"",
        (
            by_name.get(INTERFACE_PORT),
            by_name.get(WIRED_NETWORK, b""),
            by_name.get(LOCAL_ADDRESS, b""),
        ),
        (by_name.get(GUEST_MAC, b""), by_name.get(CONNECTED_AT), OUR_HOP in by_name),
    )


def key_of_connection(request: Request, listener: Listener) -> LookupKey | Refusal:
    """Return the key of a guest's request on a listener in this process.

    It equals the key that is parsed from the headers that our proxy sends for this request.
    """
    address = _address(without_mapping(request.client_address).encode("ascii"))
    if address is None:
        return Refusal.BAD_ADDRESS
    id = listener.id.lower()
    connected_at = request.connected_at
    return LookupKey(
        guest_address=address,
        network_id=id if listener.kind == "network" else "",
        router_id=id if listener.kind == "router" else "",
        interface=_interface_of(request, listener) if listener.port_id else None,
        guest_mac=request.client_mac.lower(),
        connected_at=int(connected_at * 1000) / 1000 if connected_at else None,
        by_our_proxy=True,
    )


def _interface_of(request: Request, listener: Listener) -> RouterInterface:
    local = _address(without_mapping(request.local_address).encode("ascii"))
    return RouterInterface(
        port_id=listener.port_id.lower(),
        network_id=listener.network_id.lower(),
        local_address=local or "",
    )


@lru_cache(maxsize=_KEYS_REMEMBERED)
def _lookup_key(
    network: bytes,
    router: bytes,
    forwarded: bytes,
    interface: tuple[bytes | None, bytes, bytes],
    connection: tuple[bytes, bytes | None, bool],
) -> LookupKey | Refusal:
    """Return the key of these header values; cached, because a guest repeats them."""
    mac, connected_at, by_our_proxy = connection
    if not network and not router:
        return Refusal.NO_ID
    address = parse_address(forwarded)
    if address is None:
        return Refusal.BAD_ADDRESS
    return LookupKey(
        guest_address=address,
        network_id=_id(network),
        router_id=_id(router),
        interface=_interface(*interface),
        guest_mac=_id(mac),
        connected_at=_seconds(connected_at),
        by_our_proxy=by_our_proxy,
    )


def _id(value: bytes) -> str:
    return value.decode("latin-1").lower()


def _interface(port_id: bytes | None, network_id: bytes, local: bytes) -> RouterInterface | None:
    if port_id is None:
        return None
    return RouterInterface(
        port_id=_id(port_id), network_id=_id(network_id), local_address=_address(local) or ""
    )


def _seconds(value: bytes | None) -> float | None:
    """Return the header's seconds; 0.0, the oldest time and so the strict one, if malformed."""
    if value is None:
        return None
    return int(value) / 1000 if _MILLISECONDS.fullmatch(value) else 0.0


def client_of_request(request: Request) -> Client:
    """Return the client for fair queueing: network or router id and guest address, as sent."""
    by_name = dict(request.headers)  # the last value of a repeated header
    id_ = by_name.get(NETWORK_ID) or by_name.get(ROUTER_ID) or by_name.get(OVN_NETWORK_ID, b"")
    return id_.decode("latin-1"), by_name.get(FORWARDED_FOR, b"").decode("latin-1")


def parse_address(value: bytes) -> str | None:
    """Return the last address of X-Forwarded-For in canonical text, None if it is not an address.

    Our proxy sends exactly one. Neutron's haproxy appends its own to the guest's values, which
    may be forged; only the last is the proxy's.
    """
    return _address(value.rpartition(b",")[2].strip())


@lru_cache(maxsize=_ADDRESSES_REMEMBERED)
def _address(value: bytes) -> str | None:
    try:
        address = ipaddress.ip_address(value.decode("ascii").partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)
