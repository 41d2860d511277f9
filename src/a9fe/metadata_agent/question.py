"""What the proxy's headers ask: whose address, on which network or router. Pure."""

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache

from a9fe.wire.message import Request
from a9fe.wire.refusals import Refusal
from a9fe.wire.shares import Holder
from a9fe.wire.trusted import (
    CONNECTED_AT,
    FORWARDED_FOR,
    INTERFACE_PORT,
    LOCAL_ADDRESS,
    NETWORK_ID,
    OVN_NETWORK_ID,
    PEER_MAC,
    ROUTER_ID,
    WIRED_NETWORK,
)

_ADDRESSES_REMEMBERED = 4096
_MILLISECONDS = re.compile(rb"[0-9]{1,15}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """The router's interface that a request came in by, as who made it says.

    `port_id` is the interface's port, `network_id` the network that it is wired to, `local` the
    address that the connection was accepted on (canonical text).
    """

    port_id: str
    network_id: str
    local: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Whose port has `address` (canonical text)? Exactly one of the two ids is not "".

    What a hop that is not ours leaves out: `wire` of a router's request (None), `mac` that the
    connection came from (""), and when it was made, by CLOCK_MONOTONIC in seconds (None).
    """

    address: str
    network_id: str = ""
    router_id: str = ""
    wire: Wire | None = None
    mac: str = ""
    connected_at: float | None = None


def parse_question(request: Request) -> Question | Refusal:
    """Read the headers, which the hop before alone has set."""
    networks, routers, forwarded = [], [], []
    for name, value in request.headers:
        if name in (NETWORK_ID, OVN_NETWORK_ID):
            networks.append(value)
        elif name == ROUTER_ID:
            routers.append(value)
        elif name == FORWARDED_FOR:
            forwarded.append(value)
    if len(networks) + len(routers) > 1:
        return Refusal.BOTH_IDS
    id_ = (networks or routers or [b""])[0]
    if not id_:
        return Refusal.NO_ID
    address = parse_address(forwarded)
    if address is None:
        return Refusal.BAD_ADDRESS
    text = _id(id_)
    told = dict(request.headers)
    return Question(
        address=address,
        network_id=text if networks else "",
        router_id="" if networks else text,
        wire=_wire(told),
        mac=told.get(PEER_MAC, b"").decode("latin-1").lower(),
        connected_at=_seconds(told.get(CONNECTED_AT)),
    )


def _id(value: bytes) -> str:
    return value.decode("latin-1").lower()


def _wire(told: dict[bytes, bytes]) -> Wire | None:
    port_id = told.get(INTERFACE_PORT)
    if port_id is None:
        return None
    return Wire(
        port_id=_id(port_id),
        network_id=_id(told.get(WIRED_NETWORK, b"")),
        local=_address(told.get(LOCAL_ADDRESS, b"")) or "",
    )


def _seconds(value: bytes | None) -> float | None:
    """What cannot be read is the oldest connection: that is the stricter reading."""
    if value is None:
        return None
    return int(value) / 1000 if _MILLISECONDS.fullmatch(value) else 0.0


def asker_of(request: Request) -> Holder:
    """Who asks, as far as turns are concerned: network or router, and address, as the hop before
    wrote them, right or not."""
    named = (NETWORK_ID, OVN_NETWORK_ID, ROUTER_ID)
    ids = [value for name in named for value in request.values(name)] or [b""]
    addresses = request.values(FORWARDED_FOR) or [b""]
    return ids[-1].decode("latin-1"), addresses[-1].decode("latin-1")


def parse_address(values: list[bytes]) -> str | None:
    """The address that the proxy accepted from: the last one, as proxies append theirs.

    Ours sets a single one. Neutron's haproxy adds a header line after those that the guest sent,
    which are lies or not, but not the proxy's.
    """
    return _address(values[-1].rpartition(b",")[2].strip()) if values else None


@lru_cache(maxsize=_ADDRESSES_REMEMBERED)
def _address(value: bytes) -> str | None:
    try:
        address = ipaddress.ip_address(value.decode("ascii").partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)
