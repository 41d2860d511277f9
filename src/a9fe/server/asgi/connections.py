"""Bounds on the API's connections before authentication: total, per peer, and in time.

A connection is waiting while its request is incomplete or its answer is unread. Only waiting
connections may be closed to make room; one that is being answered, such as an agent's feed, is
kept (ADR 0015).
"""

import ipaddress
from collections import Counter
from collections.abc import Callable
from typing import Protocol

import structlog

from a9fe.runtime import metrics

log = structlog.get_logger()

HEAD_MAX = 64 * 1024  # bytes of a request line and header fields
HEAD_TIME = 10.0  # s, from the connection or the first byte to the end of the head
BODY_TIME = 35.0  # s; longer than asgi.body.TIME_MAX, which answers 408 first
DRAIN_TIME = 5.0  # s for the rest of a body after the request was answered
DRAIN_MAX = 1024 * 1024  # bytes of that rest
STALL_TIME = 30.0  # s within which the peer must read a part of the answer
RESERVED = 256  # file descriptors kept for the database, files and the log
TOTAL_MAX = 16_384  # connections; each agent of a host holds one
PEER_MAX = 1024  # waiting connections of one peer; many agents may start behind one address
LOG_INTERVAL = 10.0  # s


class Connection(Protocol):
    """The part of a connection that Bounds uses."""

    @property
    def peer(self) -> str:
        """The key that connections are counted by: see `peer_of`."""

    @property
    def proven(self) -> bool:
        """Whether the connection has had a request answered."""

    def expire(self, now: float) -> str:
        """Close the connection if its deadline has passed, and return the reason, else "".

        `now` is in monotonic seconds.
        """

    def abort(self) -> None:
        """Close at once; unsent bytes are dropped."""


def peer_of(address: str) -> str:
    """Return the key of a client's address: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if ip.version == 4:
        return str(ip)
    mapped = getattr(ip, "ipv4_mapped", None)
    return str(mapped or ipaddress.ip_network((int(ip) >> 64 << 64, 64)))


class Bounds:
    """All connections of a server. Not thread-safe: used from the event loop only."""

    def __init__(self, monotonic: Callable[[], float], descriptors: int) -> None:
        """`descriptors` is the process's limit of open files (RLIMIT_NOFILE)."""
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
        """Add a waiting connection, and return whether there was room.

        At a limit, the oldest waiting connection of the same peer, or of the peer with the most,
        is closed to make room.
        """
        if len(self._waiting.get(connection.peer, ())) >= self.peer_max:
            self._evict(connection.peer)
        if len(self._all) >= self.total_max:
            largest = max(self._waiting, key=lambda peer: len(self._waiting[peer]), default=None)
            if largest is None:
                self.count("no place", connection.peer)
                return False
            self._evict(largest)
        self._all.add(connection)
        self.mark_waiting(connection)
        return True

    def mark_waiting(self, connection: Connection) -> None:
        """Mark a connection as waiting, as the newest of its peer: the last to be evicted."""
        of_peer = self._waiting.setdefault(connection.peer, {})
        of_peer.pop(connection, None)
        of_peer[connection] = None

    def mark_busy(self, connection: Connection) -> None:
        """Mark a connection as being answered: it is not evicted."""
        of_peer = self._waiting.get(connection.peer)
        if of_peer is not None:
            of_peer.pop(connection, None)
            if not of_peer:
                del self._waiting[connection.peer]

    def remove(self, connection: Connection) -> None:
        """Remove a connection that has ended."""
        self._all.discard(connection)
        self.mark_busy(connection)

    def _evict(self, peer: str) -> None:
        """Close a peer's longest-waiting connection.

        Connections that never had a request answered are closed before the others.
        """
        of_peer = self._waiting[peer]
        oldest = next((c for c in of_peer if not c.proven), next(iter(of_peer)))
        self.count("too many connections of one peer", peer)
        self.remove(oldest)
        oldest.abort()

    def count(self, reason: str, peer: str) -> None:
        """Count a closed connection; `sweep` logs the counts."""
        self._closed[reason] += 1
        self._last_peer = peer
        metrics.connection_closed(reason)

    def sweep(self) -> None:
        """Close connections past their deadline, and log the counts of closed ones.

        Called once a second; O(connections).
        """
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
