"""Idle connections of a proxy that has ended, held for its successor. O(1) for each."""

import asyncio
import socket
from collections import OrderedDict

import structlog

from a9fe.linux.listeners.seqpacket import close_all
from a9fe.wire.limits import IDLE_TIMEOUT, MAX_CONNECTIONS
from a9fe.wire.message import IdleConnection

log = structlog.get_logger("a9fe.metadata_proxy")


class KeptConnections:
    """The connections, each for at most `within` s: a proxy would close it then too."""

    def __init__(self, within: float = IDLE_TIMEOUT, most: int = MAX_CONNECTIONS) -> None:
        """`most` connections; of more, the oldest are closed."""
        self._within = within
        self._most = most
        self._kept: OrderedDict[socket.socket, IdleConnection] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of connections."""
        return len(self._kept)

    def keep(self, connections: tuple[IdleConnection, ...], sockets: list[socket.socket]) -> None:
        """Hold these; the sockets become ours."""
        for idle, sock in zip(connections, sockets, strict=True):
            self._kept[sock] = idle
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)[0].close()
        asyncio.get_running_loop().call_later(self._within, self._expire, sockets)

    def take(self) -> list[tuple[IdleConnection, socket.socket]]:
        """Return all, which become the caller's."""
        found = [(idle, sock) for sock, idle in self._kept.items()]
        self._kept.clear()
        return found

    def close(self) -> None:
        """Close all."""
        close_all([sock for _, sock in self.take()])

    def _expire(self, sockets: list[socket.socket]) -> None:
        left = [sock for sock in sockets if self._kept.pop(sock, None) is not None]
        if left:
            log.warning("idle connections closed: no proxy took them", connections=len(left))
            close_all(left)
