"""Leases with another route to metadata than the one that DHCP announces now.

Option 121 announces a next hop to metadata on each subnet. A VM keeps it as long as its lease, a
day by default, and some clients keep it even if a renewal announces another. So the JSON file
`next_hops` beside dnsmasq's files has: `told`, the UNIX time in s since which each next hop is
announced; `given`, the lease holders (MAC, address) of former ones; and `before`, the leases that
already existed in the second in which each was announced, because dnsmasq's times are whole
seconds; and `lease`, the shortest duration of leases so far in s, -1 if one was infinite.

While dnsmasq reads new options, old and new next hops are announced (`begin`, then `end`). So an
agent that is killed in between attributes no lease to the wrong one.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

from a9fe.linux.dhcp import lease_file
from a9fe.plan.dhcp.dnsmasq import FOREVER
from a9fe.runtime import failpoints, whole_files
from a9fe.runtime.clock import SystemClock

NEXT_HOPS_FILE = "next_hops"

Holder = tuple[str, str]  # MAC, address


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Lease:
    """A line of dnsmasq's lease file. `expires` in UNIX seconds, 0 for never."""

    holder: Holder
    expires: int


@dataclass(slots=True, kw_only=True)
class NextHops:
    """The content of the file `next_hops`."""

    told: dict[str, int] = field(default_factory=dict)
    given: dict[str, set[Holder]] = field(default_factory=dict)
    before: dict[str, set[Lease]] = field(default_factory=dict)
    lease: int | None = None

    def shortest(self, duration: int) -> int:
        """The shortest duration of the leases; -1 if one is infinite.

        A lease's file has its end only. A start that is assumed too late counts it for more next
        hops than it was told, never for fewer.
        """
        return duration if self.lease is None else min(self.lease, duration)


def begin(directory: str, wanted: Iterable[str], duration: int) -> None:
    """Record that these next hops may be announced from now on, beside the recorded ones.

    Call it before dnsmasq can read them. `duration` of its leases in s, or FOREVER.
    """
    hops, now = _read(directory), SystemClock().now()
    new, shortest = set(wanted) - hops.told.keys(), hops.shortest(duration)
    if new or shortest != hops.lease:
        hops.lease = shortest
        present = {one for one in live(directory, now) if one.expires - shortest >= int(now)}
        hops.told |= dict.fromkeys(new, int(now))
        hops.before |= dict.fromkeys(new, present)
        _write(directory, hops)


def end(directory: str, wanted: Iterable[str], duration: int) -> None:
    """Record that only these next hops are announced from now on.

    Call it after dnsmasq was told to read them.
    """
    hops, kept = _read(directory), set(wanted)
    gone = hops.told.keys() - kept
    if gone:
        leases = list(live(directory, SystemClock().now()))
        for hop in gone:
            hops.given.setdefault(hop, set()).update(
                _given(hops, hop, leases, hops.shortest(duration))
            )
            del hops.told[hop], hops.before[hop]
        _write(directory, hops)


def in_use(directory: str, duration: int) -> Mapping[str, frozenset[str]]:
    """Return the leased addresses by next hop to metadata. O(leases)."""
    hops = _read(directory)
    if not (hops.told or hops.given):
        return {}
    leases = list(live(directory, SystemClock().now()))
    holders = {lease.holder for lease in leases}
    found = {hop: held & holders for hop, held in hops.given.items()}
    for hop in hops.told:
        found.setdefault(hop, set()).update(_given(hops, hop, leases, hops.shortest(duration)))
    return {hop: frozenset(address for _, address in held) for hop, held in found.items() if held}


def live(directory: str, now: float) -> Iterator[Lease]:
    """The IPv4 leases in dnsmasq's file that have not expired.

    None if it cannot be read: that must not stop the plan of the other networks.
    """
    for words in lease_file.rows(directory):
        if len(words) < 4 or not words[0].isdigit() or ":" in words[2]:
            continue  # DHCPv6, or a line that is being written
        lease = Lease(holder=(words[1].lower(), words[2]), expires=int(words[0]))
        if lease.expires == 0 or lease.expires > now:
            yield lease


def _given(hops: NextHops, hop: str, leases: Iterable[Lease], duration: int) -> Iterator[Holder]:
    """Leases taken since the next hop is announced, and all infinite ones, which have no start."""
    for lease in leases:
        unknown = lease.expires == 0 or duration == FOREVER
        since = lease.expires - duration >= hops.told[hop] and lease not in hops.before[hop]
        if unknown or since:
            yield lease.holder


def _read(directory: str) -> NextHops:
    """The content of the file; empty if missing or unreadable."""
    try:
        found = json.loads(Path(directory, NEXT_HOPS_FILE).read_text())
        return NextHops(
            told=dict(found["told"]),
            given={hop: {(mac, ip) for mac, ip in held} for hop, held in found["given"].items()},
            before={hop: set(map(_lease, found["before"][hop])) for hop in found["told"]},
            lease=found["lease"],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return NextHops()


def _lease(written: Sequence[Any]) -> Lease:
    (mac, address), expires = written
    return Lease(holder=(mac, address), expires=expires)


def _write(directory: str, hops: NextHops) -> None:
    document = {
        "told": hops.told,
        "given": {hop: sorted(held) for hop, held in hops.given.items()},
        "before": {hop: [astuple(one) for one in sorted(hops.before[hop])] for hop in hops.told},
        "lease": hops.lease,
    }
    content = json.dumps(document).encode()
    failpoints.reached("write")
    whole_files.replace(Path(directory, NEXT_HOPS_FILE), content, mode=0o644, durable=False)
