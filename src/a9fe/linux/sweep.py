"""Removing every kernel object that is ours, by the table of plan.names, and nothing else.

What has a name like ours and is something else (a dummy called tap..., a bridge with a device of
others on it) is left and reported.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from a9fe.linux import dnsmasq, guest, links, namespace, observation, process
from a9fe.linux.netlink import Link
from a9fe.linux.nftables import Nftables
from a9fe.model.errors import A9feError
from a9fe.plan import names

OUR_KINDS = ("veth", "tun")
OUR_DIRECTORY = re.compile(r".*/dhcp/[0-9a-f-]{36}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """One line each: what was removed, and what looks like ours but was left, with the reason."""

    removed: tuple[str, ...]
    left: tuple[str, ...]


def clean(state_path: str) -> Swept:
    """Remove all of ours. Whoever still runs would make it again: hold the state's lock."""
    confs = os.path.join(os.path.abspath(state_path), "dhcp")
    removed: list[str] = []
    left: list[str] = []
    removed.extend(_guests())
    removed.extend(_dnsmasqs(confs))
    left.extend(_strangers())
    removed.extend(_namespaces())
    for device, reason in _devices():
        (left if reason else removed).append(f"{device}{reason}")
    removed.extend(_filters())
    return Swept(removed=tuple(removed), left=tuple(left))


def _guests() -> Iterator[str]:
    for name in guest.names():
        if guest.stop(name):
            yield f"guest {name}"


def _dnsmasqs(confs: str) -> Iterator[str]:
    """Those below our state; and those of any state of ours that run in a namespace of ours."""
    spaces = {namespace.inode(space) for space in observation.our_namespaces(observation.DHCP)} - {
        0
    }
    for pid in process.all_pids():
        directory = dnsmasq.directory_of(pid)
        inside = process.network_namespace(pid) in spaces and OUR_DIRECTORY.fullmatch(directory)
        if (directory.startswith(f"{confs}/") or inside) and dnsmasq.stop(directory):
            yield f"dnsmasq {os.path.basename(directory)} (pid {pid})"
    for network_id in sorted(os.listdir(confs)) if os.path.isdir(confs) else ():
        if names.DHCP_NAMESPACE.fullmatch(names.dhcp_namespace(network_id)):
            dnsmasq.remove(f"{confs}/{network_id}")


def _spaces() -> list[str]:
    owners = observation.OWNERS.values()
    return [space for owner in owners for space in observation.our_namespaces(owner)]


def _strangers() -> Iterator[str]:
    """Processes of others in our namespaces: they live on in one without a name."""
    spaces = {namespace.inode(space): space for space in _spaces()}
    spaces.pop(0, None)
    for pid in process.all_pids():
        space = spaces.get(process.network_namespace(pid))
        if space is not None and process.alive(pid):
            program = os.path.basename(next(iter(process.command_line(pid)), "?"))
            yield f"process {pid} ({program}) in {space}: left, it is not ours"


def _namespaces() -> Iterator[str]:
    for space in _spaces():
        if namespace.delete(space):
            yield f"namespace {space}"


def _devices() -> Iterator[tuple[str, str]]:
    """Devices and bridges with "", or the reason why one was left."""
    home = namespace.in_thread(observation.Home.read)
    for link in sorted(home.links.values(), key=lambda link: link.name):
        if names.OUTER_DEVICE.fullmatch(link.name):
            reason = _foreign_device(link, home)
            if not reason:
                links.delete_link(link.name)
            yield f"device {link.name}", reason
    home = namespace.in_thread(observation.Home.read)
    for link in sorted(home.links.values(), key=lambda link: link.name):
        if names.BRIDGE.fullmatch(link.name):
            reason = _foreign_bridge(link, home)
            if not reason:
                links.delete_link(link.name)
            yield f"bridge {link.name}", reason


def _foreign_device(link: Link, home: observation.Home) -> str:
    """Ours are veths and taps that are on a bridge of ours, or on none any more."""
    master = home.links.get(link.master)
    if link.kind not in OUR_KINDS:
        return f": left, it is a {link.kind or 'physical'} device, not a veth or tap"
    if master is not None and not observation.is_our_bridge(master):
        return f": left, it is on {master.name}, which is not ours"
    return ""


def _foreign_bridge(link: Link, home: observation.Home) -> str:
    if link.kind != "bridge":
        return f": left, it is a {link.kind or 'physical'} device, not a bridge"
    others = sorted(home.on(link.index))
    if others:
        return f": left, {', '.join(others)} on it is not ours"
    return ""


def _filters() -> Iterator[str]:
    try:
        tables = Nftables()
        if namespace.in_thread(tables.observe) is not None:
            tables.apply(None)
            yield "port security's nftables table"
    except (A9feError, OSError):
        return  # no nftables in this kernel: then there is no table either
