"""A handler that sends requests to another hop: HTTP/1.1 over pooled Unix, TCP or TLS connections.

A pool has at most `max_connections` connections to all addresses of its upstream, idle ones
included. Further requests wait in a bounded queue, within their own deadline.

`addresses` says which address a new connection is for. A request that could not be sent is tried
at the others. A pooled connection may have died unnoticed, and an upstream may be killed with
requests in flight, so a safe request (GET, HEAD) is repeated on a fresh connection, to another
address if one is up, if its connection closes before the answer is complete; no part of that
answer has been passed on. It is repeated up to REPEATS times: a process that ends may accept one
more connection before it closes all. Any other request (POST, PUT) is sent once, on a fresh
connection; if the pool is full, the connection that was idle longest is closed for it.
"""

import asyncio
import ssl
from collections import deque
from math import inf

from a9fe.http.upstream.addresses import Address, Addresses
from a9fe.http.upstream.errors import (
    UpstreamError,
    UpstreamFull,
    UpstreamOverloaded,
    UpstreamTimeout,
    UpstreamUnreachable,
    UpstreamUntrusted,
    reason_of,
)
from a9fe.http.upstream.exchange import Exchange
from a9fe.http.upstream.upstream_connection import UpstreamConnection
from a9fe.runtime import tasks
from a9fe.wire.limits import (
    MAX_ANSWER_BYTES,
    MAX_ANSWERS_BYTES,
    MAX_UPSTREAM_CONNECTIONS,
    MAX_UPSTREAM_QUEUE,
)
from a9fe.wire.message import Answer, Request

SAFE = frozenset({b"GET", b"HEAD", b"OPTIONS"})  # RFC 9110 section 9.2.1
CONNECT_TIMEOUT = 5.0  # seconds; a host that answers does so in milliseconds
CONNECT_TIMEOUT_OF_SEVERAL = 2.0  # seconds, if another address is up: one packet may be lost
IDLE_TIMEOUT = 20.0  # seconds; less than servers allow, so that few are closed as we use them
REPEATS = 3  # of one request; few, as the request itself may kill the upstream
RECONNECT_INTERVAL = 0.02  # seconds between attempts while an upstream restarts
SWEEPS_PER_TIMEOUT = 4
LONGEST_SWEEP = 0.5  # seconds


class Upstream:
    """A handler that sends requests to one of `addresses`.

    It returns a future of the answer, hop-by-hop headers removed, or of an UpstreamError. Cancel
    the future to cancel the request.
    """

    def __init__(  # noqa: PLR0913 - all but two have a default, and callers name them
        self,
        addresses: Addresses,
        *,
        timeout: float,
        restart_wait: float = 0.0,
        patience: float = inf,
        max_connections: int = MAX_UPSTREAM_CONNECTIONS,
        max_body: int = MAX_ANSWER_BYTES,
        max_collected: int = MAX_ANSWERS_BYTES,
        max_queue: int = MAX_UPSTREAM_QUEUE,
    ) -> None:
        """`timeout` in seconds for a whole request. Must be made inside a running loop.

        `restart_wait`: seconds after all addresses began to refuse connections during which
        requests wait for a restart; after that they fail at once. `patience`: seconds after which
        a safe request is repeated at another address. `max_body`: most bytes of one answer's
        body. `max_collected`: most bytes of all answers being received; above it the largest
        fails. `max_queue`: most requests that wait for a connection; one more fails with
        UpstreamOverloaded, or with UpstreamFull if `max_queue` is 0.
        """
        self.addresses = addresses
        self.max_body = max_body
        self._timeout = timeout
        self._patience = patience
        self._restart_wait = restart_wait
        self._max = max_connections
        self._max_queue = max_queue
        self._max_collected = max_collected
        self.collected_bytes = 0  # of answers that have not arrived whole
        self._loop = asyncio.get_running_loop()
        self._idle: list[UpstreamConnection] = []
        self._busy: set[UpstreamConnection] = set()
        self._connecting = 0
        self._queue: deque[Exchange] = deque()
        self._down_since: float | None = None
        self._sweep_interval = min(LONGEST_SWEEP, timeout / SWEEPS_PER_TIMEOUT)
        self._sweeper = self._loop.call_later(self._sweep_interval, self._sweep)

    def __call__(self, request: Request) -> asyncio.Future[Answer]:
        """Send a request, or queue it."""
        now = self._loop.time()
        exchange = Exchange(request, now + self._timeout, self._loop)
        exchange.patience = now + self._patience
        if self._is_full():
            full = UpstreamOverloaded if self._max_queue else UpstreamFull
            exchange.fail(full, f"{self.addresses}: too many requests wait for a connection")
            return exchange
        exchange.repeats = REPEATS if request.method in SAFE else 0
        if not exchange.repeats:
            exchange.fresh = True
        elif not self._queue and (idle := self._take_idle()) is not None:
            self._start(idle, exchange)
            return exchange
        self._queue.append(exchange)
        self._serve_queue()
        return exchange

    def close(self) -> None:
        """Close all connections; requests in flight fail."""
        self._sweeper.cancel()
        for connection in (*self._idle, *self._busy):
            connection.abort()

    @property
    def connections(self) -> int:
        """Return the number of connections, open or being opened, idle ones included."""
        return len(self._idle) + len(self._busy) + self._connecting

    def _is_full(self) -> bool:
        room = self._max + self._max_queue - len(self._busy) - self._connecting
        if len(self._queue) >= room:  # cancelled requests are still queued
            self._queue = deque(exchange for exchange in self._queue if not exchange.done())
        return len(self._queue) >= room

    def _take_idle(self) -> UpstreamConnection | None:
        """Return the connection that was used last; close those to addresses that are down."""
        while self._idle:
            connection = self._idle.pop()
            if connection.address.is_usable:
                return connection
            connection.abort()
        return None

    def _start(self, connection: UpstreamConnection, exchange: Exchange) -> None:
        self._busy.add(connection)
        connection.address.in_use += 1
        connection.ask(exchange)

    def _end(self, connection: UpstreamConnection) -> None:
        if connection in self._busy:
            self._busy.remove(connection)
            connection.address.in_use -= 1

    def _serve_queue(self) -> None:
        while self._queue and len(self._busy) + self._connecting < self._max:
            exchange = self._queue.popleft()
            if exchange.done():
                continue
            idle = None if exchange.fresh else self._take_idle()
            exchange.patience = self._loop.time() + self._patience
            if idle is not None:
                self._start(idle, exchange)
            else:
                if self._idle and self.connections >= self._max:
                    self._idle.pop(0).abort()
                self._connecting += 1
                tasks.spawn(self._on_new_connection(exchange), "upstream connect")

    # -- called by connections ---------------------------------------------------------------

    def freed(self, connection: UpstreamConnection, *, reusable: bool, answered: bool) -> None:
        """Return a connection whose exchange has ended to the pool."""
        self._end(connection)
        if answered and not connection.address.is_well:
            self.addresses.answered(connection.address)
        if reusable:
            connection.idle_since = self._loop.time()
            self._idle.append(connection)
        if self._queue:
            self._serve_queue()

    def repeat(self, exchange: Exchange, unanswered_by: Address) -> None:
        """Repeat a request on a fresh connection; later if it was fresh and no other is up."""
        exchange.repeats -= 1
        exchange.avoid = unanswered_by
        if exchange.fresh and not self.has_other(unanswered_by):
            self._loop.call_later(RECONNECT_INTERVAL, self._ask_again, exchange)
            return
        exchange.fresh = True
        self._queue.appendleft(exchange)

    def _ask_again(self, exchange: Exchange) -> None:
        self._queue.appendleft(exchange)
        self._serve_queue()

    def unanswered(self, address: Address, error_type: type[UpstreamError], why: str) -> None:
        """Note that a request was sent there, and not answered."""
        self.addresses.unanswered(address, error_type.refusal, why, self._loop.time())

    def has_other(self, address: Address) -> bool:
        """Return whether another address is up."""
        return self.addresses.has_other(address)

    def collected(self, amount: int) -> None:
        """Count bytes of answers being received; a negative amount frees."""
        self.collected_bytes += amount
        if self.collected_bytes > self._max_collected:
            largest = max(self._busy, key=lambda connection: connection.collected)
            largest.give_up("too many bytes of answers in memory")

    def lost(self, connection: UpstreamConnection) -> None:
        """Remove a closed connection."""
        self._end(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._serve_queue()

    # -- connecting --------------------------------------------------------------------------

    async def _on_new_connection(self, exchange: Exchange) -> None:
        try:
            connection = await self._connect(exchange)
        except UpstreamError as error:
            self._connecting -= 1
            is_late = exchange.was_sent and self._loop.time() >= exchange.deadline
            exchange.fail(UpstreamTimeout if is_late else type(error), str(error))
            self._serve_queue()
            return
        self._connecting -= 1
        if exchange.done():
            self.freed(connection, reusable=True, answered=False)
        else:
            self._start(connection, exchange)

    async def _connect(self, exchange: Exchange) -> UpstreamConnection:
        while True:
            address = self.addresses.choose(exchange.avoid)
            try:
                connection = await self._open(address, exchange.deadline)
            except UpstreamError as error:
                if exchange.done() or not self._worth_another(error, exchange.deadline):
                    raise
                exchange.avoid = address
            else:
                self._down_since = None
                return connection
            if not self.addresses.has_other(None):
                await asyncio.sleep(RECONNECT_INTERVAL)

    async def _open(self, address: Address | None, deadline: float = inf) -> UpstreamConnection:
        """Return a new connection. Raises UpstreamUnreachable or UpstreamUntrusted.

        A request has a deadline; without one it is a try after a back-off.
        """
        if address is None:
            raise UpstreamUnreachable(f"no address is known: {self.addresses.why}")
        if address.untrusted and deadline < inf:  # handshakes are costly: only `_try` makes more
            raise UpstreamUntrusted(f"{address.target}: {address.untrusted}")
        several = self.addresses.has_other(address)
        limit = CONNECT_TIMEOUT_OF_SEVERAL if several else CONNECT_TIMEOUT
        at_most = self._loop.time() + limit
        address.in_use += 1
        try:
            async with asyncio.timeout_at(min(deadline, at_most)):
                connection = await self._open_to(address)
        except OSError as error:  # TimeoutError is one
            failed = UpstreamUntrusted if isinstance(error, ssl.SSLError) else UpstreamUnreachable
            why, now = reason_of(error), self._loop.time()
            address.untrusted = why if failed is UpstreamUntrusted else ""
            if now < deadline or now >= at_most:  # else the request had too little time left
                self.addresses.unreachable(address, failed.refusal, why, now)
            raise failed(f"{address.target}: {why}") from error
        finally:
            address.in_use -= 1
        address.untrusted = ""
        self.addresses.connected(address)
        return connection

    async def _open_to(self, address: Address) -> UpstreamConnection:
        target = address.target

        def new() -> UpstreamConnection:
            return UpstreamConnection(self, address)

        if target.path:
            _, connection = await self._loop.create_unix_connection(new, target.path)
        else:
            _, connection = await self._loop.create_connection(
                new,
                target.host,
                target.port,
                ssl=target.tls,
                server_hostname=target.server_name if target.tls is not None else None,
            )
        return connection

    def _worth_another(self, error: UpstreamError, deadline: float) -> bool:
        """Return whether to try again: another address is up, or a restart may be under way."""
        if self.addresses.has_other(None):
            return self._loop.time() < deadline
        return not isinstance(error, UpstreamUntrusted) and self._worth_waiting(deadline)

    def _worth_waiting(self, deadline: float) -> bool:
        """Return whether to wait for a restart: restart_wait and deadline have not passed."""
        now = self._loop.time()
        if self._down_since is None:
            self._down_since = now
        return now + RECONNECT_INTERVAL < min(self._down_since + self._restart_wait, deadline)

    def _sweep(self) -> None:
        now = self._loop.time()
        for connection in list(self._busy):
            connection.expire(now)
        while self._queue and now >= self._queue[0].deadline:  # the oldest first
            late = self._queue.popleft()
            late.fail(
                UpstreamTimeout if late.was_sent else UpstreamOverloaded,
                f"{self.addresses}: too many requests wait for a connection",
            )
        while self._idle and now - self._idle[0].idle_since > IDLE_TIMEOUT:
            self._idle.pop(0).abort()
        for address in self.addresses.due(now):
            if self.connections < self._max:
                self._connecting += 1
                tasks.spawn(self._try(address), "upstream try")
        self._sweeper = self._loop.call_later(self._sweep_interval, self._sweep)

    async def _try(self, address: Address) -> None:
        """Connect to an address that was down; the next request uses the connection."""
        try:
            connection = await self._open(address)
        except UpstreamError:
            self._connecting -= 1
        else:
            self._connecting -= 1
            self.freed(connection, reusable=True, answered=False)
