"""The change feed (design of the feed: ARCHITECTURE.md): a snapshot, `synced`, then changes.

One JSON object a line: {"event": "snapshot" | "upsert" | "delete" | "synced" | "heartbeat",
"revision", "kind", "object" | "id"}. Events only say what is dirty: an upsert has the object as
it is when it is sent, which may be newer than its revision.
"""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator, Iterator

import structlog

from a9fe.model import codec
from a9fe.model.resources import KINDS
from a9fe.runtime import tasks
from a9fe.store import Change, Session, Store, StoreError

log = structlog.get_logger()

HEARTBEAT = 10.0  # seconds
QUEUE_MAX = 10_000
"""Lines that wait for a reader before it is cut off; it comes back and resumes. About 5 MB."""
RETRY = tasks.Backoff(first=0.1, ceiling=5.0)
"""Between tries to reach a database that went away."""
CHUNK = 64 * 1024  # bytes of a snapshot written at once
MEDIA_TYPE = "application/x-ndjson"

KINDS_OF: dict[str, tuple[str, ...]] = {
    "l3": ("network", "subnet", "port", "router", "binding"),
    "dhcp": ("network", "subnet", "port", "binding"),
    "metadata": ("network", "port", "router"),
    "service": ("network", "subnet", "port", "instance"),
}
"""What each kind of agent follows, in the order in which a snapshot sends it."""


def _line(event: str, revision: int, **more: object) -> bytes:
    return json.dumps({"event": event, "revision": revision, **more}).encode() + b"\n"


def line_of(change: Change) -> bytes:
    """The line of a change."""
    if change.resource is None:
        return _line("delete", change.revision, kind=change.kind, id=change.id)
    document = codec.encode(change.resource)
    return _line("upsert", change.revision, kind=change.kind, object=document)


def _snapshot(session: Session, kinds: tuple[str, ...], revision: int) -> Iterator[bytes]:
    yield _line("snapshot", revision)
    for kind in kinds:
        for resource in session.find(KINDS[kind]):
            change = Change(revision=revision, kind=kind, id=resource.id, resource=resource)
            yield line_of(change)


def beginning(
    store: Store, kinds: tuple[str, ...], from_revision: int | None
) -> tuple[int, list[bytes]]:
    """The revision reached and the lines up to `synced`: changes if the log has them all."""
    with store.read() as session:
        revision = session.revision()
        changes = None if from_revision is None else session.changes_since(from_revision)
        if changes is None:
            lines = list(_snapshot(session, kinds, revision))
        else:
            lines = [line_of(change) for change in changes if change.kind in kinds]
    return revision, [*lines, _line("synced", revision)]


class Stream:
    """One reader: the lines that wait for it, at most QUEUE_MAX."""

    def __init__(self, name: str, kinds: tuple[str, ...], limit: int = QUEUE_MAX) -> None:
        """`name` is for the log."""
        self.name = name
        self.kinds = kinds
        self.closed = False
        self._limit = limit
        self._lines: deque[tuple[int, bytes]] = deque()
        self._ready = asyncio.Event()

    def put(self, revision: int, line: bytes) -> None:
        """Add a line; a reader that is too far behind is cut off."""
        if len(self._lines) >= self._limit:
            log.warning("feed reader cut off: too slow", reader=self.name)
            self.close()
        elif not self.closed:
            self._lines.append((revision, line))
            self._ready.set()

    def close(self) -> None:
        """End the stream."""
        self.closed = True
        self._lines.clear()
        self._ready.set()

    async def take(self, patience: float) -> list[tuple[int, bytes]]:
        """The lines that wait; none after `patience` seconds without any, or when closed."""
        try:
            async with asyncio.timeout(patience):
                await self._ready.wait()
        except TimeoutError:
            return []
        self._ready.clear()
        taken = list(self._lines)
        self._lines.clear()
        return taken


class Hub:
    """Reads the log after each commit and gives its changes to the streams."""

    def __init__(self, store: Store, heartbeat: float = HEARTBEAT) -> None:
        """Nothing runs before `run`; `heartbeat` seconds."""
        self._heartbeat = heartbeat
        self.revision = 0
        self.streams: set[Stream] = set()
        self.store = store
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._lost = False
        store.on_commit(self._committed)

    def _committed(self, revision: int) -> None:
        """Called by writing threads, and for commits of other servers."""
        loop = self._loop
        if revision > self.revision and loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._wake.set)

    async def run(self) -> None:
        """Publish for ever; may be run again after a failure."""
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

    async def _woken(self) -> None:
        """After a commit, or a heartbeat's time, in case that its notice was lost."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._heartbeat):
                await self._wake.wait()
        self._wake.clear()

    async def _wait_for_database(self, error: StoreError, failures: int) -> None:
        """Streams stay, without heartbeats: their readers shall not believe to be up to date."""
        self._lost = True
        delay = tasks.jittered(RETRY, failures)
        log.warning("feed stands still", reason=str(error), again_in=round(delay, 2))
        self._wake.set()
        await asyncio.sleep(delay)

    async def hear(self) -> None:
        """Be told of other servers' commits, for ever."""
        failures = 0
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await self.store.listen()
            except StoreError as error:
                lasted = asyncio.get_running_loop().time() - began
                failures = 1 if lasted > RETRY.ceiling else failures + 1
                delay = tasks.jittered(RETRY, failures)
                log.warning("deaf to other servers", reason=str(error), again_in=round(delay, 2))
                await asyncio.sleep(delay)
            else:
                return

    def _current(self) -> int:
        with self.store.read() as session:
            return session.revision()

    def _changes(self) -> list[Change] | None:
        with self.store.read() as session:
            return session.changes_since(self.revision)

    async def _publish(self) -> None:
        changes = await asyncio.to_thread(self._changes)
        if changes is None:  # further behind than the log: all must begin again
            self.revision = await asyncio.to_thread(self._current)
            for stream in tuple(self.streams):
                stream.close()
            return
        for change in changes:
            self._give(change)
            self.revision = change.revision

    def _give(self, change: Change) -> None:
        line = line_of(change)
        for stream in self.streams:
            if change.kind in stream.kinds:
                stream.put(change.revision, line)

    def close(self) -> None:
        """End every stream, and those to come."""
        self._closed = True
        for stream in self.streams:
            stream.close()

    async def follow(
        self, name: str, kinds: tuple[str, ...], from_revision: int | None
    ) -> AsyncIterator[bytes]:
        """The lines of one reader, until it goes or is cut off."""
        stream = Stream(name, kinds)
        if self._closed:
            return
        self.streams.add(stream)  # before the beginning is read, so that nothing is missed
        try:
            reached, lines = await asyncio.to_thread(beginning, self.store, kinds, from_revision)
            for chunk in _chunks(lines):
                yield chunk
            del lines
            while not stream.closed:
                taken = await stream.take(self._heartbeat)
                fresh = [line for revision, line in taken if revision > reached]
                if fresh:
                    yield b"".join(fresh)
                elif not taken and not stream.closed and not self._lost:
                    yield _line("heartbeat", max(reached, self.revision))
        finally:
            self.streams.discard(stream)


async def begun(lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same lines, with the first read before the answer begins, so that a database that is
    away is an error's status and not an answer that breaks off."""
    first = await anext(lines, b"")

    async def whole() -> AsyncIterator[bytes]:
        yield first
        async for line in lines:
            yield line

    return whole()


def _chunks(lines: list[bytes]) -> Iterator[bytes]:
    chunk = bytearray()
    for line in lines:
        chunk += line
        if len(chunk) >= CHUNK:
            yield bytes(chunk)
            chunk.clear()
    if chunk:
        yield bytes(chunk)
