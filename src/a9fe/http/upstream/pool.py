"""A handler that sends requests to another hop: HTTP/1.1 over pooled Unix or TCP connections.

A pool has at most `max_connections` connections, idle ones included. Further requests wait in a
bounded queue, within their own deadline. A pooled connection may have died unnoticed, and an
upstream may be killed with requests in flight, so a safe request (GET, HEAD) is repeated on a
fresh connection if its connection closes before the answer is complete; no part of that answer has
been passed on. It is repeated up to REPEATS times: a process that ends may accept one more
connection before it closes all. Any other request (POST, PUT) is sent once, on a fresh connection;
if the pool is full, the connection that was idle longest is closed for it.
"""

import asyncio
from collections import deque
from dataclasses import dataclass

from a9fe.http.render import request_bytes
from a9fe.http.upstream.errors import (
    UpstreamBroken,
    UpstreamError,
    UpstreamFull,
    UpstreamOverloaded,
    UpstreamTimeout,
    UpstreamUnreachable,
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

__all__ = [
    "Target",
    "Upstream",
    "UpstreamBroken",
    "UpstreamError",
    "UpstreamTimeout",
    "UpstreamUnreachable",
]

SAFE = frozenset({b"GET", b"HEAD", b"OPTIONS"})  # RFC 9110 section 9.2.1
CONNECT_TIMEOUT = 5.0  # seconds; a host that answers does so in milliseconds
IDLE_TIMEOUT = 20.0  # seconds; less than servers allow, so that few are closed as we use them
REPEATS = 3  # of one request; few, as the request itself may kill the upstream
RECONNECT_INTERVAL = 0.02  # seconds between attempts while an upstream restarts
SWEEPS_PER_TIMEOUT = 4
LONGEST_SWEEP = 0.5  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where an upstream listens: `path` of a Unix socket, or `host` and `port`."""

    path: str = ""
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        """Return the path, or host:port."""
        return self.path or f"{self.host}:{self.port}"

    @property
    def authority(self) -> bytes:
        """Return the default Host header."""
        if self.path:
            return b"localhost"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}".encode()


class Upstream:
    """A handler that sends requests to `target`.

    It returns a future of the answer, hop-by-hop headers removed, or of an UpstreamError. Cancel
    the future to cancel the request.
    """

    def __init__(  # noqa: PLR0913 - all but two have a default, and callers name them
        self,
        target: Target,
        *,
        timeout: float,
        restart_wait: float = 0.0,
        max_connections: int = MAX_UPSTREAM_CONNECTIONS,
        max_body: int = MAX_ANSWER_BYTES,
        max_collected: int = MAX_ANSWERS_BYTES,
        max_queue: int = MAX_UPSTREAM_QUEUE,
    ) -> None:
        """`timeout` in seconds for a whole request. Must be made inside a running loop.

        `restart_wait`: seconds after an upstream began to refuse connections during which requests
        wait for its restart; after that they fail at once. `max_body`: most bytes of one answer's
        body. `max_collected`: most bytes of all answers being received; above it the largest
        fails. `max_queue`: most requests that wait for a connection; one more fails with
        UpstreamOverloaded, or with UpstreamFull if `max_queue` is 0.
        """
        self.target = target
        self.max_body = max_body
        self._authority = target.authority
        self._timeout = timeout
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
        data = request_bytes(request, self._authority)
        exchange = Exchange(request, data, self._loop.time() + self._timeout, self._loop)
        if self._is_full():
            full = UpstreamOverloaded if self._max_queue else UpstreamFull
            exchange.fail(full, f"{self.target}: too many requests wait for a connection")
            return exchange
        exchange.repeats = REPEATS if request.method in SAFE else 0
        if not exchange.repeats:
            exchange.fresh = True
        elif self._idle and not self._queue:
            self._start(self._idle.pop(), exchange)
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

    def _start(self, connection: UpstreamConnection, exchange: Exchange) -> None:
        self._busy.add(connection)
        connection.ask(exchange)

    def _serve_queue(self) -> None:
        while self._queue and len(self._busy) + self._connecting < self._max:
            exchange = self._queue.popleft()
            if exchange.done():
                continue
            if self._idle and not exchange.fresh:
                self._start(self._idle.pop(), exchange)
            else:
                if self._idle and self.connections >= self._max:
                    self._idle.pop(0).abort()
                self._connecting += 1
                tasks.spawn(self._on_new_connection(exchange), "upstream connect")

    # -- called by connections ---------------------------------------------------------------

    def freed(self, connection: UpstreamConnection, *, reusable: bool) -> None:
        """Return a connection whose exchange has ended to the pool."""
        self._busy.discard(connection)
        if reusable:
            connection.idle_since = self._loop.time()
            self._idle.append(connection)
        if self._queue:
            self._serve_queue()

    def repeat(self, exchange: Exchange) -> None:
        """Repeat a request whose connection closed, on a fresh one; later if it was fresh."""
        exchange.repeats -= 1
        if exchange.fresh:
            self._loop.call_later(RECONNECT_INTERVAL, self._ask_again, exchange)
            return
        exchange.fresh = True
        self._queue.appendleft(exchange)

    def _ask_again(self, exchange: Exchange) -> None:
        self._queue.appendleft(exchange)
        self._serve_queue()

    def collected(self, amount: int) -> None:
        """Count bytes of answers being received; a negative amount frees."""
        self.collected_bytes += amount
        if self.collected_bytes > self._max_collected:
            largest = max(self._busy, key=lambda connection: connection.collected)
            largest.give_up("too many bytes of answers in memory")

    def lost(self, connection: UpstreamConnection) -> None:
        """Remove a closed connection."""
        self._busy.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._serve_queue()

    # -- connecting --------------------------------------------------------------------------

    async def _on_new_connection(self, exchange: Exchange) -> None:
        try:
            connection = await self._connect(exchange)
        except UpstreamError as error:
            self._connecting -= 1
            exchange.fail(type(error), str(error))
            self._serve_queue()
            return
        self._connecting -= 1
        if exchange.done():
            self.freed(connection, reusable=True)
        else:
            self._start(connection, exchange)

    async def _connect(self, exchange: Exchange) -> UpstreamConnection:
        while True:
            now = self._loop.time()
            try:
                async with asyncio.timeout_at(min(exchange.deadline, now + CONNECT_TIMEOUT)):
                    connection = await self._open()
            except (OSError, TimeoutError) as error:
                if exchange.done() or not self._worth_waiting(exchange.deadline):
                    raise UpstreamUnreachable(f"{self.target}: {_reason(error)}") from error
            else:
                self._down_since = None
                return connection
            await asyncio.sleep(RECONNECT_INTERVAL)

    async def _open(self) -> UpstreamConnection:
        target = self.target
        if target.path:
            _, connection = await self._loop.create_unix_connection(self._new, target.path)
        else:
            _, connection = await self._loop.create_connection(self._new, target.host, target.port)
        return connection

    def _new(self) -> UpstreamConnection:
        return UpstreamConnection(self)

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
            self._queue.popleft().fail(
                UpstreamTimeout, f"{self.target}: too many requests wait for a connection"
            )
        while self._idle and now - self._idle[0].idle_since > IDLE_TIMEOUT:
            self._idle.pop(0).abort()
        self._sweeper = self._loop.call_later(self._sweep_interval, self._sweep)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or "no connection in time"
