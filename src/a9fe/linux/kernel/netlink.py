"""Reading the kernel's tables by netlink: links, addresses, routes, the nftables generation.

Changes use pyroute2 (linux.kernel.links), except for the mark of a new namespace. Reading does
not: an observation reads three tables in each namespace of a host, and an IPRoute costs 2 ms each
time, compared with 0.1 ms here. All functions read the calling thread's namespace. Cost: O(objects
in the namespace) for a table, O(1) for `find`, `loopback` and `ruleset_generation`.
Sources: rtnetlink(7), linux/if_link.h, linux/netfilter/nf_tables.h.
"""

import errno
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

NLMSG_ERROR = 2
NLMSG_DONE = 3
NLM_F_REQUEST = 0x001
NLM_F_ACK = 0x004
NLM_F_DUMP = 0x300
NLM_F_DUMP_INTR = 0x010
NLA_TYPE_MASK = 0x3FFF
HEADER = struct.Struct("=IHHII")
RECEIVE_SIZE = 1 << 18

RTM_GETLINK = 18
RTM_SETLINK = 19
RTM_GETADDR = 22
RTM_GETROUTE = 26
LINK = struct.Struct("=BxHiII")
ADDRESS = struct.Struct("=BBBBI")
ROUTE = struct.Struct("=BBBBBBBBI")
IFF_UP = 1
IFA_FLAGS = 8
IFA_F_DADFAILED, IFA_F_TENTATIVE = 0x08, 0x40
IFLA_IFNAME = 3
IFLA_IFALIAS = 20
IFLA_GROUP = 27
LOOPBACK = 1  # index of the loopback in every namespace
IFLA_INFO_SLAVE_KIND = 4
IFLA_INFO_SLAVE_DATA = 5
IFLA_BRPORT_ISOLATED = 33
RT_TABLE_MAIN = 254
RTN_UNICAST = 1
RTPROT_KERNEL = 2
RTPROT_RA = 9

NETLINK_NETFILTER = 12
NFT_MSG_GETGEN = 10 << 8 | 16
NFTA_GEN_ID = 1

Attributes = dict[int, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A device. `kind` is "" for a physical one; `peer` is the index of a veth's peer, else 0.

    `stp` is set for bridges, `isolated` for their ports. `alias` and `group` are the mark
    (plan.mark).
    """

    index: int
    name: str
    kind: str
    mac: str
    mtu: int
    up: bool
    master: int
    peer: int
    stp: bool = False
    alias: str = ""
    group: int = 0
    isolated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAddress:
    """An address in CIDR form on the device of that index.

    `tentative`: the kernel looks for a duplicate (IPv6); `duplicate`: it has found one.
    """

    index: int
    cidr: str
    tentative: bool = False
    duplicate: bool = False

    @property
    def usable(self) -> bool:
        """Whether the kernel uses the address."""
        return not (self.tentative or self.duplicate)


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticRoute:
    """A unicast route of the main table that the kernel did not make. `via` "" means on-link."""

    destination: str
    via: str
    index: int


def links() -> list[Link]:
    """All devices."""
    return [_link(body) for body in _dump(RTM_GETLINK, LINK.pack(0, 0, 0, 0, 0))]


def find(name: str) -> Link | None:
    """The device of that name; None if there is none."""
    request = LINK.pack(0, 0, 0, 0, 0) + _attribute(IFLA_IFNAME, name)
    try:
        (body,) = _ask(socket.NETLINK_ROUTE, RTM_GETLINK, NLM_F_REQUEST, request)
    except OSError as error:
        if error.errno == errno.ENODEV:
            return None
        raise
    return _link(body)


def loopback() -> Link:
    """The loopback of the calling thread's namespace."""
    request = LINK.pack(0, 0, LOOPBACK, 0, 0)
    (body,) = _ask(socket.NETLINK_ROUTE, RTM_GETLINK, NLM_F_REQUEST, request)
    return _link(body)


def set_loopback(alias: str, *, up: bool = False) -> None:
    """Set the loopback's alias, and with `up` bring it up, in one message."""
    flags = IFF_UP if up else 0
    request = LINK.pack(0, 0, LOOPBACK, flags, flags) + _attribute(IFLA_IFALIAS, alias)
    list(_ask(socket.NETLINK_ROUTE, RTM_SETLINK, NLM_F_REQUEST | NLM_F_ACK, request))


def addresses() -> list[DeviceAddress]:
    """All addresses, also those that the kernel makes (loopback, link-local)."""
    return [_address(body) for body in _dump(RTM_GETADDR, ADDRESS.pack(0, 0, 0, 0, 0))]


def static_routes() -> list[StaticRoute]:
    """All routes except the kernel's own and those of router advertisements."""
    bodies = _dump(RTM_GETROUTE, ROUTE.pack(0, 0, 0, 0, 0, 0, 0, 0, 0))
    return [route for body in bodies if (route := _route(body)) is not None]


def ruleset_generation() -> int:
    """The generation of this namespace's nftables rules: each change increments it."""
    for body in _ask(
        NETLINK_NETFILTER, NFT_MSG_GETGEN, NLM_F_REQUEST, struct.pack("=BBH", 0, 0, 0)
    ):
        return int(struct.unpack(">I", attributes(body[4:])[NFTA_GEN_ID])[0])
    raise OSError(errno.ENODATA, "nftables: no generation")


def _dump(kind: int, request: bytes) -> list[bytes]:
    while True:
        try:
            return list(_ask(socket.NETLINK_ROUTE, kind, NLM_F_REQUEST | NLM_F_DUMP, request))
        except InterruptedError:
            continue  # the table changed during the dump


def _ask(family: int, kind: int, flags: int, request: bytes) -> Iterator[bytes]:
    """Send a request; yield the bodies of the messages of the answer. Raises OSError."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, family) as sock:
        sock.bind((0, 0))
        sock.send(HEADER.pack(HEADER.size + len(request), kind, flags, 1, 0) + request)
        while True:
            for found, message_flags, body in messages(sock.recv(RECEIVE_SIZE)):
                if message_flags & NLM_F_DUMP_INTR:
                    raise InterruptedError(errno.EINTR, "netlink: the dump was interrupted")
                if found == NLMSG_DONE:
                    return
                if found == NLMSG_ERROR:
                    _raise(struct.unpack_from("=i", body)[0])
                    return
                yield body
                if not flags & NLM_F_DUMP:
                    return


def messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Type, flags and body of each message of a datagram."""
    offset = 0
    while offset + HEADER.size <= len(data):
        length, kind, flags, _, _ = HEADER.unpack_from(data, offset)
        yield kind, flags, data[offset + HEADER.size : offset + length]
        offset += length + 3 & ~3


def _raise(negative: int) -> None:
    if negative:
        raise OSError(-negative, f"netlink: {os.strerror(-negative)}")


def attributes(data: bytes) -> Attributes:
    """The attributes of a message, after its fixed header."""
    found: Attributes = {}
    offset = 0
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        found[kind & NLA_TYPE_MASK] = data[offset + 4 : offset + length]
        offset += length + 3 & ~3
    return found


def _attribute(kind: int, text: str) -> bytes:
    raw = text.encode() + b"\0"
    return struct.pack("=HH", 4 + len(raw), kind) + raw + bytes(-len(raw) % 4)


def _number(has: Attributes, kind: int) -> int:
    return int.from_bytes(has.get(kind, b""), "little")


def _text(has: Attributes, kind: int) -> str:
    return has.get(kind, b"").rstrip(b"\0").decode(errors="replace")


def _link(body: bytes) -> Link:
    _, _, index, flags, _ = LINK.unpack_from(body)
    has = attributes(body[LINK.size :])
    info = attributes(has.get(18, b""))
    kind = _text(info, 1)
    return Link(
        index=index,
        name=_text(has, IFLA_IFNAME),
        kind=kind,
        mac=has.get(1, b"").hex(":"),
        mtu=_number(has, 4),
        up=bool(flags & IFF_UP),
        master=_number(has, 10),
        peer=_number(has, 5) if kind == "veth" else 0,
        alias=_text(has, IFLA_IFALIAS),
        group=_number(has, IFLA_GROUP),
        stp=kind == "bridge" and _number(attributes(info.get(2, b"")), 5) != 0,
        isolated=_text(info, IFLA_INFO_SLAVE_KIND) == "bridge"
        and _number(attributes(info.get(IFLA_INFO_SLAVE_DATA, b"")), IFLA_BRPORT_ISOLATED) != 0,
    )


def _address(body: bytes) -> DeviceAddress:
    _, length, _, _, index = ADDRESS.unpack_from(body)
    has = attributes(body[ADDRESS.size :])
    flags = _number(has, IFA_FLAGS)
    return DeviceAddress(
        index=index,
        cidr=f"{ip_address(has.get(2) or has[1])}/{length}",
        tentative=bool(flags & IFA_F_TENTATIVE),
        duplicate=bool(flags & IFA_F_DADFAILED),
    )


def _route(body: bytes) -> StaticRoute | None:
    family, length, _, _, table, protocol, _, kind, _ = ROUTE.unpack_from(body)
    if table != RT_TABLE_MAIN or kind != RTN_UNICAST or protocol in (RTPROT_KERNEL, RTPROT_RA):
        return None
    has = attributes(body[ROUTE.size :])
    unspecified = bytes(4 if family == socket.AF_INET else 16)
    return StaticRoute(
        destination=f"{ip_address(has.get(1, unspecified))}/{length}",
        via=str(ip_address(has[5])) if 5 in has else "",
        index=_number(has, 4),
    )
