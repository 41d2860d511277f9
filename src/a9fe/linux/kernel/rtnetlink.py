"""rtnetlink: links, addresses and routes of the calling thread's namespace, read and changed.

Cost: O(objects in the namespace) for a table, O(1) for all else. Changes raise netlink.Refused.
Sources: rtnetlink(7), linux/if_link.h, linux/if_addr.h, linux/rtnetlink.h.
"""

import errno
import socket
import struct
import sys
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface, ip_network

from a9fe.linux.kernel import netlink
from a9fe.linux.kernel.netlink import attribute, attributes, integer, nested, number, text

ROUTE_FAMILY = socket.NETLINK_ROUTE
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
LINK = struct.Struct("=BxHiII")
ADDRESS = struct.Struct("=BBBBI")
ROUTE = struct.Struct("=BBBBBBBBI")
IFF_UP = 1
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER, IFLA_LINKINFO = 1, 3, 4, 5, 10, 18
IFLA_IFALIAS, IFLA_GROUP, IFLA_NET_NS_FD, IFLA_EXT_MASK = 20, 27, 28, 29
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
IFLA_BR_FORWARD_DELAY, IFLA_BR_STP_STATE = 1, 5
IFLA_BR_FDB_MAX_LEARNED = 49  # older kernels ignore it
IFLA_BRPORT_ISOLATED = 33
VETH_INFO_PEER = 1
WITHOUT_STATISTICS = number(IFLA_EXT_MASK, 1 << 3)
RTM_GETNSID = 90
NETNSA_NSID, NETNSA_FD = 1, 3
LOOPBACK = 1  # index of the loopback in every namespace

IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS, IFA_PROTO = 1, 2, 8, 11
IFAPROT_KERNEL_LL = 3  # Linux 5.18
IFA_F_NODAD, IFA_F_DADFAILED, IFA_F_TENTATIVE = 0x02, 0x08, 0x40

RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY = 1, 4, 5, 6
RT_TABLE_MAIN = 254
RTN_UNICAST = 1
RTPROT_KERNEL, RTPROT_STATIC, RTPROT_RA = 2, 4, 9
RTPROT_WAY_BACK = 169  # of ours (kernel.way_back)
NOT_STATIC = (RTPROT_KERNEL, RTPROT_RA, RTPROT_WAY_BACK)
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK, RT_SCOPE_NOWHERE = 0, 253, 255


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

    An IPv6 address is `tentative` while duplicate address detection runs, and `duplicate` if it
    found another owner; neither answers. `by_kernel`: a link-local address that the kernel made.
    """

    index: int
    cidr: str
    tentative: bool = False
    duplicate: bool = False
    by_kernel: bool = False

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


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkChange:
    """Attributes to set on a link, in one message; None leaves one as it is.

    `master` is an index, 0 for none; `namespace` a descriptor; `mac` in hex with colons.
    """

    name: str | None = None
    mac: str | None = None
    mtu: int | None = None
    master: int | None = None
    alias: str | None = None
    group: int | None = None
    namespace: int | None = None
    up: bool = False

    def header(self, index: int) -> bytes:
        """The fixed header of its message."""
        flags = IFF_UP if self.up else 0
        return LINK.pack(socket.AF_UNSPEC, 0, index, flags, flags)

    def attributes(self) -> bytes:
        """The attributes of its message."""
        parts = (
            (IFLA_IFNAME, None if self.name is None else f"{self.name}\0".encode()),
            (IFLA_ADDRESS, None if self.mac is None else bytes.fromhex(self.mac.replace(":", ""))),
            (IFLA_MTU, _raw(self.mtu)),
            (IFLA_MASTER, _raw(self.master)),
            (IFLA_IFALIAS, None if self.alias is None else f"{self.alias}\0".encode()),
            (IFLA_GROUP, _raw(self.group)),
            (IFLA_NET_NS_FD, _raw(self.namespace)),
        )
        return b"".join(attribute(kind, raw) for kind, raw in parts if raw is not None)


def links() -> list[Link]:
    """All devices."""
    request = LINK.pack(0, 0, 0, 0, 0) + WITHOUT_STATISTICS
    return [_link(body) for body in netlink.dump(ROUTE_FAMILY, RTM_GETLINK, request)]


def links_on(master: int) -> list[Link]:
    """The devices on the bridge with that index; the kernel filters.

    With statistics: without, the kernel first measures the messages of all devices.
    """
    request = LINK.pack(0, 0, 0, 0, 0) + number(IFLA_MASTER, master)
    return [_link(body) for body in netlink.dump(ROUTE_FAMILY, RTM_GETLINK, request)]


def find(name: str) -> Link | None:
    """The device of that name; None if there is none."""
    return _find(0, attribute(IFLA_IFNAME, name))


def at(index: int) -> Link | None:
    """The device with that index; None if there is none."""
    return _find(index, b"")


def namespace_number(fd: int) -> int:
    """The number that events have of the namespace with that descriptor; -1 for none yet."""
    request = b"\0" * 4 + number(NETNSA_FD, fd)
    answer = attributes(netlink.get(ROUTE_FAMILY, RTM_GETNSID, request)[4:])
    return int.from_bytes(answer[NETNSA_NSID], sys.byteorder, signed=True)


def _find(index: int, wanted: bytes) -> Link | None:
    try:
        return _get_link(index, wanted)
    except netlink.Refused as error:
        if error.errno == errno.ENODEV:
            return None
        raise


def loopback() -> Link:
    """The loopback of the calling thread's namespace."""
    return _get_link(LOOPBACK, b"")


def _get_link(index: int, wanted: bytes) -> Link:
    request = LINK.pack(0, 0, index, 0, 0) + wanted + WITHOUT_STATISTICS
    return _link(netlink.get(ROUTE_FAMILY, RTM_GETLINK, request))


def change_link(index: int, change: LinkChange) -> None:
    """Set attributes of a link."""
    netlink.change(ROUTE_FAMILY, RTM_NEWLINK, change.header(index) + change.attributes())


def add_bridge(wanted: LinkChange) -> None:
    """Make a bridge."""
    _add_link(wanted, "bridge", b"")


def add_veth(wanted: LinkChange, peer: LinkChange) -> None:
    """Make a pair."""
    end = peer.header(0) + peer.attributes()
    _add_link(wanted, "veth", nested(IFLA_INFO_DATA, nested(VETH_INFO_PEER, end)))


def _add_link(wanted: LinkChange, kind: str, data: bytes) -> None:
    info = nested(IFLA_LINKINFO, attribute(IFLA_INFO_KIND, kind), data)
    body = wanted.header(0) + wanted.attributes() + info
    netlink.change(ROUTE_FAMILY, RTM_NEWLINK, body, netlink.NLM_F_CREATE | netlink.NLM_F_EXCL)


def set_bridge(index: int, *, stp: int, forward_delay: int, most_learned: int) -> None:
    """Set a bridge's options. First STP: with STP on, the kernel refuses a short delay.

    `most_learned`: of how many MACs the bridge learns the places; frames to others are flooded.
    """
    first = number(IFLA_BR_STP_STATE, stp) + number(IFLA_BR_FDB_MAX_LEARNED, most_learned)
    for options in (first, number(IFLA_BR_FORWARD_DELAY, forward_delay)):
        data = nested(IFLA_INFO_DATA, options)
        _change_info(index, attribute(IFLA_INFO_KIND, "bridge"), data)


def set_isolated(index: int, *, isolated: bool) -> None:
    """Set port isolation of a device that is on a bridge."""
    data = attribute(IFLA_BRPORT_ISOLATED, bytes([isolated]))
    _change_info(
        index, attribute(IFLA_INFO_SLAVE_KIND, "bridge"), nested(IFLA_INFO_SLAVE_DATA, data)
    )


def _change_info(index: int, *info: bytes) -> None:
    body = LinkChange().header(index) + nested(IFLA_LINKINFO, *info)
    netlink.change(ROUTE_FAMILY, RTM_NEWLINK, body)


def delete_link(index: int) -> None:
    """Remove a link; of a pair, both ends."""
    netlink.change(ROUTE_FAMILY, RTM_DELLINK, LinkChange().header(index))


def delete_group(group: int) -> None:
    """Remove all links of a group at once. The kernel waits once, not once for each link."""
    body = LinkChange().header(0) + number(IFLA_GROUP, group)
    netlink.change(ROUTE_FAMILY, RTM_DELLINK, body)


def addresses() -> list[DeviceAddress]:
    """All addresses, also those that the kernel makes (loopback, link-local)."""
    found = netlink.dump(ROUTE_FAMILY, RTM_GETADDR, ADDRESS.pack(0, 0, 0, 0, 0))
    return [_address(body) for body in found]


def add_address(index: int, cidr: str, *, detect_duplicates: bool) -> None:
    """Add an address. `detect_duplicates` has a meaning for IPv6 only."""
    flags = 0 if detect_duplicates else IFA_F_NODAD
    body = _address_body(index, cidr) + number(IFA_FLAGS, flags)
    netlink.change(ROUTE_FAMILY, RTM_NEWADDR, body, netlink.NLM_F_CREATE | netlink.NLM_F_EXCL)


def delete_address(index: int, cidr: str) -> None:
    """Remove an address."""
    netlink.change(ROUTE_FAMILY, RTM_DELADDR, _address_body(index, cidr))


def _address_body(index: int, cidr: str) -> bytes:
    own = ip_interface(cidr)
    family, raw = _family(own.version), own.ip.packed
    header = ADDRESS.pack(family, own.network.prefixlen, 0, 0, index)
    return header + attribute(IFA_LOCAL, raw) + attribute(IFA_ADDRESS, raw)


def static_routes() -> list[StaticRoute]:
    """All routes except NOT_STATIC: the kernel's, router advertisements', kernel.way_back's."""
    bodies = netlink.dump(ROUTE_FAMILY, RTM_GETROUTE, ROUTE.pack(0, 0, 0, 0, 0, 0, 0, 0, 0))
    return [route for body in bodies if (route := _route(body)) is not None]


def set_route(
    destination: str, via: str, index: int, *, protocol: int = RTPROT_STATIC, metric: int = 0
) -> None:
    """Add a route, or replace the one to the same destination. On-link ones have link scope.

    `metric` 0: the kernel's default.
    """
    scope = RT_SCOPE_LINK if not via and ":" not in destination else RT_SCOPE_UNIVERSE
    body = _route_body(destination, via, index, scope, protocol)
    if metric:
        body += number(RTA_PRIORITY, metric)
    netlink.change(ROUTE_FAMILY, RTM_NEWROUTE, body, netlink.NLM_F_CREATE | netlink.NLM_F_REPLACE)


def delete_route(destination: str, via: str, index: int) -> None:
    """Remove a route."""
    body = _route_body(destination, via, index, RT_SCOPE_NOWHERE)
    netlink.change(ROUTE_FAMILY, RTM_DELROUTE, body)


def _route_body(destination: str, via: str, index: int, scope: int, protocol: int = 0) -> bytes:
    block = ip_network(destination)
    kind = 0 if scope == RT_SCOPE_NOWHERE else RTN_UNICAST
    family = _family(block.version)
    header = ROUTE.pack(family, block.prefixlen, 0, 0, RT_TABLE_MAIN, protocol, scope, kind, 0)
    parts = [attribute(RTA_DST, block.network_address.packed), number(RTA_OIF, index)]
    if via:
        parts.append(attribute(RTA_GATEWAY, ip_address(via).packed))
    return header + b"".join(parts)


def _family(version: int) -> int:
    return socket.AF_INET if version == 4 else socket.AF_INET6


def _raw(value: int | None) -> bytes | None:
    return None if value is None else struct.pack("=I", value)


def _link(body: bytes) -> Link:
    _, _, index, flags, _ = LINK.unpack_from(body)
    has = attributes(body[LINK.size :])
    info = attributes(has.get(IFLA_LINKINFO, b""))
    kind = text(info, IFLA_INFO_KIND)
    options = attributes(info.get(IFLA_INFO_DATA, b"")) if kind == "bridge" else {}
    port: netlink.Attributes = {}
    if text(info, IFLA_INFO_SLAVE_KIND) == "bridge":
        port = attributes(info.get(IFLA_INFO_SLAVE_DATA, b""))
    return Link(
        index=index,
        name=text(has, IFLA_IFNAME),
        kind=kind,
        mac=has.get(IFLA_ADDRESS, b"").hex(":"),
        mtu=integer(has, IFLA_MTU),
        up=bool(flags & IFF_UP),
        master=integer(has, IFLA_MASTER),
        peer=integer(has, IFLA_LINK) if kind == "veth" else 0,
        alias=text(has, IFLA_IFALIAS),
        group=integer(has, IFLA_GROUP),
        stp=integer(options, IFLA_BR_STP_STATE) != 0,
        isolated=integer(port, IFLA_BRPORT_ISOLATED) != 0,
    )


def _address(body: bytes) -> DeviceAddress:
    _, length, low, _, index = ADDRESS.unpack_from(body)
    has = attributes(body[ADDRESS.size :])
    flags = integer(has, IFA_FLAGS) or low
    return DeviceAddress(
        index=index,
        cidr=f"{ip_address(has.get(IFA_LOCAL) or has[IFA_ADDRESS])}/{length}",
        tentative=bool(flags & IFA_F_TENTATIVE),
        duplicate=bool(flags & IFA_F_DADFAILED),
        by_kernel=integer(has, IFA_PROTO) == IFAPROT_KERNEL_LL,
    )


def _route(body: bytes) -> StaticRoute | None:
    family, length, _, _, table, protocol, _, kind, _ = ROUTE.unpack_from(body)
    if table != RT_TABLE_MAIN or kind != RTN_UNICAST or protocol in NOT_STATIC:
        return None
    has = attributes(body[ROUTE.size :])
    unspecified = bytes(4 if family == socket.AF_INET else 16)
    return StaticRoute(
        destination=f"{ip_address(has.get(RTA_DST, unspecified))}/{length}",
        via=str(ip_address(has[RTA_GATEWAY])) if RTA_GATEWAY in has else "",
        index=integer(has, RTA_OIF),
    )
