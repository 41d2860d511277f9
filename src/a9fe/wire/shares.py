"""How much of a scarce resource each guest holds, and which guest must release some. Pure.

The resource is a number of connections, or of bytes in buffers. It has three bounds: per holder,
per listener (a network or a router), and in all.
"""

from collections import defaultdict
from dataclasses import dataclass
from enum import Enum

from a9fe.wire.message import Listener

Holder = tuple[str, str]
"""One guest: the key of its listener, and its MAC address, or its IP address if that is unknown.
Equal addresses on two networks are two holders; a VM with many IP addresses
is one."""


class Over(Enum):
    """The bound that is exceeded."""

    HOLDER = "holder"
    LISTENER = "listener"
    TOTAL = "total"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The bounds; exactly the bound is allowed."""

    holder: int
    listener: int
    total: int


class Shares:
    """Counts what each holder holds. A holder that holds nothing takes no memory."""

    __slots__ = ("_bounds", "_of", "_of_listener", "total")

    def __init__(self, bounds: Bounds) -> None:
        """Nobody holds anything."""
        self._bounds = bounds
        self._of: defaultdict[str, dict[Holder, int]] = defaultdict(dict)
        self._of_listener: dict[str, int] = {}
        self.total = 0

    def of(self, holder: Holder) -> int:
        """What it holds."""
        found = self._of.get(holder[0])
        return found.get(holder, 0) if found else 0

    def of_listener(self, key: str) -> int:
        """What all holders of a listener hold."""
        return self._of_listener.get(key, 0)

    def change(self, holder: Holder, amount: int) -> None:
        """Add to a holder's count; a negative `amount` subtracts."""
        key = holder[0]
        holders = self._of[key]
        holders[holder] = holders.get(holder, 0) + amount
        self._of_listener[key] = self._of_listener.get(key, 0) + amount
        self.total += amount
        if not holders[holder]:
            del holders[holder]
            if not holders:
                del self._of[key], self._of_listener[key]

    def exceeds(self, holder: Holder, over: Over) -> bool:
        """Whether the bound is exceeded for `holder`."""
        if over is Over.HOLDER:
            return self.of(holder) > self._bounds.holder
        if over is Over.LISTENER:
            return self.of_listener(holder[0]) > self._bounds.listener
        return self.total > self._bounds.total

    def over(self, holder: Holder) -> Over | None:
        """The narrowest bound that is exceeded for `holder`; None if none is."""
        return next((over for over in Over if self.exceeds(holder, over)), None)

    def largest(self, holder: Holder, over: Over) -> Holder:
        """The holder that must release some when `holder` exceeded the bound.

        For the total: the largest holder of the largest listener. For a listener: its largest
        holder. O(listeners + holders of one listener).
        """
        if over is Over.HOLDER:
            return holder
        key = holder[0]
        if over is Over.TOTAL:
            key = max(self._of_listener, key=self._of_listener.__getitem__)
        holders = self._of[key]
        return max(holders, key=holders.__getitem__)


def holder_of(listener: Listener | None, mac: str, address: str) -> Holder:
    """The holder behind a connection: `mac` and `address` of its other side, "" where unknown."""
    return (listener.key if listener is not None else "", mac or address)
