"""Fair queueing: a few requests at once per client, clients in turn. Pure; time is an argument.

A request starts at once, is queued for its client, or is refused. When a place is free, the
listeners with queued requests, and the clients of each, are served in turn. So a guest with a
thousand requests delays another guest by one request only, and a network with a thousand guests
(or one guest with as many MAC addresses) delays another network by one.

The bytes of answers are limited too: a client's next request starts when its byte rate allows it
(the generic cell rate algorithm, ITU-T I.371).
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
    """The largest numbers of running and of queued requests, in all and per client.

    With a `queue` of 0 a request waits only for places that are about to be free. `wait`: seconds
    in the queue. A client may get `burst_bytes` of answers at once, then `byte_rate` a second.
    """

    at_once: int
    at_once_per_client: int
    queue: int
    queue_per_client: int
    wait: float
    byte_rate: float
    burst_bytes: int


class _ClientQueue(Generic[T]):
    """One client: its running requests, ended ones that still take a place, queued ones (with the
    time at which each is refused), the time at which its byte debt is paid, and whether it is in
    the heap of clients that wait for their byte rate."""

    __slots__ = ("ended", "paid_at", "queue", "running", "unpaid")

    def __init__(self) -> None:
        self.running = 0
        self.ended = 0
        self.queue: OrderedDict[T, float] = OrderedDict()
        self.paid_at = 0.0
        self.unpaid = False


class FairQueue(Generic[T]):
    """Decides when requests start; the caller names each by a ticket.

    The calls for a request: `begin`, else `enqueue` and perhaps `leave`; when it is answered
    `end`, then `free`. After `free`, and at `next_at`, start the tickets that `take` returns,
    until it returns None.
    """

    def __init__(self, limits: QueueLimits) -> None:
        """Start with no request."""
        self._limits = limits
        self._burst = limits.burst_bytes / limits.byte_rate  # seconds
        self._of: dict[Client, _ClientQueue[T]] = {}
        # Clients with a queued request that may start: listeners in turn, the clients of each.
        self._ready: OrderedDict[str, OrderedDict[Client, None]] = OrderedDict()
        self._unpaid: list[tuple[float, Client]] = []  # heap: when each may start
        self._tickets: dict[T, Client] = {}
        self._taken = 0

    @property
    def queued(self) -> int:
        """Return the number of queued requests."""
        return len(self._tickets)

    @property
    def clients(self) -> int:
        """Return the number of clients with requests or byte debt."""
        return len(self._of)

    def begin(self, client: Client, now: float) -> bool:
        """Return whether a request may start now; if so, take a place for it."""
        of = self._of.get(client)
        if of is None:
            of = self._of[client] = _ClientQueue()
        if self._taken < self._limits.at_once and not of.queue and self._may_go(of, now):
            self._start(of)
            return True
        self._forget(client, of, now)
        return False

    def enqueue(self, client: Client, ticket: T, now: float) -> bool:
        """Queue a request; False if the queue is full."""
        limits = self._limits
        of = self._of.setdefault(client, _ClientQueue())
        short = len(of.queue) < limits.queue_per_client and len(self._tickets) < limits.queue
        if not short and len(of.queue) >= of.ended:
            self._forget(client, of, now)
            return False
        of.queue[ticket] = now + limits.wait
        self._tickets[ticket] = client
        self._queue(client, of, now)
        return True

    def take(self, now: float) -> T | None:
        """Take a place for the next request that may start, and return it; None if none may."""
        while self._unpaid and self._unpaid[0][0] <= now:
            client = heapq.heappop(self._unpaid)[1]
            of = self._of[client]
            of.unpaid = False
            self._queue(client, of, now)
            self._forget(client, of, now)
        while self._ready and self._taken < self._limits.at_once:
            client = self._next_client()
            of = self._of[client]
            if not of.queue or not self._may_go(of, now):
                self._queue(client, of, now)
                continue
            ticket, _ = of.queue.popitem(last=False)
            del self._tickets[ticket]
            self._start(of)
            self._queue(client, of, now)
            return ticket
        return None

    def end(self, client: Client, size: int, now: float) -> None:
        """A request was answered with `size` bytes; its place is taken until `free`."""
        of = self._of[client]
        of.running -= 1
        of.ended += 1
        paid_at = of.paid_at
        of.paid_at = (paid_at if paid_at > now else now) + size / self._limits.byte_rate

    def free(self, client: Client, now: float) -> None:
        """Free the place of an ended request."""
        of = self._of[client]
        of.ended -= 1
        self._taken -= 1
        if of.queue:
            self._queue(client, of, now)
        elif of.paid_at <= now:
            self._forget(client, of, now)

    def leave(self, ticket: T, now: float) -> None:
        """Remove a request from the queue; repeating it does nothing."""
        client = self._tickets.pop(ticket, None)
        if client is not None:
            of = self._of[client]
            del of.queue[ticket]
            self._forget(client, of, now)

    def overdue(self, now: float) -> list[T]:
        """Remove and return the requests that waited too long. O(clients with queued requests)."""
        late: list[T] = []
        for client in set(self._tickets.values()):
            for ticket, until in self._of[client].queue.items():
                if until > now:
                    break  # later requests are refused later
                late.append(ticket)
        for ticket in late:
            self.leave(ticket, now)
        return late

    def forget_paid(self, now: float) -> None:
        """Forget clients without requests or byte debt. O(clients); call it now and then."""
        for client, of in list(self._of.items()):
            self._forget(client, of, now)

    def next_at(self) -> float | None:
        """Return when the next client that waits for its byte rate may start; None if none."""
        return self._unpaid[0][0] if self._unpaid else None

    def _next_client(self) -> Client:
        """The next client of the next listener, which then moves behind all other listeners."""
        key, ready = self._ready.popitem(last=False)
        client, _ = ready.popitem(last=False)
        if ready:
            self._ready[key] = ready
        return client

    def _may_go(self, of: _ClientQueue[T], now: float) -> bool:
        places = self._limits.at_once_per_client
        return of.running + of.ended < places and of.paid_at - self._burst <= now

    def _goes_at(self, of: _ClientQueue[T]) -> float:
        return of.paid_at - self._burst

    def _start(self, of: _ClientQueue[T]) -> None:
        of.running += 1
        self._taken += 1

    def _queue(self, client: Client, of: _ClientQueue[T], now: float) -> None:
        """Give a client its turn, if a request is queued and the client has a free place."""
        if not of.queue or of.running + of.ended >= self._limits.at_once_per_client:
            return
        if self._goes_at(of) <= now:
            self._ready.setdefault(client[0], OrderedDict()).setdefault(client)
        elif not of.unpaid:
            of.unpaid = True
            heapq.heappush(self._unpaid, (self._goes_at(of), client))

    def _forget(self, client: Client, of: _ClientQueue[T], now: float) -> None:
        if not (of.running or of.ended or of.queue or of.unpaid) and of.paid_at <= now:
            ready = self._ready.get(client[0])
            if ready is not None and client in ready:
                del ready[client]
                if not ready:
                    del self._ready[client[0]]
            self._of.pop(client, None)
