"""Remove every kernel object with this installation's mark (plan.mark), and nothing else.

Objects that only have one of our names are left, and listed with the reason (a9fe.linux.foreign).
"""

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from a9fe.linux import foreign, observation
from a9fe.linux.foreign import OUR_KINDS
from a9fe.linux.kernel import links, namespace, uplinks
from a9fe.linux.kernel.rtnetlink import Link
from a9fe.linux.processes import daemons, process
from a9fe.linux.rulesets import nftables
from a9fe.linux.vms import guest
from a9fe.model.errors import A9feError
from a9fe.plan import names
from a9fe.plan.mark import Mark, owner_of

INTERVAL = 1.0  # s between lines of progress
# At once, so that the kernel's lock on all devices is held for a second, not for a minute.
DEVICES_AT_ONCE, BRIDGES_AT_ONCE = 500, 50
OUR_DIRECTORY = r".*/{confs}/[0-9a-f-]{{36}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """Lines for the operator: removed objects; objects with our names that were left, and why."""

    removed: tuple[str, ...]
    left: tuple[str, ...]


class Progress:
    """Says what is done, at most once in INTERVAL s."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """`say` gets lines for the operator, such as "removed 300 of 1,000 namespaces"."""
        self._say = say
        self._next = time.monotonic() + INTERVAL

    def removed(self, done: int, total: int, what: str) -> None:
        """Note that `done` of `total` objects are removed."""
        if time.monotonic() >= self._next:
            self._say(f"removed {done:,} of {total:,} {what}")
            self._next = time.monotonic() + INTERVAL


def clean(state_path: str, mark: Mark, say: Callable[[str], None] = lambda _: None) -> Swept:
    """Remove all our objects. Hold the state's lock: a running agent would make them again.

    Cost: O(objects of ours and processes). The kernel waits four of its ticks (16 ms at 250 Hz)
    for each bridge, one after the other; all that needs no lock on devices is done meanwhile.
    """
    progress = Progress(say)
    removed: list[str] = [*_guests(mark)]
    spaces = {space: namespace.inode(space) for space in _spaces(mark)}
    removed.extend(_uplinks(mark))
    found = [*_devices(mark, progress)]
    # Marks are read under the lock on devices, so all before the bridges.
    with namespace.removal(list(spaces), mark) as going, ThreadPoolExecutor(1) as beside:
        bridges = beside.submit(lambda: [*_bridges(mark, progress)])
        seen = {pid: process.network_namespace(pid) for pid in process.all_pids()}
        for owner in observation.OWNERS.values():
            confs = os.path.join(os.path.abspath(state_path), owner.confs)
            removed.extend(_daemons(owner, confs, seen, set(spaces.values()) - {0}))
        left: list[str] = [*_foreign_processes(seen, spaces)]
        removed.extend(_namespaces(going, len(spaces), progress))
    namespace.remove_draft(mark)
    for device, reason in (*found, *bridges.result()):
        (left if reason else removed).append(f"{device}{reason}")
    removed.extend(_filters(mark))
    left.extend(foreign.others(mark))
    return Swept(removed=tuple(removed), left=tuple(left))


def _guests(mark: Mark) -> Iterator[str]:
    for name in guest.names(mark):
        if guest.stop(name):
            yield f"guest {name}"


def _daemons(
    owner: observation.Owner, confs: str, seen: Mapping[int, int], spaces: Set[int]
) -> Iterator[str]:
    """End daemons with a directory below `confs` in our state_path, or in one of our namespaces.

    `seen`: the namespace of each process.
    """
    daemon, form = owner.daemon, re.compile(OUR_DIRECTORY.format(confs=owner.confs))
    ours: dict[int, str] = {}
    for pid, inode in seen.items():
        directory = daemon.directory_of(pid)
        inside = inode in spaces and form.fullmatch(directory)
        if directory.startswith(f"{confs}/") or inside:
            ours[pid] = directory
    tests = {pid: partial(daemon.is_ours, directory=path) for pid, path in ours.items()}
    for pid in sorted(process.end_all(tests)):
        yield f"{daemon.program} {os.path.basename(ours[pid])} (pid {pid})"
    for _, directory in observation.daemon_directories(owner, confs):
        daemons.remove_files(directory)


def _spaces(mark: Mark) -> list[str]:
    owners = observation.OWNERS.values()
    return [space for owner in owners for space in observation.our_namespaces(owner, mark)]


def _foreign_processes(seen: Mapping[int, int], spaces: Mapping[str, int]) -> Iterator[str]:
    """Processes of others in our namespaces; they keep running in a namespace without a name."""
    named = {inode: space for space, inode in spaces.items() if inode}
    if not named:
        return
    for pid, inode in seen.items():
        space = named.get(inode)
        if space is not None and process.alive(pid):
            program = os.path.basename(next(iter(process.command_line(pid)), "?"))
            yield f"process {pid} ({program}) in {space}: left, it is not ours"
    hidden = list(seen.values()).count(process.HIDDEN)
    if hidden:
        yield (
            f"{hidden} processes cannot be inspected (no CAP_SYS_PTRACE): any in our namespaces"
            " keeps running"
        )


def _namespaces(going: Iterable[str], total: int, progress: Progress) -> Iterator[str]:
    for done, space in enumerate(going, 1):
        progress.removed(done, total, "namespaces")
        yield f"namespace {space}"


def _uplinks(mark: Mark) -> Iterator[str]:
    """Remove pairs to foreign bridges, and release interfaces."""
    for uplink in sorted(observation.Home.read(mark).uplinks()):
        uplinks.delete_uplink(uplink, mark)
        yield f"uplink of {uplink.bridge or 'no bridge'} to {uplink.device or 'no device'}"


def _devices(mark: Mark, progress: Progress) -> Iterator[tuple[str, str]]:
    """Remove devices; yield each with "", or with the reason why it was left."""
    home = observation.Home.read(mark)
    found = {x: _foreign_device(x, home) for x in _named(home, names.OUTER_DEVICE)}
    return _removed(mark, found, "device", DEVICES_AT_ONCE, progress)


def _bridges(mark: Mark, progress: Progress) -> Iterator[tuple[str, str]]:
    """Remove bridges, after the devices; yield as `_devices`."""
    home = observation.Home.read(mark)
    found = {x: _foreign_bridge(x, home) for x in _named(home, names.BRIDGE)}
    return _removed(mark, found, "bridge", BRIDGES_AT_ONCE, progress)


def _named(home: observation.Home, name: re.Pattern[str]) -> list[Link]:
    found = sorted(home.links.values(), key=lambda link: link.name)
    return [link for link in found if name.fullmatch(link.name)]


def _removed(
    mark: Mark, found: Mapping[Link, str], what: str, size: int, progress: Progress
) -> Iterator[tuple[str, str]]:
    """Remove links without a reason against it, `size` at once; yield all with their reasons."""
    ours = [link for link, reason in found.items() if not reason]
    for start in range(0, len(ours), size):
        links.delete_links(ours[start : start + size], mark)
        progress.removed(min(start + size, len(ours)), len(ours), f"{what}s")
    yield from ((f"{what} {link.name}", reason) for link, reason in found.items())


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
