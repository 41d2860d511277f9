"""The replica: the resources that the feed sent, in memory and on disk.

An event that is older than what the replica has of its resource changes nothing, so repeated and
reordered events end in the same state. Memory changes first, then the file (persistence.py).
User data stay in the file and are read when asked for.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

import structlog

from a9fe.api_client.errors import FeedLost
from a9fe.api_client.feed import FeedEvent
from a9fe.model.resources import Resource, ResourceKey
from a9fe.replica.disk import IN_MEMORY, UNREADABLE, Disk, Meta, Row, remove
from a9fe.replica.lookups import Lookups, UserDataCache
from a9fe.replica.persistence import BOUNDS, Bounds, Persistence
from a9fe.replica.port_times import PortTimes
from a9fe.replica.state import State, entry_of
from a9fe.replica.watchers import Wake, Watchers
from a9fe.runtime import metrics
from a9fe.runtime.clock import SystemClock
from a9fe.wire.freshness import Freshness

log = structlog.get_logger()

NOTHING = -1  # the revision of a replica that was never complete
BATCH = 500  # rows of a snapshot written at once: blocks the event loop for some ms
KEPT_DELETIONS = 65536  # more than a server repeats events


Change = tuple[str, Resource | None, Resource | None]
"""Kind of a resource, before and after; None for a created or deleted one."""


class StoreRefused(FeedLost):
    """The server's database has another id than the followed one, or a lower revision."""

    def __init__(self, known: str, reached: int, hello: FeedEvent) -> None:
        """`known` and `reached`: id and revision of the followed database."""
        super().__init__(
            f"the server's database is {hello.store or '(no id)'} at revision {hello.revision},"
            f" expected {known} at revision {reached} or later"
        )
        self.known = known


class _Snapshot:
    """A snapshot that is being received, invisible until it is complete.

    `to_disk`: it was requested only to fill a recreated file.
    """

    def __init__(self, generation: int, *, to_disk: bool) -> None:
        self.generation = generation
        self.to_disk = to_disk
        self.state = State()
        self.rows: dict[tuple[str, str], Row] = {}


class Replica(Lookups):
    """Resources by kind ("port", ...) and id. Look-ups never see half a snapshot."""

    def __init__(
        self, disk: Disk | None = None, source: str = "", bounds: Bounds = BOUNDS
    ) -> None:
        """Without `disk` it is in memory only. `source` names the feed that it copies."""
        disk = disk or Disk(IN_MEMORY)
        super().__init__(UserDataCache(self._read_user_data))
        self._source = source
        self._meta = Meta()
        self._generation = 0  # the highest that a snapshot began
        self.version = 0
        """A number that changes with each visible change of a resource."""
        self.epoch = 0
        """A number that changes when revisions may begin to have another meaning."""
        self._store, self._accepted, self._needs_snapshot = "", False, False
        self._snapshot: _Snapshot | None = None
        self._synced = False
        self._deleted: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._changed = asyncio.Event()
        self._watchers = Watchers()
        self._told: list[Callable[[Change | None], None]] = []
        self._port_times = PortTimes()
        self._revision = self._seen = self._floor = self._announced = NOTHING
        self.persistence = Persistence(self._load(disk), bounds)

    @classmethod
    def open(cls, path: str, source: str = "") -> "Replica":
        """Open the replica at `path`, as it was when it last changed."""
        return cls(Disk(path), source)

    def close(self) -> None:
        """Close the file."""
        self.persistence.close()

    # State

    @property
    def revision(self) -> int:
        """Return the revision of the last visible change; -1 if it was never complete."""
        return self._revision

    @property
    def lag(self) -> int:
        """Return how many revisions the server has announced and the replica does not have."""
        return max(0, self._announced - (self._meta.revision or 0))

    @property
    def resume_from(self) -> int | None:
        """Return the revision to resume from, None if a snapshot is needed."""
        return None if self.persistence.filling or self._needs_snapshot else self._known_revision

    @property
    def _known_revision(self) -> int | None:
        return self._meta.revision if self._meta.source == self._source else None

    def freshness(self, now: float) -> Freshness:
        """Return how up to date the replica is at `now` (UNIX seconds)."""
        heard_at = self._meta.heard_at
        lost_for = float("inf") if heard_at is None else max(0.0, now - heard_at)
        return Freshness(
            ever_synced=self._revision != NOTHING,
            synced_now=self._synced,
            lost_for=0.0 if self._synced else lost_for,
        )

    async def wait_change(self, after_revision: int) -> int:
        """Wait until the revision differs from `after_revision`, and return it.

        It also returns when the replica becomes complete, or loses the feed.
        """
        if self._revision == after_revision:
            await self._changed.wait()
        return self._revision

    def watch(self, keys: Collection[ResourceKey], wake: Wake) -> Callable[[], None]:
        """Call `wake` at each change of a resource of `keys`; the returned function ends that.

        The key ("instance", id) stands for an instance and all its ports.
        """
        return self._watchers.add(keys, wake)

    def tell(self, changed: Callable[[Change | None], None]) -> Callable[[], None]:
        """Call `changed` at each change, after it is made; None: a snapshot may have changed all.

        The returned function ends that.
        """
        self._told.append(changed)
        return lambda: self._told.remove(changed)

    def unchanged_since(self, port_id: str) -> float:
        """Return since when the port is unchanged (port_times.py): s of CLOCK_MONOTONIC."""
        return self._port_times.since(port_id)

    @property
    def watched(self) -> int:
        """Return the number of keys that are watched."""
        return len(self._watchers)

    # Events

    def apply(self, event: FeedEvent, now: float) -> None:
        """Apply an event received at `now`. Raises FeedLost, or its subclass StoreRefused."""
        self._announced = max(self._announced, event.revision)
        if event.event == "hello":
            self._announced = event.revision
            self._accept(event)
            return
        if not self._accepted:
            self.check_store(FeedEvent(event="hello", revision=event.revision))
        if event.event == "snapshot":
            self._begin_snapshot()
        elif self._snapshot is not None:
            self._receive(self._snapshot, event, now)
        elif self.resume_from is None:
            raise FeedLost(f"change feed: expected a snapshot, got {event.event}")
        else:
            self._change(event, now)

    def _accept(self, hello: FeedEvent) -> None:
        """Accept the server's database. Raises StoreRefused, or FeedLost to get a snapshot."""
        self.check_store(hello)
        before, self._accepted = self._meta.store, True
        if before and before != hello.store and self.resume_from is not None:
            self._needs_snapshot = True
            raise FeedLost("another database takes over, reconnecting for a snapshot")
        self._store = hello.store
        if not before:
            self._meta = replace(self._meta, store=hello.store)

    def check_store(self, hello: FeedEvent) -> None:
        """Check the database of a server. Raises StoreRefused."""
        known, reached = self._meta.store, self._meta.revision
        if reached is None or not known or known in hello.accepts:
            return
        if known != hello.store or hello.revision < reached:
            raise StoreRefused(known, reached, hello)

    def catch_up(self, events: Iterable[FeedEvent], now: float) -> bool:
        """Apply changes that were fetched beside the feed. Return whether they changed anything.

        Call it only while the feed is followed and `epoch` is unchanged since the request.
        """
        before = self._revision
        for event in events:
            if event.event in ("upsert", "delete", "synced"):
                self._change(event, now)
        return self._revision != before

    def lost(self, now: float) -> None:
        """The feed broke: keep all resources, but misses become uncertain."""
        self._snapshot = None
        self._accepted = False
        self.epoch += 1
        if self._synced:
            self._synced = False
            self._meta = replace(self._meta, heard_at=now)
            metrics.SYNCED.set(0)
            self._notify()

    def _load(self, disk: Disk) -> Disk:
        """Load the file. Return the disk, recreated if it was damaged."""
        state = State()
        try:
            meta = disk.meta()
            for kind, entry in disk.entries() if meta.revision is not None else ():
                state.put(kind, entry)
        except UNREADABLE as error:
            log.warning(
                "discarded a damaged or outdated replica, fetching a snapshot",
                path=disk.path,
                reason=str(error),
            )
            disk.close()
            remove(disk.path)
            return Disk(disk.path)
        self._meta, self._state, self._generation = meta, state, meta.generation
        if meta.revision is not None:
            self._revision = self._seen = self._floor = meta.revision
            self._port_times.loaded(state.ports.values(), time.monotonic(), SystemClock().now())
        return disk

    def _read_user_data(self, id: str, revision: int) -> bytes | None:
        return self.persistence.user_data(self._meta.generation, id, revision)

    def _begin_snapshot(self) -> None:
        self._generation += 1  # an interrupted snapshot may have left rows of the former one
        self.persistence.clear(self._generation)
        to_disk = self.persistence.filling and self._known_revision is not None
        self._snapshot = _Snapshot(self._generation, to_disk=to_disk)
        self.epoch += 1

    def _receive(self, snapshot: _Snapshot, event: FeedEvent, now: float) -> None:
        if event.object is not None:
            snapshot.rows[event.kind, event.id] = (event.kind, event.revision, event.object)
            snapshot.state.put(event.kind, entry_of(event.revision, event.object))
        elif event.event == "delete":
            snapshot.rows.pop((event.kind, event.id), None)
            snapshot.state.remove(event.kind, event.id)
            self.persistence.delete(snapshot.generation, event.kind, event.id)
        if len(snapshot.rows) >= BATCH or event.event == "synced":
            self._flush(snapshot)
        if event.event == "synced":
            self._complete(snapshot, event.revision, now)

    def _flush(self, snapshot: _Snapshot) -> None:
        self.persistence.write(snapshot.generation, snapshot.rows.values())
        snapshot.rows.clear()
        if snapshot.to_disk and not self.persistence.writing:
            raise FeedLost("change feed: cannot write the snapshot to disk, continuing in memory")

    def _complete(self, snapshot: _Snapshot, revision: int, now: float) -> None:
        store = self._store or self._meta.store
        meta = Meta(snapshot.generation, revision, now, self._source, store)
        before = self._state
        self._meta, self._state, self._snapshot = meta, snapshot.state, None
        self._revision = self._seen = self._floor = revision
        self._needs_snapshot = False
        self._deleted.clear()
        self._user_data.clear()
        self.persistence.complete(meta)
        self._set_synced()
        self.version += 1
        self._port_times.replaced(before.ports, self._state.ports, time.monotonic())
        self._watchers.replaced(before, self._state)
        for tell in tuple(self._told):
            tell(None)

    def _change(self, event: FeedEvent, now: float) -> None:
        """Apply an event that is not part of a snapshot."""
        whole = event.event in ("synced", "heartbeat")
        if event.event == "heartbeat" and not self._synced:
            return
        meta = self._advanced(event.revision, whole=whole, now=now)
        if whole:
            self.persistence.write_meta(meta)
        elif self._is_news(event):
            self._write(event, meta)
            self._revision = max(self._revision, event.revision)
            metrics.REVISION.set(self._revision)
            self._notify()
        self._meta, self._seen = meta, max(self._seen, event.revision)
        if event.event == "synced":
            self._set_synced()

    def _advanced(self, revision: int, *, whole: bool, now: float) -> Meta:
        """Return meta after an event of `revision`. `whole`: its events are complete.

        Otherwise more may follow, so only the revision seen before is complete.
        """
        complete = revision if whole else min(self._seen, revision)
        return replace(
            self._meta,
            revision=max(self._meta.revision or 0, complete),
            heard_at=now if whole or self._synced else self._meta.heard_at,
        )

    def _is_news(self, event: FeedEvent) -> bool:
        """Return whether the event is newer than what the replica has of its resource."""
        if event.revision <= self._floor:
            return False
        entry = self._state.entry(event.kind, event.id)
        known = entry.revision if entry else self._deleted.get((event.kind, event.id), NOTHING)
        return event.revision > known

    def _write(self, event: FeedEvent, meta: Meta) -> None:
        """Change memory, then the file."""
        key = (event.kind, event.id)
        before = self._state.entry(*key)
        if event.object is not None:
            self._state.put(event.kind, entry_of(event.revision, event.object))
            self._deleted.pop(key, None)
            self.persistence.write(
                meta.generation, [(event.kind, event.revision, event.object)], meta
            )
        else:
            self._state.remove(event.kind, event.id)
            self._deleted[key] = event.revision
            self.persistence.delete(meta.generation, event.kind, event.id, meta)
            if len(self._deleted) > KEPT_DELETIONS:
                self._deleted.popitem(last=False)
        self.version += 1
        known = before.resource if before else None
        self._port_times.changed(known, event.object, time.monotonic())
        self._watchers.changed(key, known, event.object)
        for tell in tuple(self._told):
            tell((event.kind, known, event.object))

    def _set_synced(self) -> None:
        self._synced = True
        metrics.SYNCED.set(1)
        metrics.REVISION.set(self._revision)
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
