"""Which VMs hold a lease whose route to metadata differs from the one that DHCP announces now.

Option 121 tells a VM to reach metadata by the DHCP port or by the gateway (the way). It holds for
the lease, a day by default; some clients keep the route even when a renewal announces another. So
the file `ways` beside dnsmasq's own records, as JSON: `told`, the time (UNIX s) since which each
way is announced; `given`, the lease holders (MAC, address) by way; and, as dnsmasq counts whole
seconds, `before`, the leases that existed already in the second of the change.
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
    """The content of the file."""

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
    """The leased addresses by way."""
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
    """The IPv4 leases that have not expired."""
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
    """Lease holders since the way is announced. An infinite lease has no start time: all count."""
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
