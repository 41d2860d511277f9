"""Since when each port has its current network, MAC, addresses and device. No I/O.

A connection that was made before that may be of the previous owner of the address.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from a9fe.model.resources import Port, Resource

LONG_AGO = 0.0

Fields = tuple[str, str, str, frozenset[str]]


def watched_fields(port: Port) -> Fields:
    """Return the fields that must not change while a connection belongs to the port."""
    addresses = frozenset(ip.ip_address for ip in port.fixed_ips)
    return (port.network_id, port.mac_address, port.device_id, addresses)


class PortTimes:
    """Times in seconds of CLOCK_MONOTONIC, of the ports that changed since the start."""

    def __init__(self) -> None:
        """Start without changes."""
        self._since: dict[str, float] = {}

    def __len__(self) -> int:
        """Return the number of recorded times."""
        return len(self._since)

    def since(self, port_id: str) -> float:
        """Return when the replica got the port's current fields; LONG_AGO if before the start."""
        return self._since.get(port_id, LONG_AGO)

    def loaded(self, ports: Iterable[Port], now: float, wall: float) -> None:
        """Record the times of ports from disk that the server changed since this host booted.

        `wall` is `now` in UNIX seconds. No time is later than `now`, even if the server's clock is
        ahead.
        """
        for port in ports:
            changed = now - (wall - _unix(port.updated_at))
            if changed > LONG_AGO:
                self._since[port.id] = min(changed, now)

    def changed(self, before: Resource | None, after: Resource | None, now: float) -> None:
        """Record that a resource was created, changed or deleted."""
        if isinstance(after, Port):
            if not isinstance(before, Port) or watched_fields(before) != watched_fields(after):
                self._since[after.id] = now
        elif isinstance(before, Port):
            self._since.pop(before.id, None)

    def replaced(self, before: Mapping[str, Port], after: Mapping[str, Port], now: float) -> None:
        """Record a snapshot: all ports by id, before and after. O(ports)."""
        for id in [id for id in self._since if id not in after]:
            del self._since[id]
        for id, port in after.items():
            self.changed(before.get(id), port, now)


def _unix(text: str) -> float:
    """Return a time of the model in UNIX seconds; 0.0 if it is not set."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
