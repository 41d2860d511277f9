"""Kernel events about our objects, caused by any process: the names of what to observe again.

One rtnetlink and one nfnetlink socket receive the events of all namespaces that a pair connects to
this one (NETLINK_LISTEN_ALL_NSID), an inotify descriptor reports removed names of namespaces, and
a pidfd reports the end of each dnsmasq and radvd. So there is a descriptor for each network and
router, and no polling.
Sources: netlink(7), linux/rtnetlink.h, linux/netfilter/nfnetlink.h.
"""

import asyncio
import os
import re
import socket
import struct
from collections.abc import Callable
from contextlib import suppress

import structlog

from a9fe.linux import observation
from a9fe.linux.kernel import inotify, namespace, netlink, nfnetlink, rtnetlink
from a9fe.linux.observation import Owner
from a9fe.plan import names
from a9fe.plan.operations import FILTERS

log = structlog.get_logger("a9fe.linux")

NETLINK_LISTEN_ALL_NSID = 8
HOME = -1  # number of the socket's own namespace
LINKS, IPV4_ADDRESSES, IPV4_ROUTES, IPV6_ADDRESSES, IPV6_ROUTES, IPV4_SETTINGS = 1, 5, 7, 9, 11, 24
ROUTE_GROUPS = (LINKS, IPV4_ADDRESSES, IPV4_ROUTES, IPV6_ADDRESSES, IPV6_ROUTES, IPV4_SETTINGS)
RECEIVE_BUFFER = 8 << 20  # the events of some thousand changes
DATAGRAMS = 64  # read at once, before other tasks have their turn
OURS = re.compile(f"{names.ON_BRIDGE.pattern}|{names.OUTER_DEVICE.pattern}")

RTM_LINK = (rtnetlink.RTM_NEWLINK, rtnetlink.RTM_DELLINK)
RTM_ADDRESS = (rtnetlink.RTM_NEWADDR, rtnetlink.RTM_DELADDR)
RTM_ROUTE = (rtnetlink.RTM_NEWROUTE, rtnetlink.RTM_DELROUTE)
RTM_SETTINGS = (80, 81)
IFA_LABEL = 3
OUR_TABLES = b"a9fe"


Found = frozenset[str]
NOTHING: Found = frozenset()
NameOf = Callable[[int], str]
"""The name of one of our namespaces by its number, "" for another one."""


def in_route_event(owner: Owner, kind: int, nsid: int, body: bytes, name_of: NameOf) -> Found:
    """The names of our objects that an rtnetlink message may concern. `nsid` HOME: this namespace.

    In HOME, devices with our names and the bridges of devices may be ours. In other namespaces,
    devices with the agent's prefix are, and what is in a namespace that was observed before.
    """
    if kind in RTM_LINK:
        has = netlink.attributes(body[rtnetlink.LINK.size :])
        name = netlink.text(has, rtnetlink.IFLA_IFNAME)
        if nsid != HOME:
            return frozenset({name}) if name.startswith(owner.prefixes) else NOTHING
        master = _device_at(netlink.integer(has, rtnetlink.IFLA_MASTER))
        return frozenset(n for n in (name, master) if OURS.fullmatch(n))
    if nsid == HOME:
        return NOTHING
    if kind in RTM_ADDRESS:
        label = netlink.attributes(body[rtnetlink.ADDRESS.size :]).get(IFA_LABEL)
        concerned = label is None or label.decode(errors="replace").startswith(owner.prefixes)
    elif kind in RTM_ROUTE:
        table, protocol = rtnetlink.ROUTE.unpack_from(body)[4:6]
        by_kernel = protocol in (rtnetlink.RTPROT_KERNEL, rtnetlink.RTPROT_RA)
        concerned = table == rtnetlink.RT_TABLE_MAIN and not by_kernel
    else:
        concerned = kind in RTM_SETTINGS
    return frozenset({name_of(nsid)}) - {""} if concerned else NOTHING


def in_nft_event(owner: Owner, kind: int, nsid: int, body: bytes, name_of: NameOf) -> Found:
    """The names of our objects, or FILTERS, that an nftables message may concern."""
    if kind & 0xFF == nfnetlink.NEW_GENERATION:
        return NOTHING
    if nsid != HOME:  # only router namespaces have rules
        return frozenset({name_of(nsid)}) - {""} if owner is observation.L3 else NOTHING
    table = netlink.attributes(body[nfnetlink.HEADER.size :]).get(nfnetlink.ANY_TABLE, b"")
    is_ours = body[0] == nfnetlink.BRIDGE or table.startswith(OUR_TABLES)
    return frozenset({FILTERS}) if is_ours else NOTHING


def _device_at(index: int) -> str:
    """The name of a device of this namespace; "" if there is none."""
    try:
        return socket.if_indextoname(index) if index else ""
    except OSError:
        return ""


Reader = Callable[[Owner, int, int, bytes, NameOf], Found]


class KernelEvents:
    """Calls `changed` in the event loop with the names of the agent's objects that may have
    changed; with None if any may have.
    """

    def __init__(
        self,
        owner: str,
        changed: Callable[[Found | None], None],
        name_of: NameOf,
    ) -> None:
        """`owner` is "l3" or "dhcp"; `name_of` gives our namespaces by their numbers."""
        self._owner = observation.OWNERS[owner]
        self._changed = changed
        self._name_of = name_of
        self._ends: dict[str, int] = {}  # namespace -> pidfd of its daemon

    async def run(self) -> None:
        """Listen until cancelled."""
        route = netlink.listening(socket.NETLINK_ROUTE, ROUTE_GROUPS, RECEIVE_BUFFER)
        rules = netlink.listening(
            nfnetlink.NETLINK_NETFILTER, (nfnetlink.RULES_GROUP,), RECEIVE_BUFFER
        )
        loop = asyncio.get_running_loop()
        try:
            with route, rules:
                for sock in (route, rules):
                    sock.setsockopt(netlink.SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, 1)
                loop.add_reader(route, self._read, route, in_route_event)
                loop.add_reader(rules, self._read, rules, in_nft_event)
                removals = self._open_removals()
                loop.add_reader(removals, self._read_removals, removals)
                self._changed(None)  # there may have been changes before
                try:
                    await asyncio.Event().wait()
                finally:
                    for reader in (route, rules, removals):
                        loop.remove_reader(reader)
                    os.close(removals)
        finally:
            for space in tuple(self._ends):
                self._forget(space)

    def follow(self, space: str, directory: str) -> None:
        """Listen for the end of the daemon of a namespace with that directory; "": no more."""
        if not directory:
            if space in self._ends:
                self._forget(space)
        elif space not in self._ends and (pid := self._owner.daemon.pid_of(directory)) is not None:
            with suppress(ProcessLookupError):  # it has just ended
                fd = self._ends[space] = os.pidfd_open(pid)
                asyncio.get_running_loop().add_reader(fd, self._ended, space)

    def _ended(self, space: str) -> None:
        self._forget(space)
        self._changed(frozenset({space}))

    def _forget(self, space: str) -> None:
        fd = self._ends.pop(space)
        asyncio.get_running_loop().remove_reader(fd)
        os.close(fd)

    def _read(self, sock: socket.socket, reader: Reader) -> None:
        """Read what waits, up to DATAGRAMS. A lost or unreadable one may concern any object."""
        found: set[str] = set()
        for _ in range(DATAGRAMS):
            try:
                data, ancillary, _, _ = sock.recvmsg(netlink.RECEIVE_SIZE, 64)
            except BlockingIOError:
                break
            except OSError:  # ENOBUFS: events were lost
                self._changed(None)
                return
            nsid = next((struct.unpack("=i", raw)[0] for _, _, raw in ancillary), HOME)
            try:
                for kind, _, body in netlink.messages(data):
                    found |= reader(self._owner, kind, nsid, body, self._name_of)
            except (struct.error, IndexError):
                self._changed(None)
                return
        if found:
            self._changed(frozenset(found))

    def _open_removals(self) -> int:
        os.makedirs(namespace.DIRECTORY, mode=0o755, exist_ok=True)
        return inotify.open_removals(namespace.DIRECTORY)

    def _read_removals(self, fd: int) -> None:
        names = set(inotify.read(fd))
        if "" in names:  # an overflow
            self._changed(None)
        elif found := frozenset(name for name in names if self._owner.pattern.fullmatch(name)):
            self._changed(found)
