"""The server of the data path: its listening sockets and their connections.

A process has one server, which may listen on any number of sockets, each with its own Listener.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

import structlog

from a9fe.http.report import Report, silent_report
from a9fe.http.server.accepted import Accepted, save_syn
from a9fe.http.server.clients import Clients
from a9fe.http.server.connection import Connection
from a9fe.http.server.listening import Listening
from a9fe.http.server.poller import Poller
from a9fe.http.server.sockets import bound_send_buffer, unix_listener
from a9fe.http.server.states import timeouts
from a9fe.http.server.succession import FIRST, HandedOn, facts_after
from a9fe.http.server.transport import Transport
from a9fe.wire.limits import DRAIN_TIMEOUT, LIMITS, LISTEN_BACKLOG, SEND_BUFFER_BYTES, Limits
from a9fe.wire.message import Answer, Handler, IdleConnection, Listener
from a9fe.wire.refusals import Refusal

SWEEPS_PER_TIMEOUT = 4  # a timeout is late by at most a quarter of the shortest one
LONGEST_SWEEP = 1.0  # seconds
LAST_REQUESTS = 0.1  # seconds; a hop sends its request as soon as it is connected

log = structlog.get_logger("a9fe.http")

Admit = Callable[[socket.socket], bool]
"""Return whether to serve an accepted socket; logs the reason if not."""
Outgoing = Callable[[Answer], Answer]
"""Return the answer that is sent to the client for the handler's answer."""
HandOn = Callable[[list[HandedOn]], Awaitable[bool]]
"""Give idle connections to the process that serves them next; return whether they are given."""


class Server:
    """Serves a handler on listening sockets."""

    def __init__(
        self,
        handler: Handler,
        *,
        limits: Limits = LIMITS,
        report: Report | None = None,
        admit: Admit | None = None,
        backlog: int = LISTEN_BACKLOG,
        outgoing: Outgoing | None = None,
    ) -> None:
        """Must be made inside a running loop. `admit` None: serve every client.

        `backlog`: connections that the kernel queues on each socket. `outgoing` is applied to each
        answer of the handler.
        """
        self._loop = asyncio.get_running_loop()
        self.limits = limits
        self.timeouts = timeouts(limits)
        self.report = report or silent_report()
        self.handler = self.report.access.of(handler) if self.report.access else handler
        self.now = self._loop.time()
        self.draining = False
        self.hands_on = False
        self.outgoing = outgoing
        self._admit = admit
        self._backlog = backlog
        self._connections: set[Connection] = set()
        self._clients = Clients(limits, self.report)
        self._listening: set[Listening] = set()
        self.report.connections.append(self._connections)
        self.report.listeners.append(self._listening)
        # A descriptor that is closed may be accepted anew: two pollers, so that no event of the
        # former is taken for one of the latter.
        self._accepting = Poller(self._loop)
        self._poller = Poller(self._loop)
        self._resting: set[Connection] = set()
        self._drained = asyncio.Event()
        self._sweep_interval = _sweep_interval(self.timeouts.values())
        self._sweeper = self._loop.call_later(self._sweep_interval, self._sweep)

    async def listen(self, sock: socket.socket, listener: Listener | None = None) -> Listening:
        """Serve a bound stream socket, which becomes the server's."""

        sock.settimeout(0)
        save_syn(sock)
        bound_send_buffer(sock, SEND_BUFFER_BYTES)
        sock.listen(self._backlog)
        listening = Listening(sock, listener, self._accepting, self._made)
        self._listening.add(listening)
        return listening

    def _made(
        self,
        sock: socket.socket,
        facts: Accepted,
        listener: Listener | None,
        before: IdleConnection = FIRST,
    ) -> None:
        connection = Connection(self, listener, facts, before)
        transport = Transport(sock, self._poller, connection)
        connection.connection_made(transport)
        transport.start()

    def forget(self, listening: Listening) -> None:
        """Stop listening on one socket; its connections finish."""
        listening.close()
        self._listening.discard(listening)

    def adopt(self, idle: IdleConnection, sock: socket.socket) -> None:
        """Serve a connection that another process accepted; the socket becomes the server's."""
        self._made(sock, facts_after(sock, idle), idle.listener, idle)

    async def close(self, within: float = DRAIN_TIMEOUT, hand_on: HandOn | None = None) -> None:
        """Stop listening, give requests in flight `within` seconds to finish, then close all.

        `hand_on` gets the connections that are idle then, with copies of their sockets. Without
        it, no other process has the listening sockets: what the kernel has queued is accepted, and
        idle connections may send a last request for LAST_REQUESTS seconds.
        """
        self.draining, self.hands_on = True, hand_on is not None
        for listening in list(self._listening):
            if not self.hands_on:
                listening.accept_all()
            self.forget(listening)
        self._note_drained()
        try:
            if not self.hands_on:
                await self._wait_drained(LAST_REQUESTS)
            for connection in list(self._connections):
                connection.drain()
            await self._wait_drained(within)
            in_flight = len(self._connections) - len(self._resting)
            if in_flight:
                log.warning("closed with requests in flight", connections=in_flight)
        finally:
            self._sweeper.cancel()
            await self._end_all(hand_on)

    async def _wait_drained(self, within: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._drained.wait()

    async def _end_all(self, hand_on: HandOn | None) -> None:
        pairs = [connection.handed_on() for connection in self._resting]
        if hand_on is not None and pairs and not await hand_on(pairs):
            log.warning("idle connections closed: not handed on", connections=len(pairs))
        for _, copy in pairs:
            copy.close()
        for connection in list(self._connections):
            connection.abort()
        self._accepting.close()
        self._poller.close()

    @property
    def connections(self) -> int:
        """Return the number of open connections."""
        return len(self._connections)

    @property
    def held_bytes(self) -> int:
        """Return the bytes in the buffers of all connections."""
        return self._clients.held_bytes

    # -- called by connections ---------------------------------------------------------------

    def opened(self, connection: Connection) -> Refusal | None:
        """Count a new connection. Return why its requests are refused; None if they are not."""
        self._connections.add(connection)
        if self._admit is not None and not self._admit(connection.socket):
            connection.abort()
            return None
        return self._clients.enter(connection)

    def holds(self, connection: Connection, held: int, *, arriving: bool) -> None:
        """Record the bytes held now. `arriving`: a request has been received in part."""
        self._clients.holds(connection, held, arriving=arriving)

    def closed(self, connection: Connection) -> None:
        """Count a connection as closed."""
        self._connections.discard(connection)
        self._resting.discard(connection)
        self._clients.leave(connection)
        self._note_drained()

    def rests(self, connection: Connection) -> None:
        """Keep an idle connection until it is handed on."""
        self._resting.add(connection)
        self._note_drained()

    def _note_drained(self) -> None:
        if self.draining and len(self._connections) == len(self._resting):
            self._drained.set()

    def _sweep(self) -> None:
        self.now = self._loop.time()
        for connection in list(self._connections):
            connection.sweep(self.now)
        self._sweeper = self._loop.call_later(self._sweep_interval, self._sweep)


def _sweep_interval(timeouts: Iterable[float]) -> float:
    return min(LONGEST_SWEEP, min(timeouts) / SWEEPS_PER_TIMEOUT)


async def serve(  # noqa: PLR0913 - all but one have a default, and callers name them
    handler: Handler,
    *,
    sock: socket.socket | None = None,
    path: str | None = None,
    listener: Listener | None = None,
    limits: Limits = LIMITS,
    report: Report | None = None,
    admit: Admit | None = None,
    backlog: int = LISTEN_BACKLOG,
    outgoing: Outgoing | None = None,
) -> Server:
    """Return a server of `handler` on one socket: `sock`, bound, or a new one at `path` (0600)."""
    if (sock is None) == (path is None):
        raise ValueError("serve: expected either sock or path")
    server = Server(
        handler, limits=limits, report=report, admit=admit, backlog=backlog, outgoing=outgoing
    )
    await server.listen(sock if sock is not None else unix_listener(str(path)), listener)
    return server
