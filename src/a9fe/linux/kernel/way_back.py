"""The way to addresses that the filters of our bridges translate (plan.filters.chains).

A device of a namespace has one route to all of them, by a next hop that does not exist, with a
permanent neighbour entry. So answers need no neighbour discovery, which a guest could forge or
flood. The entry has the device's own MAC: a frame that no filter translates reaches nobody,
because a bridge sends nothing back to where it came from.
"""

import errno
import socket
import struct

from a9fe.linux.kernel import netlink, rtnetlink
from a9fe.linux.kernel.netlink import attribute, attributes, number
from a9fe.linux.kernel.rtnetlink import ROUTE, ROUTE_FAMILY, RTA_DST, RTA_GATEWAY, RTA_OIF, Link

DESTINATION = "fe80::/16"  # the subnet fe80::/64 has its own route
# In the place of a MAC it has a group's, so no port has this address.
HOP = "fe80:100::1"
_HOP = socket.inet_pton(socket.AF_INET6, HOP)
METRIC = 1024  # plus the device's index: one route for each device
RTM_NEWNEIGH, RTM_GETNEIGH = 28, 30
NEIGHBOUR = struct.Struct("=BxxxiHBB")
NDA_DST, NDA_LLADDR = 1, 2
NUD_PERMANENT = 0x80


def add(link: Link) -> None:
    """Add the route and the neighbour entry of a device that is up; both may exist. Raises
    netlink.Refused.
    """
    mac = bytes.fromhex(link.mac.replace(":", ""))
    replace = netlink.NLM_F_CREATE | netlink.NLM_F_REPLACE
    body = _neighbour(link.index, NUD_PERMANENT) + attribute(NDA_LLADDR, mac)
    netlink.change(ROUTE_FAMILY, RTM_NEWNEIGH, body, replace)
    how = rtnetlink.RTPROT_WAY_BACK
    rtnetlink.set_route(DESTINATION, HOP, link.index, protocol=how, metric=METRIC + link.index)


def exists(index: int) -> bool:
    """Whether a device has the route and the neighbour entry. O(1)."""
    try:
        _, _, state, _, _ = NEIGHBOUR.unpack_from(
            netlink.get(ROUTE_FAMILY, RTM_GETNEIGH, _neighbour(index, 0))
        )
        return bool(state & NUD_PERMANENT) and _routed(index)
    except netlink.Refused as error:
        if error.errno in (errno.ENOENT, errno.ENETUNREACH, errno.EHOSTUNREACH):
            return False
        raise


def _neighbour(index: int, state: int) -> bytes:
    return NEIGHBOUR.pack(socket.AF_INET6, index, state, 0, 0) + attribute(NDA_DST, _HOP)


def _routed(index: int) -> bool:
    """Whether the kernel would send by the next hop to an address that the filters translate."""
    to = socket.inet_pton(socket.AF_INET6, "fe80:200::1")
    request = ROUTE.pack(socket.AF_INET6, 128, 0, 0, 0, 0, 0, 0, 0)
    request += attribute(RTA_DST, to) + number(RTA_OIF, index)
    answer = netlink.get(ROUTE_FAMILY, rtnetlink.RTM_GETROUTE, request)
    return attributes(answer[ROUTE.size :]).get(RTA_GATEWAY) == _HOP
