"""Keeps the replica on disk. If the disk fails, the replica continues in memory.

| the file             | on disk                              | user data are read from          |
|----------------------|--------------------------------------|----------------------------------|
| can be written       | as current as memory                 | the file                         |
| failed (full,        | removed, so that no restart loads an | the file, which is still open,   |
| read-only, damaged)  | older state                          | and memory, for later changes    |
| is being recreated   | empty until a snapshot is complete   | the same                         |

The order is safe against a kill at any moment: the file is removed before the replica shows a
change that is not on disk. Only on a disk that became read-only the file remains; a restart cannot
write that disk, and does not load the file.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog

from a9fe.model.resources import Instance
from a9fe.replica import disk as files
from a9fe.replica.disk import IN_MEMORY, IN_USE, Damaged, Disk, Meta, Row
from a9fe.runtime import metrics
from a9fe.runtime.tasks import Backoff

log = structlog.get_logger()

RETRY = Backoff(first=1.0, ceiling=30.0)  # s until the file is recreated
ROOM = 1 << 20  # bytes that must be free beyond the file's size to recreate it


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Bounds while the file cannot be written.

    `pinned_max`: bytes of user data in memory. `log_interval`: seconds between log lines.
    """

    pinned_max: int = 64 << 20
    log_interval: float = 60.0


BOUNDS = Bounds()


@dataclass(frozen=True, slots=True)
class _Pin:
    revision: int
    data: bytes


class Persistence:
    """The file of a replica. Only `user_data` raises disk errors."""

    def __init__(
        self,
        disk: Disk,
        bounds: Bounds = BOUNDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`monotonic` in seconds, for the interval of log lines."""
        self._disk = disk
        self._bounds = bounds
        self._path = disk.path
        self._former: Disk | None = None  # read while the next file is filled
        self._size = 0
        self._monotonic = monotonic
        self._pins: dict[tuple[int, str], _Pin] = {}
        self._pinned = 0
        self._logged_at = 0.0
        self.reason = ""
        self.failures = 0
        self.is_damaged = False
        self.on_failure: Callable[[], None] = lambda: None
        metrics.ON_DISK.set(1)
        if disk.reason:
            self._fail(sqlite3.OperationalError(disk.reason))

    @property
    def behind(self) -> bool:
        """Return whether the file cannot be written, or is not complete yet."""
        return bool(self.reason)

    @property
    def is_in_use(self) -> bool:
        """Return whether another process uses the file, which is then not touched."""
        return self.reason == IN_USE

    @property
    def filling(self) -> bool:
        """Return whether the file was recreated and needs a snapshot."""
        return self._former is not None

    @property
    def writing(self) -> bool:
        """Return whether writes go to a file, complete or not."""
        return not self.behind or self.filling

    def close(self) -> None:
        """Close the file. Remove it if it is not complete."""
        if self.filling:
            self._remove()
        self._disk.close()
        if self._former is not None:
            self._former.close()

    # Writes

    def write(self, generation: int, rows: Iterable[Row], meta: Meta | None = None) -> None:
        """Write resources into a generation, and `meta`."""
        rows = list(rows)
        self._try(lambda disk: disk.write(generation, rows, self._meta_of_complete(meta)))
        if self.behind:
            self._pin(generation, rows)

    def delete(self, generation: int, kind: str, id: str, meta: Meta | None = None) -> None:
        """Delete a resource from a generation, and write `meta`."""
        self._try(lambda disk: disk.delete(generation, kind, id, self._meta_of_complete(meta)))
        self._unpin(generation, id)

    def write_meta(self, meta: Meta) -> None:
        """Write `meta` only."""
        self._try(lambda disk: None if self.behind else disk.write_meta(meta))

    def clear(self, generation: int) -> None:
        """Begin a generation."""
        self._try(lambda disk: disk.clear(generation))

    def complete(self, meta: Meta) -> None:
        """Make `meta.generation` the current one; this completes a recreated file."""
        self._try(lambda disk: disk.complete(meta))
        for generation, id in list(self._pins):
            if generation != meta.generation:
                self._unpin(generation, id)
        if self._former is not None:
            self._completed()

    def _meta_of_complete(self, meta: Meta | None) -> Meta | None:
        """Return `meta`; None if the file is not complete yet, because meta would say it is."""
        return None if self.behind else meta

    def _try(self, work: Callable[[Disk], None]) -> None:
        if not self.writing:
            return
        try:
            work(self._disk)
        except Exception as error:  # noqa: BLE001 - after any failure the file is behind
            self._fail(error)

    # Reads

    def user_data(self, generation: int, id: str, revision: int) -> bytes | None:
        """Return user data of exactly that revision, None if there are none.

        Raises sqlite3.Error. If they are damaged or missing, the file is recreated.
        """
        pin = self._pins.get((generation, id))
        if pin is not None and pin.revision == revision:
            return pin.data
        disk = self._former or self._disk
        try:
            found = disk.user_data(generation, id, revision)
        except sqlite3.Error as error:
            if not self.behind:
                self._fail(error)
            raise
        if found is None and not self.behind:
            self._fail(Damaged(f"user data of instance {id} is missing"))
        return found

    # Failures

    def _fail(self, error: Exception) -> None:
        """Stop using the file, and log it once."""
        if self.reason and self._former is None:
            return
        self.reason = str(error) or type(error).__name__
        self.is_damaged = not isinstance(error, sqlite3.OperationalError | OSError)
        self.failures += 1
        if self._former is not None:  # the recreated file failed
            self._disk.close()
            self._disk, self._former = self._former, None
        if self._path != IN_MEMORY and not self.is_in_use:
            self._size = max(self._size, files.size_of(self._path))
            self._remove()
        metrics.ON_DISK.set(0)
        self._log("replica cannot be kept on disk, continuing in memory")
        self.on_failure()

    def _remove(self) -> None:
        try:
            files.remove(self._path)
        except OSError as error:
            log.error("cannot remove the replica's file", path=self._path, reason=str(error))  # noqa: TRY400

    def _log(self, what: str) -> None:
        self._logged_at = self._monotonic()
        again = "" if self.is_in_use else "the file is recreated as soon as the disk allows"
        log.error(what, path=self._path, reason=self.reason, next=again)

    def recreate(self) -> bool:
        """Recreate the file, empty. Return whether that succeeded; a snapshot then fills it."""
        if not self.behind or self.is_in_use:
            return False
        try:
            if self._path != IN_MEMORY:
                files.make_room(self._path, self._size + ROOM)
            files.remove(self._path)
            disk = Disk(self._path)
        except (OSError, sqlite3.Error) as error:
            self.reason = str(error)
        else:
            if not disk.in_memory or self._path == IN_MEMORY:
                self._former, self._disk = self._disk, disk
                return True
            self.reason = disk.reason
            disk.close()
        self.failures += 1
        if self._monotonic() >= self._logged_at + self._bounds.log_interval:
            self._log("replica still cannot be kept on disk")
        return False

    def _completed(self) -> None:
        """Use the recreated file, which is as current as memory."""
        if self._former is not None:
            self._former.close()
        self._former, self.reason, self.failures, self._size = None, "", 0, 0
        self._pins.clear()
        self._pinned = 0
        metrics.ON_DISK.set(1)
        log.info("replica is kept on disk again", path=self._path)

    def _pin(self, generation: int, rows: Iterable[Row]) -> None:
        """Keep user data in memory up to the bound; further user data are unreadable meanwhile."""
        for kind, revision, resource in rows:
            if kind != "instance" or not isinstance(resource, Instance):
                continue
            self._unpin(generation, resource.id)
            data = resource.user_data
            if data is not None and self._pinned + len(data) <= self._bounds.pinned_max:
                self._pins[generation, resource.id] = _Pin(revision, data)
                self._pinned += len(data)

    def _unpin(self, generation: int, id: str) -> None:
        pin = self._pins.pop((generation, id), None)
        self._pinned -= len(pin.data) if pin else 0
