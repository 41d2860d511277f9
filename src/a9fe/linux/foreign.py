"""Objects with our names but without our mark: listing them, and adopting unmarked ones.

They belong to another a9fe installation, to other software (Neutron's agents use the same names),
or to a version of a9fe without marks. Only `adopt`, which an operator requests, changes them.
"""

import os
import re
from collections.abc import Iterator

from a9fe.linux import observation
from a9fe.linux.kernel import links, namespace, rtnetlink
from a9fe.linux.kernel.rtnetlink import Link
from a9fe.linux.processes import process
from a9fe.linux.rulesets import tables
from a9fe.plan import names
from a9fe.plan.mark import ALIAS_PREFIX, Mark, owner_of

OUR_KINDS = ("veth", "tun")
TABLE = "a9fe"  # name of the nftables table before marks existed
TABLE_NAME = re.compile(rf"{TABLE}(_[0-9a-f]{{8}})?")
NEUTRON_AGENT = re.compile(r"neutron-[a-z0-9-]*agent")


def others(mark: Mark) -> tuple[str, ...]:
    """One line per foreign namespace and nftables table, with its owner as far as known."""
    return (*_other_namespaces(mark), *_other_tables(mark))


def other_links(mark: Mark) -> tuple[str, ...]:
    """One line per foreign bridge, with its owner as far as known. Taps are not listed."""
    found = observation.Home.read(mark).foreign_bridges()
    return tuple(f"bridge {name}: left, it is {owner_of(alias)}" for name, alias in found.items())


def has_table_without_mark() -> bool:
    """Whether the nftables table of an a9fe without marks exists."""
    return TABLE in _tables()


def neutron_agents() -> dict[int, str]:
    """Return the Neutron agents that run on this host: names by pid."""
    found: dict[int, str] = {}
    for pid in process.all_pids():
        words = (os.path.basename(word) for word in process.command_line(pid)[:2])
        name = next(filter(NEUTRON_AGENT.fullmatch, words), "")
        if name:
            found[pid] = name
    return found


def adopt(mark: Mark) -> Iterator[str]:
    """Mark unmarked objects with our names, which an older a9fe left. Yields a line for each.

    Only the name shows that they are ours, so only an operator may request this. Objects with
    another mark, or on a foreign bridge, are left alone. The nftables table of an older a9fe is
    removed, because ours has another name.
    """
    for space in named_namespaces():
        if not namespace.mark_of(space):
            namespace.adopt(space, mark)
            for name in _inner_devices(space):
                links.adopt(name, mark, inside=space)
            yield f"namespace {space}"
    home = observation.Home.read(mark)
    for link in sorted(home.links.values(), key=lambda link: link.name):
        if _may_be_adopted(link, home):
            links.adopt(link.name, mark)
            yield f"{'bridge' if link.kind == 'bridge' else 'device'} {link.name}"
    if TABLE in _tables():
        tables.remove(TABLE)
        yield f"nftables table bridge {TABLE} (removed: ours has another name)"


def named_namespaces() -> list[str]:
    """The namespaces with names like ours, with and without our mark."""
    owners = observation.OWNERS.values()
    agents = [space for owner in owners for space in observation.named_namespaces(owner)]
    guests = (name for name in namespace.handles() if name.startswith(names.GUEST_PREFIX))
    return [*agents, *guests]


def _other_namespaces(mark: Mark) -> Iterator[str]:
    for space in named_namespaces():
        found = namespace.mark_of(space)
        if found != mark.text:
            yield f"namespace {space}: left, it is {owner_of(found)}"


def _other_tables(mark: Mark) -> Iterator[str]:
    for table, text in _tables().items():
        if text != mark.text:
            yield f"nftables table bridge {table}: left, it is {owner_of(text)}"


def _tables() -> dict[str, str]:
    """The comments of tables with names like ours."""
    try:
        found = tables.comments_of()
    except OSError:
        return {}  # no nftables, or no bridge family in this kernel
    return {table: text for table, text in found.items() if TABLE_NAME.fullmatch(table)}


def _inner_devices(space: str) -> list[str]:
    if not namespace.exists(space):
        return []
    owners = observation.OWNERS.values()
    prefixes = tuple(prefix for owner in owners for prefix in owner.prefixes)
    inside = namespace.call_inside(space, rtnetlink.links)
    return [link.name for link in inside if link.name.startswith(prefixes)]


def _may_be_adopted(link: Link, home: observation.Home) -> bool:
    if home.owns(link) or link.alias.startswith(ALIAS_PREFIX):
        return False
    if observation.is_bridge_by_name(link):
        return True
    named = names.OUTER_DEVICE.fullmatch(link.name)
    return link.kind in OUR_KINDS and named is not None and _is_on_ours_or_none(link, home)


def _is_on_ours_or_none(link: Link, home: observation.Home) -> bool:
    """A tap of an older a9fe is on one of its bridges; on a foreign bridge it is foreign."""
    master = home.links.get(link.master)
    if master is None:
        return True
    anothers = master.alias.startswith(ALIAS_PREFIX) and not home.owns(master)
    return observation.is_bridge_by_name(master) and not anothers
