"""The feed's lines: one JSON object each (docs/contracts/change-feed.md).

{"event": "hello" | "snapshot" | "upsert" | "delete" | "synced" | "heartbeat", "revision", "kind",
"object" | "id"}. hello comes first and says which database this is. Then come a snapshot or the
changes since a revision, then `synced`, then further changes. An upsert has the object as it is
when the line is made, which may be newer than its revision.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass

from a9fe.model import codec
from a9fe.model.resources import KIND_OF, Resource
from a9fe.server.feed.changes import deliveries
from a9fe.server.feed.roles import Follower
from a9fe.server.feed.snapshot import snapshot
from a9fe.store import Change, Session, Store

MEDIA_TYPE = "application/x-ndjson"
RESUMED_MAX = 2_000
"""Changes beyond which a snapshot is less work than judging each of them."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The lines after some commits, up to `revision`: (revision, line) by follower."""

    revision: int
    lines: dict[Follower, list[tuple[int, bytes]]]


def beginning(
    store: Store, follower: Follower, from_revision: int | None
) -> tuple[int, list[bytes]]:
    """Return the revision reached, and the lines from hello to `synced`.

    They are the changes since `from_revision` if the log has them all and they are at most
    RESUMED_MAX, else a snapshot.
    """
    with store.read() as session:
        revision = session.revision()
        lines = None if from_revision is None else _since(session, follower, from_revision)
        if lines is None:
            found = snapshot(session, follower)
            lines = [_line("snapshot", revision), *(_upsert(revision, r) for r in found)]
        hello = _hello(session, revision)
    return revision, [hello, *lines, _line("synced", revision)]


def once(session: Session, follower: Follower, from_revision: int) -> list[bytes]:
    """Return the lines of all committed changes after a revision, from hello to `synced`.

    Return no lines if the log does not have all changes, or they are more than RESUMED_MAX.
    """
    lines = _since(session, follower, from_revision)
    if lines is None:
        return []
    revision = session.revision()
    return [_hello(session, revision), *lines, _line("synced", revision)]


def batch_after(store: Store, revision: int, followers: Collection[Follower]) -> Batch | None:
    """Return what was committed after `revision`, None if the log does not reach back that far."""
    with store.read() as session:
        if not followers:
            return Batch(session.revision(), {})
        changes = session.changes_since(revision)
        if changes is None:
            return None
        sent = deliveries(session, changes, followers)
    made: dict[tuple[str, str, int, bool], bytes] = {}
    lines = {
        follower: [(change.revision, _shared(made, change)) for change in found]
        for follower, found in sent.items()
    }
    return Batch(changes[-1].revision if changes else revision, lines)


def heartbeat(revision: int) -> bytes:
    """Return the line that says: nothing has changed up to `revision`."""
    return _line("heartbeat", revision)


def _since(session: Session, follower: Follower, revision: int) -> list[bytes] | None:
    changes = session.changes_since(revision)
    if changes is None or len(changes) > RESUMED_MAX:
        return None
    sent = deliveries(session, changes, [follower]).get(follower, [])
    return [_line_of(change) for change in sent]


def _shared(made: dict[tuple[str, str, int, bool], bytes], change: Change) -> bytes:
    """Return the line of a change, encoded once for all followers that are sent it."""
    name = (change.kind, change.id, change.revision, change.resource is None)
    if name not in made:
        made[name] = _line_of(change)
    return made[name]


def _line_of(change: Change) -> bytes:
    if change.resource is None:
        return _line("delete", change.revision, kind=change.kind, id=change.id)
    return _upsert(change.revision, change.resource)


def _upsert(revision: int, resource: Resource) -> bytes:
    kind = KIND_OF[type(resource)]
    return _line("upsert", revision, kind=kind, object=codec.encode(resource))


def _hello(session: Session, revision: int) -> bytes:
    known = session.lineage()
    return _line("hello", revision, store=known.store, accepts=list(known.accepts))


def _line(event: str, revision: int, **more: object) -> bytes:
    return json.dumps({"event": event, "revision": revision, **more}).encode() + b"\n"
