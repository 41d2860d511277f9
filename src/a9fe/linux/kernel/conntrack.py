"""Connections that the kernel tracks in the calling thread's namespace, and ending their tracking.

NAT rules see the first packet of a connection only. So without this, the connections of a floating
IP outlive its rules: also those to a VM that no longer has it.
Source: linux/netfilter/nfnetlink_conntrack.h. Cost: O(connections of the namespace).
"""

import errno
import socket
from collections.abc import Collection
from ipaddress import IPv4Address

from a9fe.linux.kernel import netlink
from a9fe.linux.kernel.netlink import Refused
from a9fe.linux.kernel.nfnetlink import HEADER, NETLINK_NETFILTER

SUBSYSTEM = 1  # connection tracking
GET, DELETE = 1, 2  # IPCTNL_MSG_CT_*
ORIGINAL, REPLY, ID = 1, 2, 12  # CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_ID
ADDRESSES = 1  # CTA_TUPLE_IP
DESTINATION = 2  # CTA_IP_V4_DST
FAMILY = HEADER.pack(socket.AF_INET, 0, 0)


def forget(addresses: Collection[str]) -> int:
    """End the tracking of connections to these IPv4 addresses, before or after translation.

    Return their number. A connection from behind the address has it as destination of its answers.
    """
    wanted = {IPv4Address(address).packed for address in addresses}
    found = netlink.dump(NETLINK_NETFILTER, SUBSYSTEM << 8 | GET, FAMILY)
    tracked = [netlink.attributes(body[HEADER.size :]) for body in found]
    gone = [has for has in tracked if wanted & {_to(has, ORIGINAL), _to(has, REPLY)}]
    for has in gone:
        _delete(has)
    return len(gone)


def _to(has: netlink.Attributes, direction: int) -> bytes:
    ends = netlink.attributes(netlink.attributes(has.get(direction, b"")).get(ADDRESSES, b""))
    return ends.get(DESTINATION, b"")


def _delete(has: netlink.Attributes) -> None:
    """Delete exactly this entry: by its id, as another one may have its addresses by now."""
    body = netlink.attribute(ORIGINAL | netlink.NLA_F_NESTED, has[ORIGINAL])
    body += netlink.attribute(ID, has[ID])
    try:
        netlink.change(NETLINK_NETFILTER, SUBSYSTEM << 8 | DELETE, FAMILY + body)
    except Refused as error:
        if error.errno != errno.ENOENT:  # it has ended meanwhile
            raise
