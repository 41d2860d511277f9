"""Remove every kernel object with this installation's mark (plan.mark), and nothing else.

Objects that only have one of our names are left, and listed with the reason (a9fe.linux.foreign).
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from a9fe.linux import foreign, observation
from a9fe.linux.dhcp import dnsmasq
from a9fe.linux.foreign import OUR_KINDS
from a9fe.linux.kernel import links, namespace, uplinks
from a9fe.linux.kernel.rtnetlink import Link
from a9fe.linux.processes import process
from a9fe.linux.rulesets import nftables
from a9fe.linux.vms import guest
from a9fe.model.errors import A9feError
from a9fe.plan import names
from a9fe.plan.mark import Mark, owner_of

OUR_DIRECTORY = re.compile(r".*/dhcp/[0-9a-f-]{36}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """Lines for the operator: removed objects; objects with our names that were left, and why."""

    removed: tuple[str, ...]
    left: tuple[str, ...]


def clean(state_path: str, mark: Mark) -> Swept:
    """Remove all our objects. Hold the state's lock: a running agent would make them again."""
    confs = os.path.join(os.path.abspath(state_path), "dhcp")
    removed: list[str] = []
    left: list[str] = []
    removed.extend(_guests(mark))
    removed.extend(_dnsmasqs(confs, mark))
    left.extend(_foreign_processes(mark))
    removed.extend(_namespaces(mark))
    removed.extend(_uplinks(mark))
    for device, reason in _devices(mark):
        (left if reason else removed).append(f"{device}{reason}")
    removed.extend(_filters(mark))
    left.extend(foreign.others(mark))
    return Swept(removed=tuple(removed), left=tuple(left))


def _guests(mark: Mark) -> Iterator[str]:
    for name in guest.names(mark):
        if guest.stop(name):
            yield f"guest {name}"


def _dnsmasqs(confs: str, mark: Mark) -> Iterator[str]:
    """End dnsmasqs with a directory below our state_path, or in a namespace with our mark."""
    ours = observation.our_namespaces(observation.DHCP, mark)
    spaces = {namespace.inode(space) for space in ours} - {0}
    for pid in process.all_pids():
        directory = dnsmasq.directory_of(pid)
        inside = process.network_namespace(pid) in spaces and OUR_DIRECTORY.fullmatch(directory)
        if (directory.startswith(f"{confs}/") or inside) and dnsmasq.stop(directory):
            yield f"dnsmasq {os.path.basename(directory)} (pid {pid})"
    for network_id in sorted(os.listdir(confs)) if os.path.isdir(confs) else ():
        if names.DHCP_NAMESPACE.fullmatch(names.dhcp_namespace(network_id)):
            dnsmasq.remove(f"{confs}/{network_id}")


def _spaces(mark: Mark) -> list[str]:
    owners = observation.OWNERS.values()
    return [space for owner in owners for space in observation.our_namespaces(owner, mark)]


def _foreign_processes(mark: Mark) -> Iterator[str]:
    """Processes of others in our namespaces; they keep running in a namespace without a name."""
    spaces = {namespace.inode(space): space for space in _spaces(mark)}
    spaces.pop(0, None)
    if not spaces:
        return
    hidden = 0
    for pid in process.all_pids():
        inode = process.network_namespace(pid)
        hidden += inode == process.HIDDEN
        space = spaces.get(inode)
        if space is not None and process.alive(pid):
            program = os.path.basename(next(iter(process.command_line(pid)), "?"))
            yield f"process {pid} ({program}) in {space}: left, it is not ours"
    if hidden:
        yield (
            f"{hidden} processes cannot be inspected (no CAP_SYS_PTRACE): any in our namespaces"
            " keeps running"
        )


def _namespaces(mark: Mark) -> Iterator[str]:
    for space in _spaces(mark):
        if namespace.delete(space, mark):
            yield f"namespace {space}"
    namespace.remove_draft(mark)


def _uplinks(mark: Mark) -> Iterator[str]:
    """Remove pairs to foreign bridges, and release interfaces."""
    for uplink in sorted(observation.Home.read(mark).uplinks()):
        uplinks.delete_uplink(uplink, mark)
        yield f"uplink of {uplink.bridge or 'no bridge'} to {uplink.device or 'no device'}"


def _devices(mark: Mark) -> Iterator[tuple[str, str]]:
    """Remove devices and bridges; yield each with "", or with the reason why it was left."""
    for what, name, reason_of in (
        ("device", names.OUTER_DEVICE, _foreign_device),
        ("bridge", names.BRIDGE, _foreign_bridge),
    ):
        home = observation.Home.read(mark)
        for link in sorted(home.links.values(), key=lambda link: link.name):
            if name.fullmatch(link.name):
                reason = reason_of(link, home)
                if not reason:
                    links.delete_link(link.name, mark)
                yield f"{what} {link.name}", reason


def _foreign_device(link: Link, home: observation.Home) -> str:
    """Return why a device is not ours, "" if it is: ours are veths and taps with our mark."""
    if link.kind not in OUR_KINDS:
        return f": left, it is a {link.kind or 'physical'} device, not a veth or tap"
    if not home.owns(link):
        return f": left, it is {owner_of(link.alias)}"
    return ""


def _foreign_bridge(link: Link, home: observation.Home) -> str:
    """Return why a bridge is not removed, "" if it can be."""
    if link.kind != "bridge":
        return f": left, it is a {link.kind or 'physical'} device, not a bridge"
    if not home.owns(link):
        return f": left, it is {owner_of(link.alias)}"
    others = sorted(home.on(link.index))
    if others:
        return f": left, {', '.join(others)} on it is not ours"
    return ""


def _filters(mark: Mark) -> Iterator[str]:
    try:
        filters = nftables.Nftables(mark)
        if filters.observe() is not None:
            filters.apply(None)
            yield "port security's nftables table"
    except (A9feError, OSError):
        return  # without nftables in the kernel there is no table
