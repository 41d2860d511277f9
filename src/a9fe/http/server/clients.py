"""The connections of a server, by client: count what each client holds, close some at a bound.

`wire.shares` decides which client loses a connection; this module chooses the connection.
"""

from collections import OrderedDict
from typing import Protocol

from a9fe.http.report import Report
from a9fe.wire.limits import HARD_CONNECTIONS, Limits
from a9fe.wire.refusals import Refusal
from a9fe.wire.shares import Bounds, Client, Over, Shares


class HeldConnection(Protocol):
    """The methods of a connection that this module calls."""

    client: Client
    held: int
    arriving: bool

    @property
    def is_idle(self) -> bool:
        """Return whether no part of a request is buffered and no part of an answer unsent."""
        ...

    def reset(self) -> None:
        """Close at once and free its buffers."""
        ...

    def pause_reading(self) -> None:
        """Stop reading; the kernel buffers the client's data."""
        ...

    def resume_reading(self) -> None:
        """Read the client's data again."""
        ...


class _Arriving:
    """Connections of one client with an incomplete request: those being read, and paused ones."""

    __slots__ = ("read", "unread")

    def __init__(self) -> None:
        self.read: OrderedDict[HeldConnection, None] = OrderedDict()
        self.unread: OrderedDict[HeldConnection, None] = OrderedDict()


class Clients:
    """All connections of a server."""

    def __init__(self, limits: Limits, report: Report) -> None:
        """Start without connections."""
        self._limits = limits
        self._report = report
        self._of: dict[Client, OrderedDict[HeldConnection, None]] = {}
        self._arriving: dict[Client, _Arriving] = {}
        self._connections = Shares(
            Bounds(
                client=limits.connections_per_client,
                listener=limits.connections_per_listener,
                total=limits.connections,
            )
        )
        self._bytes = Shares(
            Bounds(
                client=limits.held_bytes_per_client,
                listener=limits.held_bytes_per_listener,
                total=limits.held_bytes,
            )
        )

    @property
    def held_bytes(self) -> int:
        """Return the bytes in the buffers of all connections."""
        return self._bytes.total

    def enter(self, connection: HeldConnection) -> Refusal | None:
        """Count a new connection. Return why its requests are refused, None if they are not."""
        client = connection.client
        self._of.setdefault(client, OrderedDict())[connection] = None
        self._connections.change(client, 1)
        over = self._connections.over(client)
        if over is None or self._make_room(connection, over):
            return None
        if self._is_far_over(client):
            self._evict(connection, Refusal.TOO_MANY_CONNECTIONS)
        return Refusal.TOO_MANY_CONNECTIONS

    def leave(self, connection: HeldConnection) -> None:
        """Remove a closed connection; repeating it does nothing."""
        client = connection.client
        of = self._of.get(client)
        if of is None or connection not in of:
            return
        self.holds(connection, 0, arriving=False)
        del of[connection]
        if not of:
            del self._of[client]
        self._connections.change(client, -1)

    def holds(self, connection: HeldConnection, held: int, *, arriving: bool) -> None:
        """Record the bytes held now. `arriving`: a request has been received in part."""
        client = connection.client
        if connection not in self._of.get(client, ()):
            return  # it is closed, or closing
        more, connection.held = held - connection.held, held
        if more:
            self._bytes.change(client, more)
        if arriving != connection.arriving:
            connection.arriving = arriving
            self._count_arriving(connection)
        if more > 0:
            self._free_bytes(client)

    def _make_room(self, newcomer: HeldConnection, over: Over) -> bool:
        """Close a connection of the largest client: an idle one, else its oldest.

        Return False, and close none, if that client has no idle one and no more connections than
        the newcomer's.
        """
        if over is Over.CLIENT:
            return False
        largest = self._connections.largest(newcomer.client, over)
        idle = next((c for c in self._of[largest] if c is not newcomer and c.is_idle), None)
        if idle is None:
            if self._connections.of(largest) <= self._connections.of(newcomer.client):
                return False
            idle = next(iter(self._of[largest]))
        self._evict(idle, Refusal.GAVE_WAY)
        return True

    def _is_far_over(self, client: Client) -> bool:
        limits = self._limits
        return (
            self._connections.total > HARD_CONNECTIONS * limits.connections
            or self._connections.of_listener(client[0])
            > HARD_CONNECTIONS * limits.connections_per_listener
            or self._connections.of(client) > HARD_CONNECTIONS * limits.connections_per_client
        )

    def _free_bytes(self, client: Client) -> None:
        """Close the connection with most bytes of the largest client, until all are within bounds.

        A client's only connection with bytes may exceed the bound, so that a larger document can
        still be read.
        """
        for over in Over:
            while self._bytes.exceeds(client, over):
                largest = self._bytes.largest(client, over)
                heaviest = max(self._of[largest], key=lambda connection: connection.held)
                if over is Over.CLIENT and heaviest.held == self._bytes.of(client):
                    break
                self._evict(heaviest, Refusal.GAVE_WAY)

    def _count_arriving(self, connection: HeldConnection) -> None:
        """Read a few incomplete requests of a client at a time; the kernel buffers the others.

        So slow requests cost only their connections, and delay only their client.
        """
        client = connection.client
        arriving = self._arriving.setdefault(client, _Arriving())
        if connection.arriving:
            if len(arriving.read) < self._limits.arriving_per_client:
                arriving.read[connection] = None
            else:
                arriving.unread[connection] = None
                connection.pause_reading()
            return
        arriving.unread.pop(connection, None)
        arriving.read.pop(connection, None)
        if arriving.unread and len(arriving.read) < self._limits.arriving_per_client:
            following, _ = arriving.unread.popitem(last=False)
            arriving.read[following] = None
            following.resume_reading()
        if not arriving.read:
            del self._arriving[client]

    def _evict(self, connection: HeldConnection, refusal: Refusal) -> None:
        key, guest = connection.client
        held = {"connections": self._connections.of(connection.client), "bytes": connection.held}
        facts = {"listener": key, "client": guest, **{k: str(v) for k, v in held.items()}}
        self._report.refused(refusal, self._report.ids.new(), facts=facts)
        self.leave(connection)
        connection.reset()
