"""The change feed: hello, a snapshot, `synced`, then changes.

One JSON object a line: {"event": "hello" | "snapshot" | "upsert" | "delete" | "synced" |
"heartbeat", "revision", "kind", "object" | "id"}. hello comes first, and says which database this
is. Each agent of a host gets its part (feed_parts). Events only say what is dirty: an upsert has
the object as it is when it is sent, which may be newer than its revision.
"""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncGenerator, Collection, Iterator
from dataclasses import dataclass

import structlog

from a9fe.model import codec
from a9fe.model.resources import KIND_OF, Resource
from a9fe.runtime import tasks
from a9fe.server.feed.parts import Key, deliveries, snapshot
from a9fe.store import Change, Session, Store, StoreError

log = structlog.get_logger()

HEARTBEAT = 10.0  # seconds
QUEUE_MAX = 10_000
QUEUE_BYTES_MAX = 8 * 1024 * 1024
"""Lines and bytes that wait for a reader before it is cut off; it comes back and resumes."""
RETRY = tasks.Backoff(first=0.1, ceiling=5.0)
"""Between tries to reach a database that went away."""
GATHER = 0.02
"""Seconds in which commits after a publication are gathered for the next: each costs the same."""
RESUMED_MAX = 2_000
"""Changes after which a snapshot of a host's part is less work than to judge them all."""
SNAPSHOT_TIMEOUT = 120.0
"""Seconds in which a reader must have taken its snapshot, which stands in memory till then."""
STREAMS_MAX = 8
"""Streams of one agent of a host at once. It reads one; former ones may not have ended yet."""
CHUNK = 64 * 1024  # bytes of a snapshot written at once
MEDIA_TYPE = "application/x-ndjson"


def _line(event: str, revision: int, **more: object) -> bytes:
    return json.dumps({"event": event, "revision": revision, **more}).encode() + b"\n"


def line_of(change: Change) -> bytes:
    """The line of a change."""
    if change.resource is None:
        return _line("delete", change.revision, kind=change.kind, id=change.id)
    document = codec.encode(change.resource)
    return _line("upsert", change.revision, kind=change.kind, object=document)


def beginning(store: Store, key: Key, from_revision: int | None) -> tuple[int, list[bytes]]:
    """The revision reached and the lines up to `synced`: changes if the log has them all, and
    they are not more than a snapshot would be."""
    with store.read() as session:
        revision = session.revision()
        changes = None if from_revision is None else session.changes_since(from_revision)
        if changes is None or len(changes) > RESUMED_MAX:
            found = (
                Change(revision=revision, kind=kind_of(r), id=r.id, resource=r)
                for r in snapshot(session, key)
            )
            lines = [_line("snapshot", revision), *map(line_of, found)]
        else:
            told = deliveries(session, changes, [key]).get(key, [])
            lines = [line_of(change) for change in told]
        hello = hello_of(session)
    return revision, [hello, *lines, _line("synced", revision)]


def once(session: Session, key: Key, from_revision: int) -> list[bytes]:
    """The lines of all that was committed after a revision, up to `synced`; none where they are
    too many, or the log does not have them all."""
    changes = session.changes_since(from_revision)
    if changes is None or len(changes) > RESUMED_MAX:
        return []
    told = deliveries(session, changes, [key]).get(key, [])
    return [hello_of(session), *map(line_of, told), _line("synced", session.revision())]


def hello_of(session: Session) -> bytes:
    """The first line: which database this is, and at which revision."""
    known = session.lineage()
    revision = session.revision()
    return _line("hello", revision, store=known.store, accepts=list(known.accepts))


def kind_of(resource: Resource) -> str:
    """The kind of a resource, as lines name it."""
    return KIND_OF[type(resource)]


Lines = dict[Key, list[tuple[int, bytes]]]


@dataclass(frozen=True, slots=True)
class Batch:
    """What streams are sent after some commits: lines by agent, up to a revision."""

    revision: int
    lines: Lines


def batch_after(store: Store, revision: int, keys: Collection[Key]) -> Batch | None:
    """All that was written after `revision`; None: the log does not reach back that far."""
    with store.read() as session:
        if not keys:
            return Batch(session.revision(), {})
        changes = session.changes_since(revision)
        if changes is None:
            return None
        told = deliveries(session, changes, keys)
    made: dict[tuple[str, str, int, bool], bytes] = {}
    lines: Lines = {}
    for key, for_key in told.items():
        lines[key] = [(change.revision, _once(made, change)) for change in for_key]
    return Batch(changes[-1].revision if changes else revision, lines)


def _once(made: dict[tuple[str, str, int, bool], bytes], change: Change) -> bytes:
    """The line of a change, made once for all who get it."""
    name = (change.kind, change.id, change.revision, change.resource is None)
    if name not in made:
        made[name] = line_of(change)
    return made[name]


class Stream:
    """One reader: the lines that wait for it, within bounds."""

    def __init__(self, key: Key, limit: int = QUEUE_MAX) -> None:
        """`key` says whose part it reads."""
        self.key = key
        self.name = f"{key[1]}@{key[0]}"
        self.closed = False
        self._limit = limit
        self._bytes = 0
        self._lines: deque[tuple[int, bytes]] = deque()
        self._ready = asyncio.Event()

    def put(self, revision: int, line: bytes) -> None:
        """Add a line; a reader that is too far behind is cut off."""
        if len(self._lines) >= self._limit or self._bytes >= QUEUE_BYTES_MAX:
            log.warning("feed reader cut off: too slow", reader=self.name)
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
        self._bytes = 0
        return taken


class Hub:
    """Reads the log after each commit and gives its changes to the streams."""

    def __init__(
        self, store: Store, heartbeat: float = HEARTBEAT, queue_max: int = QUEUE_MAX
    ) -> None:
        """Nothing runs before `run`; `heartbeat` seconds, `queue_max` lines of a stream."""
        self._heartbeat = heartbeat
        self._queue_max = queue_max
        self.revision = 0
        self.streams: set[Stream] = set()
        self._of: dict[Key, dict[Stream, None]] = {}  # of each key the oldest first
        self._keys: frozenset[Key] | None = None  # of _of; None: not made yet
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
                await asyncio.sleep(GATHER)

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

    async def _publish(self) -> None:
        lines: Lines = {}
        upto: int | None = None
        covered: frozenset[Key] = frozenset()
        keys = self._followed()
        while upto is None or keys:
            batch = await asyncio.to_thread(batch_after, self.store, self.revision, keys)
            if batch is None:  # further behind than the log: all must begin again
                self.revision = await asyncio.to_thread(self._current)
                for stream in tuple(self.streams):
                    stream.close()
                return
            upto = batch.revision if upto is None else upto
            lines |= batch.lines
            covered = covered | keys if covered else keys
            later = self._followed()  # those too who came meanwhile
            keys = frozenset() if later is covered else later - covered
        for key, some in lines.items():
            for stream in tuple(self._of.get(key, ())):
                self._give(stream, some, upto)
        self.revision = upto

    def _give(self, stream: Stream, lines: list[tuple[int, bytes]], upto: int) -> None:
        for revision, line in lines:
            if revision <= upto:  # what is newer comes again
                stream.put(revision, line)
        if stream.closed:
            self._remove(stream)

    def _add(self, stream: Stream) -> None:
        self.streams.add(stream)
        same = self._of.setdefault(stream.key, {})
        if len(same) >= STREAMS_MAX:
            oldest = next(iter(same))
            log.warning(
                "closed the oldest feed of an agent with too many feeds", reader=oldest.name
            )
            oldest.close()
            self._remove(oldest)
            same = self._of.setdefault(stream.key, {})
        same[stream] = None
        self._keys = None

    def _followed(self) -> frozenset[Key]:
        """Whose parts are read: the same object while it does not change."""
        if self._keys is None:
            self._keys = frozenset(self._of)
        return self._keys

    def _remove(self, stream: Stream) -> None:
        self.streams.discard(stream)
        others = self._of.get(stream.key, {})
        others.pop(stream, None)
        if not others:
            self._of.pop(stream.key, None)
            self._keys = None

    def close(self) -> None:
        """End every stream, and those to come."""
        self._closed = True
        for stream in self.streams:
            stream.close()

    async def follow(
        self, host: str, agent: str, from_revision: int | None
    ) -> AsyncGenerator[bytes, None]:
        """The lines of one reader, until it goes or is cut off."""
        stream = Stream((host, agent), self._queue_max)
        if self._closed:
            return
        self._add(stream)  # before the beginning is read, so that nothing is missed
        try:
            reached, lines = await asyncio.to_thread(
                beginning, self.store, stream.key, from_revision
            )
            deadline = asyncio.get_running_loop().time() + SNAPSHOT_TIMEOUT
            for chunk in _chunks(lines):
                yield chunk
                if asyncio.get_running_loop().time() > deadline:
                    log.warning("feed reader cut off: reads too slowly", reader=stream.name)
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
                    yield _line("heartbeat", max(reached, self.revision))
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
