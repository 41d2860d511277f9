"""Which request is next: a few at once per client, clients in turn. Pure; time is an argument.

A request starts at once, waits in its client's queue, or is refused. When a place is free, the
waiting listeners, and the waiting clients of each, are served in turn. So a guest with a thousand
requests delays another guest by one request only, and a network with a thousand guests (or one
guest with as many MAC addresses) delays another network by one.

The bytes of answers are limited too: a client's next request starts when its byte rate allows
it (the generic cell rate algorithm, ITU-T I.371).
"""

import heapq
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from a9fe.wire.shares import Client

T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLimits:
    """The most at once: `at_once` in all and `at_once_per_client` client; the same for the line.

    With a line of 0 a request waits only for places that are about to be free. `wait`: seconds in
    line. A client may have `burst_bytes` of answers at once, and `byte_rate` a second after that.
    """

    at_once: int
    at_once_per_client: int
    queue: int
    queue_per_client: int
    wait: float
    byte_rate: float
    burst_bytes: int


class _Holding(Generic[T]):
    """One client: requests under way and ended ones whose places are still taken, its line (with
    the time at which each one's patience ends), when all of its bytes are paid for, and whether
    it stands in the heap of those that wait for that."""

    __slots__ = ("ended", "line", "paid_at", "running", "unpaid")

    def __init__(self) -> None:
        self.running = 0
        self.ended = 0
        self.line: OrderedDict[T, float] = OrderedDict()
        self.paid_at = 0.0
        self.unpaid = False


class FairQueue(Generic[T]):
    """Decides about requests, each known by a ticket of the caller's.

    What a request does: `begin`, or `enqueue` and perhaps `leave`; under way `end`, then `free`
    its place. After `free`, and at `next_at`, the caller starts what `take` gives until it gives
    None.
    """

    def __init__(self, limits: QueueLimits) -> None:
        """Nothing is under way."""
        self._limits = limits
        self._of: dict[Client, _Holding[T]] = {}
        # In line, and may go: listeners in turn, and the clients of each.
        self._ready: OrderedDict[str, OrderedDict[Client, None]] = OrderedDict()
        self._unpaid: list[tuple[float, Client]] = []  # in line: heap of when they may go
        self._tickets: dict[T, Client] = {}
        self._taken = 0

    @property
    def queued(self) -> int:
        """Requests that wait."""
        return len(self._tickets)

    @property
    def clients(self) -> int:
        """Clients that are remembered: with requests, or with bytes that were not paid for."""
        return len(self._of)

    def begin(self, client: Client, now: float) -> bool:
        """Whether a request may go at once; then a place is taken for it."""
        of = self._of.get(client)
        if of is None:
            of = self._of[client] = _Holding()
        if self._taken < self._limits.at_once and not of.line and self._may_go(of, now):
            self._start(of)
            return True
        self._forget(client, of, now)
        return False

    def enqueue(self, client: Client, ticket: T, now: float) -> bool:
        """Queue the request; False if the queue is full."""
        limits = self._limits
        of = self._of.setdefault(client, _Holding())
        short = len(of.line) < limits.queue_per_client and len(self._tickets) < limits.queue
        if not short and len(of.line) >= of.ended:
            self._forget(client, of, now)
            return False
        of.line[ticket] = now + limits.wait
        self._tickets[ticket] = client
        self._queue(client, of, now)
        return True

    def take(self, now: float) -> T | None:
        """Take a place for the next ticket, which starts now; None if there is none."""
        while self._unpaid and self._unpaid[0][0] <= now:
            client = heapq.heappop(self._unpaid)[1]
            of = self._of[client]
            of.unpaid = False
            self._queue(client, of, now)
            self._forget(client, of, now)
        while self._ready and self._taken < self._limits.at_once:
            client = self._next_client()
            of = self._of[client]
            if not of.line or not self._may_go(of, now):
                self._queue(client, of, now)
                continue
            ticket, _ = of.line.popitem(last=False)
            del self._tickets[ticket]
            self._start(of)
            self._queue(client, of, now)
            return ticket
        return None

    def end(self, client: Client, size: int, now: float) -> None:
        """A request of the client's is answered with `size` bytes; its place is not free yet."""
        of = self._of[client]
        of.running -= 1
        of.ended += 1
        of.paid_at = max(of.paid_at, now) + size / self._limits.byte_rate

    def free(self, client: Client, now: float) -> None:
        """The place of an ended request is free."""
        of = self._of[client]
        of.ended -= 1
        self._taken -= 1
        self._queue(client, of, now)
        self._forget(client, of, now)

    def leave(self, ticket: T, now: float) -> None:
        """It waits no more."""
        client = self._tickets.pop(ticket, None)
        if client is not None:
            of = self._of[client]
            del of.line[ticket]
            self._forget(client, of, now)

    def overdue(self, now: float) -> list[T]:
        """Remove and return the requests that waited too long. O(queued clients)."""
        late: list[T] = []
        for client in set(self._tickets.values()):
            line = self._of[client].line
            for ticket, until in line.items():
                if until > now:
                    break  # the line is in the order of arrival
                late.append(ticket)
        for ticket in late:
            self.leave(ticket, now)
        return late

    def forget_paid(self, now: float) -> None:
        """Forget clients without requests or byte debt. O(clients); call it now and then."""
        for client, of in list(self._of.items()):
            self._forget(client, of, now)

    def next_at(self) -> float | None:
        """When the next request may start that waits for its client's byte rate."""
        return self._unpaid[0][0] if self._unpaid else None

    def _next_client(self) -> Client:
        """The next client of the next listener, which then moves behind all other listeners."""
        key, ready = self._ready.popitem(last=False)
        client, _ = ready.popitem(last=False)
        if ready:
            self._ready[key] = ready
        return client

    def _may_go(self, of: _Holding[T], now: float) -> bool:
        return of.running + of.ended < self._limits.at_once_per_client and self._goes_at(of) <= now

    def _goes_at(self, of: _Holding[T]) -> float:
        return of.paid_at - self._limits.burst_bytes / self._limits.byte_rate

    def _start(self, of: _Holding[T]) -> None:
        of.running += 1
        self._taken += 1

    def _queue(self, client: Client, of: _Holding[T], now: float) -> None:
        """Have it take its turn, where it waits and has no place too few."""
        if not of.line or of.running + of.ended >= self._limits.at_once_per_client:
            return
        if self._goes_at(of) <= now:
            self._ready.setdefault(client[0], OrderedDict()).setdefault(client)
        elif not of.unpaid:
            of.unpaid = True
            heapq.heappush(self._unpaid, (self._goes_at(of), client))

    def _forget(self, client: Client, of: _Holding[T], now: float) -> None:
        if not (of.running or of.ended or of.line or of.unpaid) and of.paid_at <= now:
            ready = self._ready.get(client[0])
            if ready is not None and client in ready:
                del ready[client]
                if not ready:
                    del self._ready[client[0]]
            self._of.pop(client, None)
