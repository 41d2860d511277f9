"""Since when each port is known as it is: its network, MAC, addresses and device. No I/O.

An address that changes hands changes the claims of two ports. A connection that was made before a
port's claim was known may be of the address's last owner.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from a9fe.model.resources import Port, Resource

LONG_AGO = 0.0

Claim = tuple[str, str, str, frozenset[str]]


def claim_of(port: Port) -> Claim:
    """What must stay the same for a connection to stay the port's."""
    addresses = frozenset(ip.ip_address for ip in port.fixed_ips)
    return (port.network_id, port.mac_address, port.device_id, addresses)


class Claims:
    """Times by CLOCK_MONOTONIC, in seconds, kept for ports that changed since the start alone."""

    def __init__(self) -> None:
        """Nothing is known to have changed."""
        self._since: dict[str, float] = {}

    def __len__(self) -> int:
        """How many times are kept."""
        return len(self._since)

    def since(self, port_id: str) -> float:
        """When the port's claim became known; LONG_AGO where it was known before the start."""
        return self._since.get(port_id, LONG_AGO)

    def loaded(self, ports: Iterable[Port], now: float, wall: float) -> None:
        """What a stop left on disk is old, except for what the server changed shortly before.

        `wall` is the same moment as `now`, in UNIX seconds. A server whose clock is ahead makes a
        claim no younger than `now`.
        """
        for port in ports:
            changed = now - (wall - _unix(port.updated_at))
            if changed > LONG_AGO:
                self._since[port.id] = min(changed, now)

    def changed(self, before: Resource | None, after: Resource | None, now: float) -> None:
        """One resource was made, changed or deleted."""
        if isinstance(after, Port):
            if not isinstance(before, Port) or claim_of(before) != claim_of(after):
                self._since[after.id] = now
        elif isinstance(before, Port):
            self._since.pop(before.id, None)

    def replaced(self, before: Mapping[str, Port], after: Mapping[str, Port], now: float) -> None:
        """All ports may be other. By id; O(ports)."""
        for id in [id for id in self._since if id not in after]:
            del self._since[id]
        for id, port in after.items():
            self.changed(before.get(id), port, now)


def _unix(text: str) -> float:
    """A time of the model in UNIX seconds; 0.0 where it has none."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
