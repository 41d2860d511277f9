"""The change log inside one transaction. Revisions have no gaps and commit in their order.

A writing transaction locks the counter's row first and holds it until its commit. So the next
revision is assigned only when all earlier ones are visible: a reader that sees a revision has
missed none before it, however many servers write.
"""

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, text, update

from a9fe.store.schema.tables import change_log, counters

CHANNEL = "a9fe_changes"
"""PostgreSQL's channel on which each commit notifies the revision that it reached."""
KEPT_CHANGES = 100_000
"""Rows of the change log that are kept; a follower that is further behind gets a snapshot. At 100
writes a second this is a quarter of an hour; a row takes about 100 bytes."""
TRIM_EVERY = 1_000
_REVISION = select(counters.c.value).where(counters.c.name == "revision")
_LOCK = _REVISION.with_for_update()
_REACH = update(counters).where(counters.c.name == "revision").values(value=bindparam("reached"))
_APPEND = insert(change_log)
_SINCE = (
    select(change_log)
    .where(change_log.c.revision > bindparam("after"))
    .order_by(change_log.c.revision)
)
_OLDEST = select(func.min(change_log.c.revision))
_NOTIFY = text("SELECT pg_notify(:channel, :revision)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """The location of a port or binding before it moved or was deleted; all "" for a new one.

    For a binding, `network_id` is the resource that it bound, and `device_owner` its kind. For a
    floating IP, `device_id` is its router.
    """

    network_id: str = ""
    host: str = ""
    device_id: str = ""
    device_owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The newest row of the log for a resource, with `before` of all its rows in the range."""

    revision: int
    kind: str
    object_id: str
    deleted: bool
    before: tuple[Before, ...] = ()


class ChangeLog:
    """Read the log, or collect the entries of a write, which `flush` inserts together."""

    def __init__(self, connection: Connection) -> None:
        """Use the transaction of `connection`."""
        self._connection = connection
        self._reached: int | None = None
        self._pending: list[dict[str, object]] = []

    def lock(self) -> None:
        """Wait until no other transaction writes, and lock the log."""
        self._reached = self._connection.execute(_LOCK).scalar_one()

    def revision(self) -> int:
        """Return the revision of the newest change."""
        if self._reached is not None:
            return self._reached
        return int(self._connection.execute(_REVISION).scalar_one())

    def append(self, kind: str, id: str, *, deleted: bool, before: Before | None = None) -> int:
        """Log a change and return its revision. `before` is None if nothing moved."""
        assert self._reached is not None, "the transaction does not write"
        self._reached += 1
        row = {"revision": self._reached, "kind": kind, "object_id": id, "deleted": deleted}
        self._pending.append({**row, "before": before and asdict(before)})
        return self._reached

    def mark(self) -> int:
        """Return the position in the pending entries, for `rewind`."""
        return len(self._pending)

    def rewind(self, mark: int) -> None:
        """Remove the pending entries since a mark, as their writes were rolled back."""
        if self._reached is not None:
            self._reached -= len(self._pending) - mark
        del self._pending[mark:]

    def flush(self) -> None:
        """Insert the pending entries; call it as the last step before the commit."""
        if not self._pending or self._reached is None:
            return
        self._connection.execute(_APPEND, self._pending)
        self._connection.execute(_REACH, {"reached": self._reached})
        if self._reached // TRIM_EVERY > (self._reached - len(self._pending)) // TRIM_EVERY:
            old = change_log.c.revision <= self._reached - KEPT_CHANGES
            self._connection.execute(delete(change_log).where(old))
        if self._connection.dialect.name == "postgresql":
            said = {"channel": CHANNEL, "revision": str(self._reached)}
            self._connection.execute(_NOTIFY, said)
        self._pending.clear()

    def since(self, revision: int) -> list[Entry] | None:
        """Return the newest entry of each resource that changed after `revision`, in order.

        Return None if the log does not reach back that far, or never had that revision (it is
        another database's).
        """
        if not self._reaches(revision):
            return None
        if revision == self.revision():
            return []
        last: dict[tuple[str, str], Entry] = {}
        for row in self._connection.execute(_SINCE, {"after": revision}).mappings():
            key = (row["kind"], row["object_id"])
            last[key] = _entry(dict(row), last[key].before if key in last else ())
        return sorted(last.values(), key=lambda entry: entry.revision)

    def _reaches(self, revision: int) -> bool:
        now = self.revision()
        if revision == now:
            return True
        oldest = self._connection.execute(_OLDEST).scalar()
        return oldest is not None and int(oldest) - 1 <= revision < now


def _entry(row: dict[str, Any], before: tuple[Before, ...]) -> Entry:
    moved = (Before(**row["before"]),) if row["before"] else ()
    return Entry(
        revision=row["revision"],
        kind=row["kind"],
        object_id=row["object_id"],
        deleted=row["deleted"],
        before=before + moved,
    )
