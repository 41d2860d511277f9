"""Changing links, addresses and routes by pyroute2.

Each function works in its own thread, because an IPRoute belongs to the thread and the namespace
in which it was opened, and cannot be used within a running event loop. The calling thread stays in
its namespace. Each call may be repeated: existing or missing objects are no error.

A new link has our group from creation. The next message sets its alias, which the kernel does not
accept at creation. Objects without our mark (plan.mark) are not changed or removed: NotOurs.
"""

import errno
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from a9fe.linux.kernel import namespace, netlink
from a9fe.linux.kernel.namespace import NotOurs
from a9fe.model.errors import A9feError
from a9fe.plan import ipv6, sysctls
from a9fe.plan.host import Address, Bridge, Route, Veth
from a9fe.plan.mark import ALIAS_PREFIX, Mark

GONE = (errno.ENODEV, errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL)


IFA_F_NODAD = 0x02
RT_SCOPE_LINK = 253


class Netlink(Protocol):
    """The part of IPRoute that we use. Arguments are pyroute2's."""

    def link(self, command: str, **arguments: object) -> object:
        """Change links."""

    def brport(self, command: str, **arguments: object) -> object:
        """Change attributes of bridge ports."""

    def addr(self, command: str, **arguments: object) -> object:
        """Change addresses."""

    def route(self, command: str, **arguments: object) -> object:
        """Change routes."""


class LinkError(A9feError):
    """The kernel refused a change; the message names the device and the reason."""


def set_bridge(bridge: Bridge, mark: Mark) -> None:
    """Make the bridge if missing; set STP off, no forward delay, MTU and up.

    Sysctls keep the host's stack off it even without filters: no IPv6, no ARP replies, rp_filter.
    """

    def change(ip: Netlink) -> None:
        if netlink.find(bridge.name) is None:
            with _may(errno.EEXIST):  # the other agent makes the same bridges
                ip.link("add", ifname=bridge.name, kind="bridge", group=mark.group)
        index = _ours(bridge.name, mark)
        for path, value in sysctls.bridge(bridge.name).items():
            _set_if_there(path, value)
        ip.link("set", index=index, kind="bridge", br_stp_state=0, br_forward_delay=0)
        ip.link("set", index=index, mtu=bridge.mtu, state="up", **_marked(mark))

    _at_home(bridge.name, change)


def delete_link(name: str, mark: Mark, inside: str | None = None) -> None:
    """Remove a device of the host's namespace, or of the namespace `inside`."""

    def change(ip: Netlink) -> None:
        _delete(ip, name, mark)

    if inside is None:
        _at_home(name, change)
    else:
        _in_namespace(inside, name, change)


def add_veth(space: str, link: Veth, mark: Mark) -> None:
    """Make the pair with the inner end in `space`. A left-over outer end of ours is replaced."""

    def make(ip: Netlink) -> None:
        _delete(ip, link.outer, mark)
        fd = os.open(namespace.path(space), os.O_RDONLY | os.O_CLOEXEC)
        try:
            both = {"mtu": link.mtu, "group": mark.group}
            peer = {"ifname": link.inner, "net_ns_fd": fd, "address": link.mac, **both}
            ip.link("add", ifname=link.outer, kind="veth", peer=peer, **both)
        finally:
            os.close(fd)

    namespace.require_ours(space, mark)
    delete_link(link.inner, mark, inside=space)
    _at_home(link.outer, make)
    change_veth(space, link, mark)


def change_veth(space: str, link: Veth, mark: Mark) -> None:
    """Set MAC, MTU, bridge and mark of an existing pair, and bring both ends up."""

    def outer(ip: Netlink) -> None:
        master = _ours(link.bridge, mark)
        _set_if_there(f"net/ipv6/conf/{link.outer}/disable_ipv6", "1")
        index = _ours(link.outer, mark)
        up = {"mtu": link.mtu, "master": master, "state": "up"}
        ip.link("set", index=index, **up, **_marked(mark))

    def inner(ip: Netlink) -> None:
        index = _ours(link.inner, mark)
        up = {"address": link.mac, "mtu": link.mtu, "state": "up"}
        ip.link("set", index=index, **up, **_marked(mark))

    _at_home(link.outer, outer)
    _in_namespace(space, link.inner, inner)


def plug(device: str, bridge: str, mark: Mark) -> None:
    """Put a VM's device of the host's namespace on a bridge of ours."""

    def change(ip: Netlink) -> None:
        ip.link("set", index=_index(device), master=_ours(bridge, mark))

    _at_home(device, change)


def isolate(bridge: str, device: str, *, isolated: bool) -> None:
    """Set port isolation of a device; does nothing if it is no longer on that bridge."""

    def change(ip: Netlink) -> None:
        index = _find(device)
        if index is not None and _master(device) == bridge:
            with _may(*GONE):
                ip.brport("set", index=index, isolated=int(isolated))

    _at_home(device, change)


def _master(device: str) -> str:
    """The bridge that the device is on, "" for none."""
    try:
        return os.path.basename(os.readlink(f"/sys/class/net/{device}/master"))
    except OSError:
        return ""


def add_address(space: str, address: Address) -> None:
    """Add an address. IPv6 addresses skip duplicate detection, because we allocate them, except
    for those that several devices of a network may want (plan.ipv6).
    """

    def change(ip: Netlink) -> None:
        own, length = address.cidr.split("/")
        options = {"flags": IFA_F_NODAD} if ":" in own and not ipv6.is_shared(address) else {}
        index = _index(address.device)
        with _may(errno.EEXIST):
            ip.addr("add", index=index, address=own, prefixlen=int(length), **options)

    _in_namespace(space, address.device, change)


def delete_address(space: str, address: Address) -> None:
    """Remove an address."""

    def change(ip: Netlink) -> None:
        own, length = address.cidr.split("/")
        index = _find(address.device)
        if index is not None:
            with _may(*GONE):
                ip.addr("del", index=index, address=own, prefixlen=int(length))

    _in_namespace(space, address.device, change)


def set_route(space: str, route: Route) -> None:
    """Add a route, or replace the one to the same destination."""

    def change(ip: Netlink) -> None:
        ip.route("replace", **_route(route))

    _in_namespace(space, route.destination, change)


def delete_route(space: str, route: Route) -> None:
    """Remove the route to a destination."""

    def change(ip: Netlink) -> None:
        with _may(*GONE):
            ip.route("del", **_route(route))

    _in_namespace(space, route.destination, change)


def _route(route: Route) -> dict[str, object]:
    """pyroute2's arguments; on-link routes have link scope, as `ip route` gives them."""
    wanted: dict[str, object] = {"dst": route.destination, "oif": _index(route.device)}
    if route.via:
        wanted["gateway"] = route.via
    elif ":" not in route.destination:
        wanted["scope"] = RT_SCOPE_LINK
    return wanted


def adopt(name: str, mark: Mark, inside: str | None = None) -> None:
    """Mark a device without a mark. Raises NotOurs if it has another installation's mark.

    It gets the VM group, which the filters do not trust; agents set the group of their devices.
    """

    def change(ip: Netlink) -> None:
        link = netlink.find(name)
        if link is None:
            return
        if link.alias.startswith(ALIAS_PREFIX):
            _ours(name, mark)
        ip.link("set", index=link.index, ifalias=mark.text, group=mark.vm_group)

    if inside is None:
        _at_home(name, change)
    else:
        _in_namespace(inside, name, change)


def _marked(mark: Mark) -> dict[str, object]:
    return {"ifalias": mark.text, "group": mark.group}


def _ours(name: str, mark: Mark) -> int:
    """The index of a device of ours. Raises LinkError or NotOurs."""
    link = netlink.find(name)
    if link is None:
        raise LinkError(f"device {name}: does not exist")
    if not mark.owns(link.alias, link.group):
        raise NotOurs(f"device {name}", link.alias)
    return link.index


def _delete(ip: Netlink, name: str, mark: Mark) -> None:
    if netlink.find(name) is not None:
        index = _ours(name, mark)
        with _may(*GONE):
            ip.link("del", index=index)


def keep_ipv6_off(name: str) -> None:
    """Disable IPv6 on a device of the calling thread's namespace, if the kernel has IPv6."""
    _set_if_there(f"net/ipv6/conf/{name}/disable_ipv6", "1")


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
    """Set a sysctl if it exists: without IPv6 in the kernel its keys are missing."""
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
        with IPRoute() as ip:
            change(ip)
    except NetlinkError as error:
        raise LinkError(f"{what}: {os.strerror(error.code)}") from error
