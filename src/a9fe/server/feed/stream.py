"""One reader of the feed: the lines that wait for it, within bounds."""

import asyncio
from collections import deque

import structlog

from a9fe.server.feed.roles import Follower

log = structlog.get_logger()

QUEUE_MAX = 10_000
QUEUE_BYTES_MAX = 8 * 1024 * 1024
"""Lines and bytes that wait for a reader before it is disconnected; it reconnects and resumes."""


class Stream:
    """The lines that wait for one reader."""

    def __init__(self, follower: Follower, limit: int = QUEUE_MAX) -> None:
        """`follower` is the part that it reads; `limit` in lines."""
        self.follower = follower
        self.closed = False
        self._limit = limit
        self._bytes = 0
        self._lines: deque[tuple[int, bytes]] = deque()
        self._ready = asyncio.Event()

    def put(self, revision: int, line: bytes) -> None:
        """Add a line; close the stream if too much waits."""
        if len(self._lines) >= self._limit or self._bytes >= QUEUE_BYTES_MAX:
            log.warning("feed reader disconnected: too slow", reader=str(self.follower))
            self.close()
        elif not self.closed:
            self._lines.append((revision, line))
            self._bytes += len(line)
            self._ready.set()

    def close(self) -> None:
        """End the stream."""
        self.closed = True
        self._lines.clear()
        self._bytes = 0
        self._ready.set()

    async def take(self, timeout: float) -> list[tuple[int, bytes]]:  # noqa: ASYNC109 - no error
        """Return the waiting lines; none after `timeout` seconds without any, or when closed."""
        try:
            async with asyncio.timeout(timeout):
                await self._ready.wait()
        except TimeoutError:
            return []
        self._ready.clear()
        taken = list(self._lines)
        self._lines.clear()
        self._bytes = 0
        return taken
