"""Changing links, addresses and routes, of our mark only.

Functions without a namespace's name work in the calling thread's namespace, which must be the
host's; the others enter the namespace and come back. Each call may be repeated: existing or
missing objects are no error.

A new link has our group from creation. The next message sets its alias, which the kernel does not
accept at creation. Objects without our mark (plan.mark) are not changed or removed: NotOurs. The
change goes to the index of the device that was checked, so it never meets another of that name.
"""

import errno
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress

from a9fe.linux.kernel import namespace, netlink, rtnetlink, sysctl_files
from a9fe.linux.kernel.namespace import NotOurs
from a9fe.linux.kernel.rtnetlink import Link, LinkChange
from a9fe.model.errors import A9feError
from a9fe.plan import ipv6, sysctls
from a9fe.plan.host import Address, Bridge, Route, Veth
from a9fe.plan.mark import ALIAS_PREFIX, Mark

MOST_LEARNED = 8192  # MACs of one bridge, about 1 MiB; VMs without port security may invent more
GONE = (errno.ENODEV, errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL)


class LinkError(A9feError):
    """The kernel refused a change; the message names the device and the reason."""


def set_bridge(bridge: Bridge, mark: Mark) -> None:
    """Make the bridge if missing; set STP off, no forward delay, bounded learning, MTU and up.

    Sysctls keep the host's stack off it even without filters: no IPv6, no ARP replies, rp_filter.
    """
    with about(bridge.name):
        if rtnetlink.find(bridge.name) is None:
            with _may(errno.EEXIST):  # the other agent makes the same bridges
                rtnetlink.add_bridge(LinkChange(name=bridge.name, group=mark.group))
        index = _ours(bridge.name, mark)
        _set(sysctls.bridge(bridge.name))
        rtnetlink.set_bridge(index, stp=0, forward_delay=0, most_learned=MOST_LEARNED)
        rtnetlink.change_link(index, _marked(mark, mtu=bridge.mtu))


def delete_link(name: str, mark: Mark, inside: str | None = None) -> None:
    """Remove a device of the host's namespace, or of the namespace `inside`."""
    with about(name, inside):
        _delete(name, mark)


def delete_links(found: Sequence[Link], mark: Mark) -> None:
    """Remove links of ours, as just read of the calling thread's namespace, at once.

    They are put, by index, into a group of their own, and the group is removed: the kernel then
    waits once for all packets in flight, 20 ms, not for each link.
    """
    group = mark.leaving_group
    for link in found:
        _require_ours(link, mark)
        with about(link.name), _may(*GONE):
            rtnetlink.change_link(link.index, LinkChange(group=group))
    leaving = {link.index for link in rtnetlink.links() if link.group == group}
    ours = {link.index for link in found}
    with about(f"device group {group:#x}"), _may(*GONE):
        if leaving <= ours:
            rtnetlink.delete_group(group)
            return
    for link in found:  # somebody else put a link into the group
        delete_link(link.name, mark)


def add_veth(space: str, link: Veth, mark: Mark) -> None:
    """Make the pair with the inner end in `space`. A left-over outer end of ours is replaced."""
    with about(link.inner, space):
        namespace.require_here_ours(space, mark)
        _delete(link.inner, mark)
    with about(link.outer):
        _delete(link.outer, mark)
        fd = os.open(namespace.path(space), os.O_RDONLY | os.O_CLOEXEC)
        try:
            outer = LinkChange(name=link.outer, mtu=link.mtu, group=mark.group)
            inner = LinkChange(
                name=link.inner, mac=link.mac, mtu=link.mtu, group=mark.group, namespace=fd
            )
            rtnetlink.add_veth(outer, inner)
        finally:
            os.close(fd)
    change_veth(space, link, mark)


def change_veth(space: str, link: Veth, mark: Mark) -> None:
    """Set MAC, MTU, bridge and mark of an existing pair, and bring both ends up."""
    with about(link.outer):
        master = _ours(link.bridge, mark)
        keep_ipv6_off(link.outer)
        index = _ours(link.outer, mark)
        rtnetlink.change_link(index, _marked(mark, mtu=link.mtu, master=master))
    with about(link.inner, space):
        index = _ours(link.inner, mark)
        rtnetlink.change_link(index, _marked(mark, mtu=link.mtu, mac=link.mac))


def plug(device: str, bridge: str, mark: Mark) -> None:
    """Put a VM's device of the host's namespace on a bridge of ours."""
    with about(device):
        rtnetlink.change_link(_index(device), LinkChange(master=_ours(bridge, mark)))


def isolate(bridge: str, device: str, *, isolated: bool) -> None:
    """Set port isolation of a device; does nothing if it is no longer on that bridge."""
    with about(device):
        link, on = rtnetlink.find(device), rtnetlink.find(bridge)
        if link is not None and on is not None and link.master == on.index:
            with _may(*GONE, errno.EOPNOTSUPP):  # it has left the bridge since
                rtnetlink.set_isolated(link.index, isolated=isolated)


def add_address(space: str, address: Address) -> None:
    """Add an address. IPv6 addresses skip duplicate detection, because we allocate them, except
    for those that several devices of a network may want (plan.ipv6).
    """
    with about(address.device, space), _may(errno.EEXIST):
        index = _index(address.device)
        shared = ipv6.is_shared(address)
        rtnetlink.add_address(index, address.cidr, detect_duplicates=shared)


def delete_address(space: str, address: Address) -> None:
    """Remove an address."""
    with about(address.device, space):
        index = _find(address.device)
        if index is not None:
            with _may(*GONE):
                rtnetlink.delete_address(index, address.cidr)


def set_route(space: str, route: Route) -> None:
    """Add a route, or replace the one to the same destination."""
    with about(route.destination, space):
        rtnetlink.set_route(route.destination, route.via, _index(route.device))


def delete_route(space: str, route: Route) -> None:
    """Remove the route to a destination."""
    with about(route.destination, space), _may(*GONE):
        rtnetlink.delete_route(route.destination, route.via, _index(route.device))


def adopt(name: str, mark: Mark, inside: str | None = None) -> None:
    """Mark a device without a mark. Raises NotOurs if it has another installation's mark.

    It gets the VM group, which the filters do not trust; agents set the group of their devices.
    """
    with about(name, inside):
        link = rtnetlink.find(name)
        if link is None:
            return
        if link.alias.startswith(ALIAS_PREFIX):
            _ours(name, mark)
        rtnetlink.change_link(link.index, LinkChange(alias=mark.text, group=mark.vm_group))


def _marked(
    mark: Mark, *, mtu: int, master: int | None = None, mac: str | None = None
) -> LinkChange:
    """The change that completes the mark and brings the link up."""
    return LinkChange(alias=mark.text, group=mark.group, mtu=mtu, master=master, mac=mac, up=True)


def existing(name: str) -> Link:
    """The device of that name. Raises LinkError."""
    link = rtnetlink.find(name)
    if link is None:
        raise LinkError(f"device {name}: does not exist")
    return link


def own(name: str, mark: Mark) -> Link:
    """The device of ours of that name. Raises LinkError or NotOurs."""
    link = existing(name)
    _require_ours(link, mark)
    return link


def _ours(name: str, mark: Mark) -> int:
    return own(name, mark).index


def _require_ours(link: Link, mark: Mark) -> None:
    if not mark.owns(link.alias, link.group):
        raise NotOurs(f"device {link.name}", link.alias)


def _delete(name: str, mark: Mark) -> None:
    link = rtnetlink.find(name)
    if link is not None:  # it may go meanwhile: the kernel frees a deleted namespace later
        _require_ours(link, mark)
        with _may(*GONE):
            rtnetlink.delete_link(link.index)


def keep_ipv6_off(name: str) -> None:
    """Disable IPv6 on a device of the calling thread's namespace, if the kernel has IPv6."""
    _set({f"net/ipv6/conf/{name}/disable_ipv6": "1"})


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


def _set(settings: Mapping[str, str]) -> None:
    """Write sysctls that have another value; without IPv6 in the kernel its keys are missing."""
    found = sysctl_files.read(settings)
    for key, value in settings.items():
        if found.get(key, value) != value:
            with suppress(FileNotFoundError):  # the device has gone
                namespace.write_sysctl(key, value)


@contextmanager
def _may(*codes: int) -> Iterator[None]:
    try:
        yield
    except netlink.Refused as error:
        if error.errno not in codes:
            raise


@contextmanager
def about(what: str, space: str | None = None) -> Iterator[None]:
    """Work in the namespace, None for the calling thread's. A refusal names `what` and it."""
    where = f"{what} in {space}" if space else what
    try:
        with namespace.inside(space) if space else nullcontext():
            yield
    except netlink.Refused as error:
        raise LinkError(f"{where}: {error.strerror}") from error
