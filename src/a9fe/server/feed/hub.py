"""The feed's hub: after each commit it reads the log and gives the changes to the streams."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator

import structlog

from a9fe.runtime import tasks
from a9fe.server.feed.lines import batch_after, beginning, heartbeat
from a9fe.server.feed.roles import Follower
from a9fe.server.feed.stream import QUEUE_MAX, Stream
from a9fe.store import Store, StoreError

log = structlog.get_logger()

HEARTBEAT = 10.0  # seconds
RETRY = tasks.Backoff(first=0.1, ceiling=5.0)
"""Seconds between attempts to reach the database."""
GATHER = 0.02
"""Seconds after a publication in which commits are gathered: each publication costs the same."""
SNAPSHOT_TIMEOUT = 120.0
"""Seconds in which a reader must have taken its snapshot, which is in memory until then."""
STREAMS_MAX = 8
"""Streams of one follower at once. It reads one; earlier ones may not have ended yet."""
CHUNK = 64 * 1024  # bytes of a snapshot written at once


class Hub:
    """Publishes commits to streams."""

    def __init__(
        self, store: Store, heartbeat: float = HEARTBEAT, queue_max: int = QUEUE_MAX
    ) -> None:
        """Nothing runs before `run`. `heartbeat` in seconds, `queue_max` in lines of a stream."""
        self._heartbeat = heartbeat
        self._queue_max = queue_max
        self.revision = 0
        self.streams: set[Stream] = set()
        self._by_follower: dict[Follower, dict[Stream, None]] = {}  # the oldest stream first
        self._followers: frozenset[Follower] | None = None  # of _by_follower; None: not made yet
        self.store = store
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._lost = False
        store.on_commit(self._committed)

    def _committed(self, revision: int) -> None:
        """Wake the hub. Called by writing threads, and for commits of other servers."""
        loop = self._loop
        if revision > self.revision and loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._wake.set)

    async def run(self) -> None:
        """Publish until cancelled; may be run again after a failure."""
        self._loop = asyncio.get_running_loop()
        if not self.revision:
            self.revision = await asyncio.to_thread(self._current)
        self._wake.set()
        failures = 0
        while True:
            await self._woken()
            try:
                await self._publish()
            except StoreError as error:
                failures += 1
                await self._wait_for_database(error, failures)
            else:
                self._lost, failures = False, 0
                await asyncio.sleep(GATHER)

    async def _woken(self) -> None:
        """Wait for a commit, but no longer than a heartbeat: its notification may be lost."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._heartbeat):
                await self._wake.wait()
        self._wake.clear()

    async def _wait_for_database(self, error: StoreError, failures: int) -> None:
        """Keep the streams, but send no heartbeats: readers must not count as up to date."""
        self._lost = True
        delay = tasks.jittered(RETRY, failures)
        log.warning(
            "change feed waits for the database", reason=str(error), again_in=round(delay, 2)
        )
        self._wake.set()
        await asyncio.sleep(delay)

    async def listen(self) -> None:
        """Receive notifications of other servers' commits until cancelled."""
        failures = 0
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await self.store.listen()
            except StoreError as error:
                lasted = asyncio.get_running_loop().time() - began
                failures = 1 if lasted > RETRY.ceiling else failures + 1
                delay = tasks.jittered(RETRY, failures)
                log.warning(
                    "lost commit notifications", reason=str(error), again_in=round(delay, 2)
                )
                await asyncio.sleep(delay)
            else:
                return

    def _current(self) -> int:
        with self.store.read() as session:
            return session.revision()

    async def _publish(self) -> None:
        """Give all streams what was committed since the last publication."""
        lines: dict[Follower, list[tuple[int, bytes]]] = {}
        upto: int | None = None
        covered: frozenset[Follower] = frozenset()
        followers = self._followed()
        while upto is None or followers:
            batch = await asyncio.to_thread(batch_after, self.store, self.revision, followers)
            if batch is None:  # the log does not reach back: all streams must begin again
                self.revision = await asyncio.to_thread(self._current)
                for stream in tuple(self.streams):
                    stream.close()
                return
            upto = batch.revision if upto is None else upto
            lines |= batch.lines
            covered = covered | followers if covered else followers
            later = self._followed()  # with those that came meanwhile
            followers = frozenset() if later is covered else later - covered
        for follower, some in lines.items():
            for stream in tuple(self._by_follower.get(follower, ())):
                self._give(stream, some, upto)
        self.revision = upto

    def _give(self, stream: Stream, lines: list[tuple[int, bytes]], upto: int) -> None:
        for revision, line in lines:
            if revision <= upto:  # newer changes are published again
                stream.put(revision, line)
        if stream.closed:
            self._remove(stream)

    def _add(self, stream: Stream) -> None:
        self.streams.add(stream)
        same = self._by_follower.setdefault(stream.follower, {})
        if len(same) >= STREAMS_MAX:
            oldest = next(iter(same))
            log.warning(
                "closed the oldest feed of an agent with too many feeds",
                reader=str(oldest.follower),
            )
            oldest.close()
            self._remove(oldest)
            same = self._by_follower.setdefault(stream.follower, {})
        same[stream] = None
        self._followers = None

    def _followed(self) -> frozenset[Follower]:
        """Return the followers that have streams: the same object while they do not change."""
        if self._followers is None:
            self._followers = frozenset(self._by_follower)
        return self._followers

    def _remove(self, stream: Stream) -> None:
        self.streams.discard(stream)
        others = self._by_follower.get(stream.follower, {})
        others.pop(stream, None)
        if not others:
            self._by_follower.pop(stream.follower, None)
            self._followers = None

    def close(self) -> None:
        """End every stream; later ones end at once."""
        self._closed = True
        for stream in self.streams:
            stream.close()

    async def follow(
        self, follower: Follower, from_revision: int | None
    ) -> AsyncGenerator[bytes, None]:
        """Yield the lines for one reader until it leaves or is disconnected."""
        stream = Stream(follower, self._queue_max)
        if self._closed:
            return
        self._add(stream)  # before the beginning is read, so that nothing is missed
        try:
            reached, lines = await asyncio.to_thread(
                beginning, self.store, follower, from_revision
            )
            deadline = asyncio.get_running_loop().time() + SNAPSHOT_TIMEOUT
            for chunk in _chunks(lines):
                yield chunk
                if asyncio.get_running_loop().time() > deadline:
                    log.warning("feed reader disconnected: reads too slowly", reader=str(follower))
                    return
            del lines
            while True:
                taken = await stream.take(self._heartbeat)
                if stream.closed:
                    return
                fresh = [line for revision, line in taken if revision > reached]
                if fresh:
                    yield b"".join(fresh)
                elif not (taken or self._lost):
                    yield heartbeat(max(reached, self.revision))
        finally:
            self._remove(stream)


def _chunks(lines: list[bytes]) -> Iterator[bytes]:
    chunk = bytearray()
    for line in lines:
        chunk += line
        if len(chunk) >= CHUNK:
            yield bytes(chunk)
            chunk.clear()
    if chunk:
        yield bytes(chunk)
