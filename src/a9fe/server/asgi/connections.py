"""Bounds on the API's connections before authentication: how many, per peer, for how long.

A connection waits while it has no complete request, or an unread answer. Only waiting connections
may be closed to make room; one that is being answered, such as an agent's feed, is left alone.
"""

import ipaddress
from collections import Counter
from collections.abc import Callable
from typing import Protocol

import structlog

from a9fe.runtime import metrics

log = structlog.get_logger()

HEAD_MAX = 64 * 1024  # bytes of a request's line and header fields
HEAD_TIME = 10.0  # s, from the connection or the first byte to the end of the head
BODY_TIME = 35.0  # s; server.asgi.body answers 408 before
DRAIN_TIME = 5.0  # s for the rest of a body whose request is answered already
DRAIN_MAX = 1024 * 1024  # bytes of it
STALL_TIME = 30.0  # s in which a reader of an answer must take some of it
RESERVED = 256  # descriptors for the database, files and the log
TOTAL_MAX = 16_384  # connections; a host takes one for each agent
PEER_MAX = 1024  # connections of one peer that wait: many agents may start behind one address
LOG_INTERVAL = 10.0  # s


class Connection(Protocol):
    """The interface of a connection that Bounds needs."""

    @property
    def peer(self) -> str:
        """The peer, as returned by `peer_of`."""

    @property
    def proven(self) -> bool:
        """Whether one of its requests was answered."""

    def expire(self, now: float) -> str:
        """Close it if its deadline has passed; return the reason, else "". Monotonic seconds."""

    def abort(self) -> None:
        """Close without sending what is buffered."""


def peer_of(address: str) -> str:
    """Return the peer of a connection: its IPv4 address, or the /64 of its IPv6 address."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if ip.version == 4:
        return str(ip)
    mapped = getattr(ip, "ipv4_mapped", None)
    return str(mapped or ipaddress.ip_network((int(ip) >> 64 << 64, 64)))


class Bounds:
    """The connections of a server. Use it from the event loop's thread only."""

    def __init__(self, monotonic: Callable[[], float], descriptors: int) -> None:
        """`descriptors` is the process's limit of open files and sockets."""
        self.monotonic = monotonic
        self.total_max = max(16, min(TOTAL_MAX, descriptors - RESERVED))
        self.peer_max = min(PEER_MAX, max(8, self.total_max // 4))
        self._all: set[Connection] = set()
        self._waiting: dict[str, dict[Connection, None]] = {}
        self._closed: Counter[str] = Counter()
        self._logged = -LOG_INTERVAL
        self._last_peer = ""

    def __len__(self) -> int:
        return len(self._all)

    def admit(self, connection: Connection) -> bool:
        """Add a waiting connection, and close another one if needed. Return False without room."""
        if len(self._waiting.get(connection.peer, ())) >= self.peer_max:
            self._evict(connection.peer)
        if len(self._all) >= self.total_max:
            largest = max(self._waiting, key=lambda peer: len(self._waiting[peer]), default=None)
            if largest is None:
                self.count("no place", connection.peer)
                return False
            self._evict(largest)
        self._all.add(connection)
        self.waits(connection)
        return True

    def waits(self, connection: Connection) -> None:
        """Mark it as waiting. Of its peer's connections it is the last to be closed for others."""
        of_peer = self._waiting.setdefault(connection.peer, {})
        of_peer.pop(connection, None)
        of_peer[connection] = None

    def works(self, connection: Connection) -> None:
        """Mark it as being answered."""
        of_peer = self._waiting.get(connection.peer)
        if of_peer is not None:
            of_peer.pop(connection, None)
            if not of_peer:
                del self._waiting[connection.peer]

    def forget(self, connection: Connection) -> None:
        """Remove a closed connection."""
        self._all.discard(connection)
        self.works(connection)

    def _evict(self, peer: str) -> None:
        """Close a peer's longest-waiting connection, one without an answered request first."""
        of_peer = self._waiting[peer]
        oldest = next((c for c in of_peer if not c.proven), next(iter(of_peer)))
        self.count("too many connections of one peer", peer)
        self.forget(oldest)
        oldest.abort()

    def count(self, reason: str, peer: str) -> None:
        """Count a closed connection; `sweep` logs the counts."""
        self._closed[reason] += 1
        self._last_peer = peer
        metrics.connection_closed(reason)

    def sweep(self) -> None:
        """Close connections past their deadline, once a second. O(connections)."""
        now = self.monotonic()
        for connection in tuple(self._all):
            reason = connection.expire(now)
            if reason:
                self.count(reason, connection.peer)
        if self._closed and now - self._logged >= LOG_INTERVAL:
            reasons = ", ".join(f"{reason}: {n}" for reason, n in sorted(self._closed.items()))
            log.warning(
                "connections closed",
                reasons=reasons,
                last_peer=self._last_peer,
                open=len(self._all),
            )
            self._closed.clear()
            self._logged = now
