"""Parses the proxy's headers: the address, and its network or router. Pure."""

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache

from a9fe.wire.message import Request
from a9fe.wire.refusals import Refusal
from a9fe.wire.shares import Client
from a9fe.wire.trusted import (
    CONNECTED_AT,
    FORWARDED_FOR,
    GUEST_MAC,
    INTERFACE_PORT,
    LOCAL_ADDRESS,
    NETWORK_ID,
    OVN_NETWORK_ID,
    ROUTER_ID,
    WIRED_NETWORK,
)

NETWORK_IDS = (NETWORK_ID, OVN_NETWORK_ID)
_ADDRESSES_REMEMBERED = 4096
_QUESTIONS_REMEMBERED = 4096  # some 1 KiB each
_MILLISECONDS = re.compile(rb"[0-9]{1,15}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """The router interface that a request came in by, as the L3 agent wired it.

    `port_id` is the interface's port, `network_id` the network that it is wired to, `local` the
    address that the connection was accepted on (canonical text).
    """

    port_id: str
    network_id: str
    local: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A look-up of the port with `address` (canonical text). Exactly one of the two ids is not "".

    A hop that is not ours leaves out `wire` (None), `mac`, the connection's source MAC (""), and
    `connected_at`, its handshake in seconds of CLOCK_MONOTONIC (None).
    """

    address: str
    network_id: str = ""
    router_id: str = ""
    wire: Wire | None = None
    mac: str = ""
    connected_at: float | None = None


def parse_question(request: Request) -> Question | Refusal:
    """Read the headers; the proxy has removed the guest's own."""
    told = dict(request.headers)
    if len(told) == len(request.headers):  # none twice, as our proxy sends them
        forwarded = [told[FORWARDED_FOR]] if FORWARDED_FOR in told else []
        named = [told[name] for name in NETWORK_IDS if name in told]
        routers = [told[ROUTER_ID]] if ROUTER_ID in told else []
    else:
        forwarded = request.values(FORWARDED_FOR)
        named = [value for name in NETWORK_IDS for value in request.values(name)]
        routers = request.values(ROUTER_ID)
    if len(named) + len(routers) > 1:
        return Refusal.BOTH_IDS
    return _question(
        named[0] if named else b"",
        routers[0] if routers else b"",
        forwarded[-1] if forwarded else b"",
        (told.get(INTERFACE_PORT), told.get(WIRED_NETWORK, b""), told.get(LOCAL_ADDRESS, b"")),
        told.get(GUEST_MAC, b""),
        told.get(CONNECTED_AT),
    )


@lru_cache(maxsize=_QUESTIONS_REMEMBERED)
def _question(
    network: bytes,
    router: bytes,
    forwarded: bytes,
    wire: tuple[bytes | None, bytes, bytes],
    mac: bytes,
    connected_at: bytes | None,
) -> Question | Refusal:
    """The Question of these values; cached, as a guest repeats them."""
    if not network and not router:
        return Refusal.NO_ID
    address = parse_address(forwarded)
    if address is None:
        return Refusal.BAD_ADDRESS
    return Question(
        address=address,
        network_id=_id(network),
        router_id=_id(router),
        wire=_wire(*wire),
        mac=_id(mac),
        connected_at=_seconds(connected_at),
    )


def _id(value: bytes) -> str:
    return value.decode("latin-1").lower()


def _wire(port_id: bytes | None, network_id: bytes, local: bytes) -> Wire | None:
    if port_id is None:
        return None
    return Wire(port_id=_id(port_id), network_id=_id(network_id), local=_address(local) or "")


def _seconds(value: bytes | None) -> float | None:
    """Seconds of a header; 0.0, the oldest connection, if unreadable: the stricter reading."""
    if value is None:
        return None
    return int(value) / 1000 if _MILLISECONDS.fullmatch(value) else 0.0


def client_of_request(request: Request) -> Client:
    """The client for turns: network or router id and address, as the proxy sent them."""
    told = dict(request.headers)  # of several the last one
    id_ = told.get(NETWORK_ID) or told.get(ROUTER_ID) or told.get(OVN_NETWORK_ID, b"")
    return id_.decode("latin-1"), told.get(FORWARDED_FOR, b"").decode("latin-1")


def parse_address(value: bytes) -> str | None:
    """The address that the proxy accepted from: the last one, as proxies append theirs.

    Ours sets a single one. Neutron's haproxy adds a header line after those that the guest sent,
    which are lies or not, but not the proxy's.
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
