"""Changing links, addresses and routes by pyroute2.

Each function leaves the calling thread where it is: the work is done by a thread of its own (an
IPRoute is bound to the thread and namespace in which it was opened, and cannot be used within a
running event loop). Each may be repeated: what is there already, or gone already, is no error.
"""

import errno
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from a9fe.linux import namespace
from a9fe.model.errors import A9feError
from a9fe.plan.host import Address, Bridge, Route, Veth

GONE = (errno.ENODEV, errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL)


IFA_F_NODAD = 0x02
RT_SCOPE_LINK = 253


class Netlink(Protocol):
    """What we use of an IPRoute. Arguments are pyroute2's."""

    def link(self, command: str, **arguments: object) -> object:
        """Links."""

    def addr(self, command: str, **arguments: object) -> object:
        """Addresses."""

    def route(self, command: str, **arguments: object) -> object:
        """Routes."""


class LinkError(A9feError):
    """The kernel refused a change; names the device and the reason."""


def set_bridge(bridge: Bridge) -> None:
    """Make it if missing: STP off, no forward delay, no IPv6 of the host's on it, MTU, up."""

    def change(netlink: Netlink) -> None:
        index = _find(bridge.name)
        if index is None:
            with _may(errno.EEXIST):
                netlink.link("add", ifname=bridge.name, kind="bridge")
            index = _index(bridge.name)
        _set_if_there(f"net/ipv6/conf/{bridge.name}/disable_ipv6", "1")
        netlink.link("set", index=index, kind="bridge", br_stp_state=0, br_forward_delay=0)
        netlink.link("set", index=index, mtu=bridge.mtu, state="up")

    _at_home(bridge.name, change)


def delete_link(name: str, inside: str | None = None) -> None:
    """Remove a device of the host's namespace, or of the namespace `inside`."""

    def change(netlink: Netlink) -> None:
        _delete(netlink, name)

    if inside is None:
        _at_home(name, change)
    else:
        _in_namespace(inside, name, change)


def add_veth(space: str, link: Veth) -> None:
    """Make the pair, inner end in `space`; a left-over outer end is replaced."""

    def make(netlink: Netlink) -> None:
        _delete(netlink, link.outer)
        fd = os.open(namespace.path(space), os.O_RDONLY | os.O_CLOEXEC)
        try:
            peer = {"ifname": link.inner, "net_ns_fd": fd, "address": link.mac, "mtu": link.mtu}
            netlink.link("add", ifname=link.outer, kind="veth", mtu=link.mtu, peer=peer)
        finally:
            os.close(fd)

    delete_link(link.inner, inside=space)
    _at_home(link.outer, make)
    change_veth(space, link)


def change_veth(space: str, link: Veth) -> None:
    """Set MAC, MTU and bridge of a pair that exists, and bring both ends up."""

    def outer(netlink: Netlink) -> None:
        master = _index(link.bridge)
        _set_if_there(f"net/ipv6/conf/{link.outer}/disable_ipv6", "1")
        index = _index(link.outer)
        netlink.link("set", index=index, mtu=link.mtu, master=master, state="up")

    def inner(netlink: Netlink) -> None:
        index = _index(link.inner)
        netlink.link("set", index=index, address=link.mac, mtu=link.mtu, state="up")

    _at_home(link.outer, outer)
    _in_namespace(space, link.inner, inner)


def plug(device: str, bridge: str) -> None:
    """Put a device of the host's namespace on a bridge."""

    def change(netlink: Netlink) -> None:
        netlink.link("set", index=_index(device), master=_index(bridge))

    _at_home(device, change)


def add_address(space: str, address: Address) -> None:
    """Add an address; an IPv6 one is not probed for duplicates, as MACs and addresses are ours."""

    def change(netlink: Netlink) -> None:
        ip, length = address.cidr.split("/")
        options = {"flags": IFA_F_NODAD} if ":" in ip else {}
        index = _index(address.device)
        with _may(errno.EEXIST):
            netlink.addr("add", index=index, address=ip, prefixlen=int(length), **options)

    _in_namespace(space, address.device, change)


def delete_address(space: str, address: Address) -> None:
    """Remove an address."""

    def change(netlink: Netlink) -> None:
        ip, length = address.cidr.split("/")
        index = _find(address.device)
        if index is not None:
            with _may(*GONE):
                netlink.addr("del", index=index, address=ip, prefixlen=int(length))

    _in_namespace(space, address.device, change)


def set_route(space: str, route: Route) -> None:
    """Add a route, or replace the one to the same destination."""

    def change(netlink: Netlink) -> None:
        netlink.route("replace", **_route(route))

    _in_namespace(space, route.destination, change)


def delete_route(space: str, route: Route) -> None:
    """Remove the route to a destination."""

    def change(netlink: Netlink) -> None:
        with _may(*GONE):
            netlink.route("del", **_route(route))

    _in_namespace(space, route.destination, change)


def _route(route: Route) -> dict[str, object]:
    """pyroute2's arguments; on-link routes have link scope, as `ip route` gives them."""
    wanted: dict[str, object] = {"dst": route.destination, "oif": _index(route.device)}
    if route.via:
        wanted["gateway"] = route.via
    elif ":" not in route.destination:
        wanted["scope"] = RT_SCOPE_LINK
    return wanted


def _delete(netlink: Netlink, name: str) -> None:
    index = _find(name)
    if index is not None:
        with _may(*GONE):
            netlink.link("del", index=index)


def _find(name: str) -> int | None:
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return None


def _index(name: str) -> int:
    found = _find(name)
    if found is None:
        raise LinkError(f"device {name}: does not exist")
    return found


def _set_if_there(key: str, value: str) -> None:
    """IPv6 may be off in this kernel: then there is no such key, and nothing to switch off."""
    with suppress(FileNotFoundError):
        namespace.write_sysctl(key, value)


@contextmanager
def _may(*codes: int) -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        if error.code not in codes:
            raise


def _at_home(what: str, change: Callable[[Netlink], None]) -> None:
    namespace.in_thread(lambda: _change(what, change))


def _in_namespace(space: str, what: str, change: Callable[[Netlink], None]) -> None:
    namespace.call_inside(space, lambda: _change(f"{what} in {space}", change))


def _change(what: str, change: Callable[[Netlink], None]) -> None:
    try:
        with IPRoute() as netlink:
            change(netlink)
    except NetlinkError as error:
        raise LinkError(f"{what}: {os.strerror(error.code)}") from error
