"""Leases with another route to metadata than the one that DHCP announces now.

Option 121 announces a next hop to metadata (a way): the DHCP port or the gateway. A VM keeps it as
long as its lease, a day by default, and some clients keep it even if a renewal announces another.
So the JSON file `ways` beside dnsmasq's files has: `told`, the UNIX time in s since which each way
is announced; `given`, the lease holders (MAC, address) of former ways; and `before`, the leases
that already existed in the second of a change, because dnsmasq's times are whole seconds.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from a9fe.plan.dhcp.dnsmasq import FOREVER, LEASES_FILE
from a9fe.runtime import whole_files
from a9fe.runtime.clock import SystemClock

WAYS_FILE = "ways"

Holder = tuple[str, str]  # MAC, address


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Lease:
    """A line of dnsmasq's lease file. `expires` in UNIX seconds, 0 for never."""

    holder: Holder
    expires: int


@dataclass(slots=True, kw_only=True)
class Ways:
    """The content of the file `ways`."""

    told: dict[str, int] = field(default_factory=dict)
    given: dict[str, set[Holder]] = field(default_factory=dict)
    before: set[Lease] = field(default_factory=set)


def remember(directory: str, wanted: Iterable[str], duration: int) -> None:
    """Record the ways announced from now on, and the lease holders of ways no longer announced.

    Call it before dnsmasq reloads. `duration` of its leases in s, or FOREVER.
    """
    ways, now, new = _read(directory), SystemClock().now(), set(wanted)
    if ways.told.keys() == new:
        return
    leases = list(live(directory, now))
    for way in ways.told.keys() - new:
        ways.given.setdefault(way, set()).update(_given(ways, way, leases, duration))
    ways.told = {way: ways.told.get(way, int(now)) for way in new}
    ways.before = {one for one in leases if one.expires and one.expires - duration >= int(now)}
    _write(directory, ways)


def in_use(directory: str, duration: int) -> Mapping[str, frozenset[str]]:
    """Return the leased addresses by way (next hop to metadata). O(leases)."""
    ways = _read(directory)
    if not (ways.told or ways.given):
        return {}
    leases = list(live(directory, SystemClock().now()))
    holders = {lease.holder for lease in leases}
    found = {way: held & holders for way, held in ways.given.items()}
    for way in ways.told:
        found.setdefault(way, set()).update(_given(ways, way, leases, duration))
    return {way: frozenset(address for _, address in held) for way, held in found.items() if held}


def live(directory: str, now: float) -> Iterator[Lease]:
    """The IPv4 leases in dnsmasq's file that have not expired."""
    try:
        text = Path(directory, LEASES_FILE).read_text()
    except FileNotFoundError:
        return
    for line in text.splitlines():
        words = line.split()
        if len(words) < 4 or not words[0].isdigit() or ":" in words[2]:
            continue  # DHCPv6, or a line that is being written
        lease = Lease(holder=(words[1].lower(), words[2]), expires=int(words[0]))
        if lease.expires == 0 or lease.expires > now:
            yield lease


def _given(ways: Ways, way: str, leases: Iterable[Lease], duration: int) -> Iterator[Holder]:
    """Leases taken since the way is announced, and all infinite ones, which have no start time."""
    for lease in leases:
        unknown = lease.expires == 0 or duration == FOREVER
        since = lease.expires - duration >= ways.told[way] and lease not in ways.before
        if unknown or since:
            yield lease.holder


def _read(directory: str) -> Ways:
    """The content of the file; empty if missing or unreadable."""
    try:
        found = json.loads(Path(directory, WAYS_FILE).read_text())
        return Ways(
            told=dict(found["told"]),
            given={way: {(mac, ip) for mac, ip in held} for way, held in found["given"].items()},
            before={Lease(holder=(mac, ip), expires=end) for mac, ip, end in found["before"]},
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return Ways()


def _write(directory: str, ways: Ways) -> None:
    document = {
        "told": ways.told,
        "given": {way: sorted(held) for way, held in ways.given.items()},
        "before": [[*one.holder, one.expires] for one in sorted(ways.before)],
    }
    content = json.dumps(document).encode()
    whole_files.replace(Path(directory, WAYS_FILE), content, mode=0o644, durable=False)
