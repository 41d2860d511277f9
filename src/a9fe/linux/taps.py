"""The outer device of a VM's port in the host's namespace: a tap or veth end on the bridge."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from a9fe.linux import programs
from a9fe.model.errors import A9feError


class DeviceBusy(A9feError):
    """The port's device is there already and something uses it."""


class NoBridge(A9feError):
    """The network's bridge is not on this host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tap:
    """A port's device `name` on `bridge`, `mtu` in bytes."""

    name: str
    bridge: str
    mtu: int


@contextmanager
def attached(tap: Tap) -> Iterator[None]:
    """The tap exists, up on its bridge, for the block."""
    claim(tap)
    programs.run(["ip", "tuntap", "add", "dev", tap.name, "mode", "tap"])
    try:
        plug(tap)
        yield
    finally:
        remove(tap.name)


def claim(tap: Tap) -> None:
    """See that the bridge is there and the name free; a dead left-over of the name is removed."""
    if link(tap.bridge) is None:
        raise NoBridge(
            f"bridge {tap.bridge}: does not exist here, expected one of a running a9fe up"
        )
    old = link(tap.name)
    if old is None:
        return
    if old.running:
        raise DeviceBusy(f"{tap.name}: is in use, the port has a running VM or guest already")
    remove(tap.name)


def plug(tap: Tap) -> None:
    """Put the device on its bridge, and up."""
    device = ["ip", "link", "set", "dev", tap.name]
    programs.run([*device, "mtu", str(tap.mtu), "master", tap.bridge, "up"])


def remove(name: str) -> None:
    """Remove the device, if it is there."""
    if link(name) is not None:
        programs.run(["ip", "link", "delete", "dev", name])


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A device as iproute2 shows it. `peer_index` is a veth's other end, `running` its carrier."""

    name: str
    index: int
    peer_index: int
    running: bool
    addresses: tuple[str, ...]


def link(name: str) -> Link | None:
    """The device of that name where we are; None if there is none."""
    try:
        return parse(programs.run(["ip", "-json", "address", "show", "dev", name]))[0]
    except programs.ProgramFailed:
        return None


def parse(shown: str) -> list[Link]:
    """What `ip -json address show` printed."""
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
