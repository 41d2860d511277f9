"""The outer device of a VM's port in the host's namespace: a tap or veth end on the bridge."""

import fcntl
import json
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from a9fe.linux.kernel import links, rtnetlink
from a9fe.linux.kernel.namespace import NotOurs
from a9fe.linux.processes import programs
from a9fe.model.errors import A9feError
from a9fe.plan import mark as marks
from a9fe.plan import names
from a9fe.plan.mark import Mark

TUN_DEVICE = "/dev/net/tun"
TUNSETIFF = 0x400454CA
TUNSETPERSIST = 0x400454CB
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000


class DeviceBusy(A9feError):
    """The port's device exists and is in use."""


class NoBridge(A9feError):
    """The network's bridge does not exist on this host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tap:
    """A port's device `name` on `bridge`, `mtu` in bytes."""

    name: str
    bridge: str
    mtu: int


@contextmanager
def attached(tap: Tap) -> Iterator[None]:
    """Make the tap, up and on its bridge, for the block."""
    mark = claim(tap)
    _make(tap.name, mark)
    try:
        plug(tap, mark)
        yield
    finally:
        remove(tap.name)


def _make(name: str, mark: Mark) -> None:
    """Make a tap, marked before TUNSETPERSIST, so that a killed process leaves no unmarked tap."""
    try:
        fd = os.open(TUN_DEVICE, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
            links.adopt(name, mark)
            fcntl.ioctl(fd, TUNSETPERSIST, 1)
        finally:
            os.close(fd)
    except OSError as error:
        raise A9feError(f"{name}: cannot create it with {TUN_DEVICE}: {error.strerror}") from error


def claim(tap: Tap) -> Mark:
    """Check that the bridge exists and the name is free; remove an unused device of ours.

    Return the mark for the new device, which is the bridge's. Raises NoBridge, DeviceBusy, or
    NotOurs if the bridge or the device is foreign.
    """
    mark = _mark_of_bridge(tap.bridge)
    old = link(tap.name)
    if old is not None and old.running:
        raise DeviceBusy(f"{tap.name}: is in use, the port has a running VM or guest already")
    remove(tap.name)
    return mark


def _mark_of_bridge(name: str) -> Mark:
    bridge = rtnetlink.find(name)
    if bridge is None:
        raise NoBridge(f"bridge {name}: does not exist, expected a bridge of a running `a9fe up`")
    found = marks.read(bridge.alias)
    if found is None:
        raise NotOurs(f"bridge {name}", bridge.alias)
    return found


def plug(tap: Tap, mark: Mark) -> None:
    """Put the device on its bridge, marked and up."""
    device = ["ip", "link", "set", "dev", tap.name, "alias", mark.text]
    on = ["group", str(mark.vm_group), "mtu", str(tap.mtu), "master", tap.bridge, "up"]
    programs.run([*device, *on])


def remove(name: str) -> bool:
    """Remove the device; return False if there is none. Raises NotOurs if it is foreign.

    A VM's tap made by libvirt or by hand has no mark: with a port's name and on one of our bridges
    it is ours.
    """
    found = rtnetlink.find(name)
    if found is None:
        return False
    if marks.read(found.alias) is None and not _is_on_bridge_of_ours(found):
        raise NotOurs(f"device {name}", found.alias)
    programs.run(["ip", "link", "delete", "dev", name])
    return True


def is_tap(name: str) -> bool:
    """Whether a tap of that name exists; a namespace guest has a veth end instead."""
    found = rtnetlink.find(name)
    return found is not None and found.kind == "tun"


def remove_idle(name: str) -> bool:
    """As `remove`, but raise DeviceBusy if a VM uses the device."""
    found = link(name)
    if found is not None and found.running:
        raise DeviceBusy(
            f"{name}: not removed, its VM still runs; stop it, then run: ip link delete dev {name}"
        )
    return remove(name)


def _is_on_bridge_of_ours(tap: rtnetlink.Link) -> bool:
    master = next((x for x in rtnetlink.links() if x.index == tap.master), None)
    named = names.OUTER_DEVICE.fullmatch(tap.name) and not tap.alias
    return bool(named) and master is not None and marks.read(master.alias) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A device as iproute2 shows it. `peer_index`: a veth's peer; `running`: it has a carrier."""

    name: str
    index: int
    peer_index: int
    running: bool
    addresses: tuple[str, ...]


def link(name: str) -> Link | None:
    """The device of that name in this namespace; None if there is none."""
    try:
        return parse(programs.run(["ip", "-json", "address", "show", "dev", name]))[0]
    except programs.ProgramFailed:
        return None


def parse(shown: str) -> list[Link]:
    """Parse the output of `ip -json address show`."""
    return [
        Link(
            name=entry["ifname"],
            index=entry["ifindex"],
            peer_index=entry.get("link_index", 0),
            running="LOWER_UP" in entry["flags"],
            addresses=tuple(
                f"{a['local']}/{a['prefixlen']}"
                for a in entry.get("addr_info", [])
                if a["family"] == "inet"
            ),
        )
        for entry in json.loads(shown)
        if entry
    ]
