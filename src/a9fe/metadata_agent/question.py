"""What the proxy's headers ask: which address, on which network or router. Pure."""

import ipaddress
from dataclasses import dataclass
from functools import lru_cache

from a9fe.wire.message import Request
from a9fe.wire.refusals import Refusal
from a9fe.wire.shares import Holder
from a9fe.wire.trusted import FORWARDED_FOR, NETWORK_ID, ROUTER_ID

_ADDRESSES_REMEMBERED = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Whose port has `address` (canonical text)? Exactly one of the two ids is not ""."""

    address: str
    network_id: str = ""
    router_id: str = ""


def parse_question(request: Request) -> Question | Refusal:
    """Read the headers, which the proxy alone has set."""
    networks, routers, forwarded = [], [], []
    for name, value in request.headers:
        if name == NETWORK_ID:
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
    text = id_.decode("latin-1").lower()
    return (
        Question(address=address, network_id=text)
        if networks
        else Question(address=address, router_id=text)
    )


def asker_of(request: Request) -> Holder:
    """Who asks, as far as turns are concerned: network or router, and address, as the hop before
    wrote them, right or not."""
    ids = request.values(NETWORK_ID) or request.values(ROUTER_ID) or [b""]
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
