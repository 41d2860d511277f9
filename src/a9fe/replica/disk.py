"""The replica's file: SQLite, one table of documents. It can always be built anew.

Rows belong to a generation. A snapshot is written as the next generation, and becomes the current
one in the transaction that ends it, so that a kill at any moment leaves a whole state. Files of
another model (by the names of its fields) or that SQLite cannot read are thrown away.
"""

import json
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

import structlog

from a9fe.model.codec import CodecError, decode_kind, encode
from a9fe.model.errors import A9feError
from a9fe.model.resources import KINDS, Instance, Resource
from a9fe.runtime.errors import StartError

log = structlog.get_logger()

SCHEMA = """
CREATE TABLE objects (
    kind TEXT, id TEXT, generation INTEGER, revision INTEGER, json TEXT, user_data BLOB,
    PRIMARY KEY (kind, id, generation)
);
CREATE TABLE meta (generation INTEGER, revision INTEGER, heard_at REAL, source TEXT);
INSERT INTO meta VALUES (0, NULL, NULL, '');
"""
_SHAPE = [(kind, [f.name for f in fields(cls)]) for kind, cls in KINDS.items()]
FORMAT = zlib.crc32(repr((SCHEMA, _SHAPE)).encode()) & 0x7FFFFFFF  # PRAGMA user_version
IN_MEMORY = ":memory:"

Row = tuple[str, int, Resource]  # kind, revision, resource


class _Discard(A9feError):
    """The file is of no use; the text says why."""


@dataclass(frozen=True, slots=True)
class Meta:
    """Of the state on disk: the revision to resume from (None: never complete), when the server
    was last heard (UNIX seconds), and which server's which feed it is.
    """

    generation: int
    revision: int | None
    heard_at: float | None
    source: str


class Disk:
    """The open file. Methods raise sqlite3.Error when the disk fails."""

    def __init__(self, path: str) -> None:
        """Open `path`, or make it, or make it anew."""
        self._path, self._db = _open(path)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def rebuild(self) -> None:
        """Throw the file away and begin an empty one."""
        self._db.close()
        _remove(self._path)
        self._path, self._db = _open(self._path)

    def meta(self) -> Meta:
        """What is on disk."""
        return Meta(*self._db.execute("SELECT * FROM meta").fetchone())

    def rows(self) -> Iterator[Row]:
        """Everything of the current generation. Raises CodecError, json's ValueError.

        User data, which are most of the file, are not read: they are b"" where there are any.
        """
        for kind, revision, text, has_user_data in self._db.execute(
            "SELECT kind, revision, json, user_data IS NOT NULL FROM objects"
            " WHERE generation = (SELECT generation FROM meta)"
        ):
            found = decode_kind(kind, json.loads(text))
            if has_user_data and isinstance(found, Instance):
                found = replace(found, user_data=b"")
            yield kind, revision, found

    def user_data(self, id: str, revision: int) -> bytes | None:
        """An instance's user data as of exactly that revision; None: it is not there."""
        row = self._db.execute(
            "SELECT user_data FROM objects"
            " WHERE kind = 'instance' AND id = ? AND revision = ?"
            " AND generation = (SELECT generation FROM meta)",
            (id, revision),
        ).fetchone()
        return None if row is None else row[0]

    def write(self, generation: int, rows: Iterable[Row], meta: Meta | None = None) -> None:
        """Put resources into a generation, with `meta` in the same transaction."""
        with self._db:
            self._set_meta(meta)
            self._db.executemany(
                "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?)",
                [(kind, r.id, generation, revision, *_parts(r)) for kind, revision, r in rows],
            )

    def delete(self, generation: int, kind: str, id: str, meta: Meta | None = None) -> None:
        """Take a resource out of a generation, with `meta` in the same transaction."""
        with self._db:
            self._set_meta(meta)
            self._db.execute(
                "DELETE FROM objects WHERE kind = ? AND id = ? AND generation = ?",
                (kind, id, generation),
            )

    def complete(self, meta: Meta) -> None:
        """Make `meta.generation` the current one, and the only one."""
        with self._db:
            self._db.execute("DELETE FROM objects WHERE generation <> ?", (meta.generation,))
            self._set_meta(meta)

    def clear(self, generation: int) -> None:
        """Empty a generation, as a snapshot that broke off left it."""
        with self._db:
            self._db.execute("DELETE FROM objects WHERE generation = ?", (generation,))

    def keep(self, meta: Meta) -> None:
        """Write `meta` alone."""
        with self._db:
            self._set_meta(meta)

    def _set_meta(self, meta: Meta | None) -> None:
        if meta is None:
            return
        self._db.execute(
            "UPDATE meta SET generation = ?, revision = ?, heard_at = ?, source = ?",
            (meta.generation, meta.revision, meta.heard_at, meta.source),
        )


def _parts(resource: Resource) -> tuple[str, bytes | None]:
    """A resource as JSON, and its user data apart: they are read by themselves, as they are."""
    if not isinstance(resource, Instance) or resource.user_data is None:
        return json.dumps(encode(resource)), None
    return json.dumps(encode(replace(resource, user_data=None))), resource.user_data


def _open(path: str) -> tuple[str, sqlite3.Connection]:
    """The database, and where it is: in memory if another process has the file."""
    if path == IN_MEMORY:
        return path, _connect(path)
    _make_private(path)
    try:
        return path, _connect(path)
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise StartError(f"cannot open the replica {path}: {error}") from error
        log.warning("replica in use by another process, keeping this one in memory", path=path)
        return IN_MEMORY, _connect(IN_MEMORY)
    except (sqlite3.DatabaseError, _Discard) as error:
        log.warning("replica discarded, building it anew", path=path, reason=str(error))
        _remove(path)
        _make_private(path)
        return path, _connect(path)


def _connect(path: str) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=0)
    try:
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        _set_up(db)
        with db:  # takes the lock now, and drops what a broken-off snapshot left
            db.execute("DELETE FROM objects WHERE generation <> (SELECT generation FROM meta)")
    except BaseException:
        db.close()
        raise
    return db


def _set_up(db: sqlite3.Connection) -> None:
    found = db.execute("PRAGMA user_version").fetchone()[0]
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables == 0:
        db.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version={FORMAT}; COMMIT;")
    elif found != FORMAT:
        raise _Discard("made by another version")


def _make_private(path: str) -> None:
    """User data may hold passwords: the file is its owner's alone, from its first moment."""
    try:
        Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StartError(f"cannot write the replica {path}: {error.strerror}") from error


def _remove(path: str) -> None:
    if path != IN_MEMORY:
        for suffix in ("", "-wal", "-shm", "-journal"):
            Path(path + suffix).unlink(missing_ok=True)


UNREADABLE = (sqlite3.DatabaseError, CodecError, ValueError, TypeError)
