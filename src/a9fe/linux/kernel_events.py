"""Kernel events about our objects, caused by any process; each is a reason to observe again.

One rtnetlink and one nfnetlink socket receive the events of all namespaces that a pair connects to
this one (NETLINK_LISTEN_ALL_NSID), an inotify descriptor reports removed names of namespaces, and
a pidfd reports the end of each dnsmasq. So there is a descriptor for each network, and no polling.
Sources: netlink(7), linux/rtnetlink.h, linux/netfilter/nfnetlink.h.
"""

import asyncio
import os
import socket
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress

import structlog

from a9fe.linux import observation
from a9fe.linux.dhcp import dnsmasq
from a9fe.linux.kernel import inotify, namespace, netlink, nfnetlink, rtnetlink
from a9fe.plan import names

log = structlog.get_logger("a9fe.linux")

SOL_NETLINK = 270
NETLINK_ADD_MEMBERSHIP = 1
NETLINK_LISTEN_ALL_NSID = 8
HOME = -1  # number of the socket's own namespace
LINKS, IPV4_ADDRESSES, IPV4_ROUTES, IPV6_ADDRESSES, IPV6_ROUTES, IPV4_SETTINGS = 1, 5, 7, 9, 11, 24
ROUTE_GROUPS = (LINKS, IPV4_ADDRESSES, IPV4_ROUTES, IPV6_ADDRESSES, IPV6_ROUTES, IPV4_SETTINGS)
NFNLGRP_NFTABLES = 7
RECEIVE_BUFFER = 1 << 20

RTM_LINK = (16, 17)
RTM_ADDRESS = (20, 21)
RTM_ROUTE = (24, 25)
RTM_SETTINGS = (80, 81)
IFLA_IFNAME, IFLA_MASTER, IFA_LABEL = 3, 10, 3
NFT_GENERATION = 15
NFTA_TABLE = 1  # the table's name, in messages about tables, chains, rules, sets and elements
BRIDGE_FAMILY = 7
OUR_TABLES = b"a9fe"


def route_event_concerns(owner: observation.Owner, kind: int, nsid: int, body: bytes) -> bool:
    """Whether an rtnetlink message may concern our objects. `nsid` HOME is this namespace.

    In HOME, only devices with our names or on a bridge may be ours. In other namespaces, devices
    with the agent's prefixes, their addresses, static routes and settings may be.
    """
    if kind in RTM_LINK:
        has = netlink.attributes(body[rtnetlink.LINK.size :])
        name = has.get(IFLA_IFNAME, b"").rstrip(b"\0").decode(errors="replace")
        if nsid == HOME:
            ours = names.OUTER_DEVICE.fullmatch(name) or names.BRIDGE.fullmatch(name)
            return ours is not None or IFLA_MASTER in has
        return name.startswith(owner.prefixes)
    if nsid == HOME:
        return False
    if kind in RTM_ADDRESS:
        label = netlink.attributes(body[rtnetlink.ADDRESS.size :]).get(IFA_LABEL)
        return label is None or label.decode(errors="replace").startswith(owner.prefixes)
    if kind in RTM_ROUTE:
        table, protocol = rtnetlink.ROUTE.unpack_from(body)[4:6]
        by_kernel = protocol in (rtnetlink.RTPROT_KERNEL, rtnetlink.RTPROT_RA)
        return table == rtnetlink.RT_TABLE_MAIN and not by_kernel
    return kind in RTM_SETTINGS


def nft_event_concerns(owner: observation.Owner, kind: int, nsid: int, body: bytes) -> bool:
    """Whether an nftables message may concern our rules."""
    if kind & 0xFF == NFT_GENERATION:
        return False
    if nsid != HOME:
        return owner is observation.L3  # only router namespaces have iptables rules
    table = netlink.attributes(body[4:]).get(NFTA_TABLE, b"")
    return body[0] == BRIDGE_FAMILY or table.startswith(OUR_TABLES)


Concerns = Callable[[observation.Owner, int, int, bytes], bool]


class KernelEvents:
    """Calls `changed` in the event loop when an object of the agent may have changed."""

    def __init__(self, owner: str, changed: Callable[[], None]) -> None:
        """`owner` is "l3" or "dhcp"."""
        self._owner = observation.OWNERS[owner]
        self._changed = changed
        self._ends: dict[str, int] = {}  # directory of a dnsmasq -> its pidfd

    async def run(self) -> None:
        """Listen until cancelled."""
        route = _multicast(socket.NETLINK_ROUTE, ROUTE_GROUPS)
        rules = _multicast(nfnetlink.NETLINK_NETFILTER, (NFNLGRP_NFTABLES,))
        loop = asyncio.get_running_loop()
        try:
            with route, rules:
                loop.add_reader(route, self._read, route, route_event_concerns)
                loop.add_reader(rules, self._read, rules, nft_event_concerns)
                removals = self._open_removals()
                loop.add_reader(removals, self._read_removals, removals)
                self._changed()  # there may have been changes before
                try:
                    await asyncio.Event().wait()
                finally:
                    for reader in (route, rules, removals):
                        loop.remove_reader(reader)
                    os.close(removals)
        finally:
            self.follow(())

    def follow(self, directories: Iterable[str]) -> None:
        """Listen for the end of exactly the dnsmasq processes with these directories."""
        wanted = set(directories)
        for directory in self._ends.keys() - wanted:
            self._forget(directory)
        for directory in wanted - self._ends.keys():
            pid = dnsmasq.pid_of(directory)
            if pid is not None:
                with suppress(ProcessLookupError):  # it has just ended
                    fd = self._ends[directory] = os.pidfd_open(pid)
                    asyncio.get_running_loop().add_reader(fd, self._ended, directory)

    def _ended(self, directory: str) -> None:
        self._forget(directory)
        self._changed()

    def _forget(self, directory: str) -> None:
        fd = self._ends.pop(directory)
        asyncio.get_running_loop().remove_reader(fd)
        os.close(fd)

    def _read(self, sock: socket.socket, concerns: Concerns) -> None:
        """Read one datagram. A lost or unreadable one counts as a change."""
        try:
            data, ancillary, _, _ = sock.recvmsg(netlink.RECEIVE_SIZE, 64)
        except BlockingIOError:
            return
        except OSError:  # ENOBUFS: events were lost
            self._changed()
            return
        nsid = next((struct.unpack("=i", raw)[0] for _, _, raw in ancillary), HOME)
        try:
            found = any(
                concerns(self._owner, kind, nsid, body) for kind, _, body in netlink.messages(data)
            )
        except (struct.error, IndexError):
            found = True
        if found:
            self._changed()

    def _open_removals(self) -> int:
        os.makedirs(namespace.DIRECTORY, mode=0o755, exist_ok=True)
        return inotify.open_removals(namespace.DIRECTORY)

    def _read_removals(self, fd: int) -> None:
        if any(not name or self._owner.pattern.fullmatch(name) for name in inotify.read(fd)):
            self._changed()


def _multicast(family: int, groups: Iterable[int]) -> socket.socket:
    sock = socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, family
    )
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        sock.bind((0, 0))
        for group in groups:
            sock.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
        sock.setsockopt(SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, 1)
    except OSError:
        sock.close()
        raise
    return sock
