"""The addresses of one upstream, and which of them gets the next connection. No I/O.

The health of an address is known from requests alone. It is down after a connection that could not
be made, or after FAILURES_IN_A_ROW requests in a row that were sent and not answered. After a
back-off one connection is tried; its first answer puts the address up again. While none is up, all
are tried in turn. Every method costs at most the number of addresses, which is small.
"""

import math
from collections.abc import Iterable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Protocol

from a9fe.http.upstream.target import Target
from a9fe.wire.refusals import Refusal

FAILURES_IN_A_ROW = 3  # one may be the request's own fault
FIRST_BACKOFF = 1.0  # seconds; doubles with each failed try
LONGEST_BACKOFF = 30.0  # seconds


class Health(Enum):
    """What is known of an address."""

    UP = "up"
    TRIAL = "trial"  # one request at a time, after it was down
    DOWN = "down"
    GONE = "gone"  # its name has other addresses now


class Event(Enum):
    """What happened at an address."""

    CONNECTED = "connected"
    ANSWERED = "answered"
    UNANSWERED = "unanswered"  # a request was sent, and not answered
    UNANSWERED_AGAIN = "unanswered again"  # the last of FAILURES_IN_A_ROW
    UNREACHABLE = "unreachable"  # no connection could be made
    REMOVED = "removed"


_BROKEN = {
    Event.UNANSWERED_AGAIN: Health.DOWN,
    Event.UNREACHABLE: Health.DOWN,
    Event.REMOVED: Health.GONE,
}
_TRIED = {**_BROKEN, Event.ANSWERED: Health.UP, Event.UNANSWERED: Health.DOWN}

AFTER: Mapping[Health, Mapping[Event, Health]] = MappingProxyType(
    {
        Health.UP: {
            **_BROKEN,
            Event.CONNECTED: Health.UP,
            Event.ANSWERED: Health.UP,
            Event.UNANSWERED: Health.UP,
        },
        Health.TRIAL: {**_TRIED, Event.CONNECTED: Health.TRIAL},
        Health.DOWN: {**_TRIED, Event.CONNECTED: Health.TRIAL},
        Health.GONE: dict.fromkeys(Event, Health.GONE),
    }
)


class Address:
    """One address and what its connections tell about it."""

    __slots__ = (
        "authority",
        "backoff",
        "health",
        "in_use",
        "is_usable",
        "is_well",
        "retry_at",
        "target",
        "turn",
        "unanswered",
        "untrusted",
    )

    def __init__(self, target: Target) -> None:
        """It is up until it fails."""
        self.target = target
        self.authority = target.authority
        self.health = Health.UP
        self.is_usable = True  # requests may be sent on a connection to it
        self.is_well = True  # up, and its last request was answered
        self.in_use = 0  # connections being made or with a request, of all pools
        self.turn = 0  # of the last connection; the lowest was tried longest ago
        self.unanswered = 0  # in a row
        self.untrusted = ""  # why the last TLS handshake failed; "" if it did not
        self.backoff = 0.0  # seconds
        self.retry_at = -math.inf  # loop time


class Watcher(Protocol):
    """Is told about failures and changes of health."""

    def failed(self, target: Target, refusal: Refusal) -> None:
        """Note a failure: what the guest would get if no other address answers."""
        ...

    def changed(self, target: Target, health: Health, why: str) -> None:
        """Note a new health; `why` is for the operator."""
        ...


class _Silent:
    """A watcher that notes nothing."""

    def failed(self, target: Target, refusal: Refusal) -> None:
        """Do nothing."""

    def changed(self, target: Target, health: Health, why: str) -> None:
        """Do nothing."""


class Addresses:
    """The addresses of one upstream; its pools share them."""

    def __init__(self, targets: Iterable[Target], watcher: Watcher | None = None) -> None:
        """`watcher` None: nobody is told. Without targets, `replace` gives them later."""
        self._watcher = watcher or _Silent()
        self._all: list[Address] = []
        self._turns = 0
        self.why = ""  # why there is no address, for the operator
        self.replace(targets)

    def __str__(self) -> str:
        """Return all addresses."""
        return ", ".join(str(one.target) for one in self._all)

    def replace(self, targets: Iterable[Target]) -> None:
        """Have exactly these addresses. Those that stay keep their health."""
        known = {one.target: one for one in self._all}
        wanted = dict.fromkeys(targets)
        for target, one in known.items():
            if target not in wanted:
                self._after(one, Event.REMOVED, "its name has other addresses")
        self._all = [known.get(target) or self._new(target) for target in wanted]

    def choose(self, avoid: Address | None = None) -> Address | None:
        """Return the address for a new connection; None if there is no address at all.

        An up one with the fewest connections in use, or, if none is up, the one that was tried
        longest ago. Not `avoid` if another one is up.
        """
        fit = [one for one in self._all if self._may_connect(one)]
        fit = [one for one in fit if one is not avoid] or fit
        if fit:
            chosen: Address | None = min(fit, key=lambda one: (one.in_use, one.turn))
        else:
            chosen = min(self._all, key=lambda one: one.turn, default=None)
        if chosen is not None:
            self._turns += 1
            chosen.turn = self._turns
        return chosen

    def has_other(self, address: Address | None) -> bool:
        """Return whether another address than this one is up."""
        return any(self._may_connect(one) for one in self._all if one is not address)

    def due(self, now: float) -> list[Address]:
        """Return the down addresses to try now. Each is returned once in a back-off."""
        found = [one for one in self._all if one.health is Health.DOWN and now >= one.retry_at]
        for one in found:
            self._back_off(one, now)
        return found

    def connected(self, address: Address) -> None:
        """Note that a connection was made."""
        if address.health is not Health.UP:
            self._after(address, Event.CONNECTED, "it accepts connections again")

    def answered(self, address: Address) -> None:
        """Note an answer; needed only if the address is not well."""
        address.unanswered = 0
        address.backoff = 0.0
        self._after(address, Event.ANSWERED, "it answers again")
        address.is_well = address.health is Health.UP

    def unanswered(self, address: Address, refusal: Refusal, why: str, now: float) -> None:
        """Note a request that was sent and not answered."""
        address.unanswered += 1
        again = address.unanswered >= FAILURES_IN_A_ROW
        event = Event.UNANSWERED_AGAIN if again else Event.UNANSWERED
        self._fail(address, event, refusal, why, now)

    def unreachable(self, address: Address, refusal: Refusal, why: str, now: float) -> None:
        """Note that no connection could be made."""
        self._fail(address, Event.UNREACHABLE, refusal, why, now)

    def _may_connect(self, one: Address) -> bool:
        return one.health is Health.UP or (one.health is Health.TRIAL and not one.in_use)

    def _new(self, target: Target) -> Address:
        address = Address(target)
        self._watcher.changed(target, Health.UP, "")
        return address

    def _fail(
        self, address: Address, event: Event, refusal: Refusal, why: str, now: float
    ) -> None:
        address.is_well = False
        self._watcher.failed(address.target, refusal)
        self._after(address, event, why)
        if address.health is Health.DOWN and now >= address.retry_at:
            self._back_off(address, now)

    def _back_off(self, address: Address, now: float) -> None:
        address.backoff = min(LONGEST_BACKOFF, max(FIRST_BACKOFF, 2 * address.backoff))
        address.retry_at = now + address.backoff

    def _after(self, address: Address, event: Event, why: str) -> None:
        before = address.health
        address.health = AFTER[before][event]
        address.is_usable = address.health in (Health.UP, Health.TRIAL)
        if address.health is not before:
            self._watcher.changed(address.target, address.health, why)
