"""The replica's file: SQLite, one table of documents. A snapshot can always fill a new one.

Rows belong to a generation. A snapshot is written as the next generation, and becomes the current
one in the transaction that ends it, so that a kill at any moment leaves a complete state. Every
row has checksums, and `meta` has the sum of the current generation's rows, so that altered and
missing rows are found when the file is read. A file that is damaged, or was written for other
fields of the model, is discarded.
"""

import errno
import json
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, fields, replace
from hashlib import blake2b
from pathlib import Path

import structlog

from a9fe.model.codec import CodecError, decode_kind, encode
from a9fe.model.errors import A9feError
from a9fe.model.resources import KINDS, Instance, Resource
from a9fe.replica.state import Entry
from a9fe.runtime.errors import StartError

log = structlog.get_logger()

# user_data comes last: to read a column, SQLite reads all columns before it.
SCHEMA = """
CREATE TABLE objects (
    kind TEXT, id TEXT, generation INTEGER, revision INTEGER, json_sum INTEGER, json TEXT,
    data_sum INTEGER, user_data BLOB, PRIMARY KEY (kind, id, generation)
);
CREATE TABLE meta (
    generation INTEGER, revision INTEGER, heard_at REAL, source TEXT, store TEXT,
    content INTEGER, meta_sum INTEGER
);
"""
_SHAPE = [(kind, [f.name for f in fields(cls)]) for kind, cls in KINDS.items()]
_PARTS = 2  # incremented when a follower is sent more than before, so that it asks for a snapshot
FORMAT = zlib.crc32(repr((SCHEMA, _SHAPE, _PARTS)).encode()) & 0x7FFFFFFF  # PRAGMA user_version
IN_MEMORY = ":memory:"
IN_USE = "in use by another process"
SUFFIXES = ("", "-wal", "-shm", "-journal")
_SUMS = 1 << 62  # checksums are below; SQLite's integers have 63 bits and a sign
_UNWRITABLE = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO))

Row = tuple[str, int, Resource]  # kind, revision, resource


class _Discard(A9feError):
    """The file cannot be used; the text is the reason."""


class Damaged(A9feError, sqlite3.DatabaseError):
    """A checksum is wrong: the file is not as it was written."""


UNREADABLE = (sqlite3.Error, CodecError, ValueError, TypeError)


@dataclass(frozen=True, slots=True)
class Meta:
    """The state of the file.

    `revision` to resume from, None if it was never complete. `heard_at`: the last contact with the
    server (UNIX seconds). `source`: server, host and agent of the feed. `store`: the id of the
    database behind the feed, "" if not known.
    """

    generation: int = 0
    revision: int | None = None
    heard_at: float | None = None
    source: str = ""
    store: str = ""


class Disk:
    """The open file. Methods raise sqlite3.Error, such as Damaged, if the disk fails.

    `reason`: why the file cannot be used, and this database is in memory; "" if it can be used.
    """

    def __init__(self, path: str) -> None:
        """Open the file at `path`; create it if there is none or it cannot be used."""
        self.path = path
        self._db, self.reason = _open(path)
        self._in_memory = path == IN_MEMORY or bool(self.reason)
        self._content: dict[int, int] = {}

    @property
    def in_memory(self) -> bool:
        """Return whether there is no file."""
        return self._in_memory

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def meta(self) -> Meta:
        """Return the meta row. Raises Damaged."""
        rows = self._db.execute("SELECT * FROM meta").fetchall()
        if len(rows) != 1 or rows[0][-1] != _sum(*rows[0][:-1]):
            raise Damaged("the meta row is damaged")
        meta, content = Meta(*rows[0][:-2]), rows[0][-2]
        self._content = {meta.generation: content}
        return meta

    def entries(self) -> Iterator[tuple[str, Entry]]:
        """Yield kind and entry of each row of the current generation, after checking its sum.

        User data, which are most of the file, are not read. Raises Damaged, CodecError, or json's
        ValueError.
        """
        generation, content = self.meta().generation, 0
        for kind, id, revision, text, total, has_user_data in self._db.execute(
            "SELECT kind, id, revision, json, json_sum, data_sum IS NOT NULL FROM objects"
            " WHERE generation = ?",
            (generation,),
        ):
            if total != _sum(kind, id, generation, revision, text, has_user_data):
                raise Damaged(f"the row of {kind} {id} is damaged")
            content = (content + total) % _SUMS
            resource = decode_kind(kind, json.loads(text))
            yield kind, Entry(revision, resource, has_user_data=bool(has_user_data))
        if content != self._content[generation]:
            raise Damaged("rows are missing or were added")

    def user_data(self, generation: int, id: str, revision: int) -> bytes | None:
        """Return an instance's user data of exactly that revision, None if the file has none."""
        row = self._db.execute(
            "SELECT user_data, data_sum FROM objects"
            " WHERE kind = 'instance' AND id = ? AND revision = ? AND generation = ?",
            (id, revision, generation),
        ).fetchone()
        if row is None:
            return None
        if not isinstance(row[0], bytes) or row[1] != _sum(id, generation, revision, row[0]):
            raise Damaged(f"user data of instance {id} is damaged")
        return row[0]

    def write(self, generation: int, rows: Iterable[Row], meta: Meta | None = None) -> None:
        """Write resources into a generation, and `meta`, in one transaction."""
        with self._db:
            for kind, revision, resource in rows:
                text, data = _parts(resource)
                id = resource.id
                total = _sum(kind, id, generation, revision, text, int(data is not None))
                self._forget(generation, kind, id, and_add=total)
                data_sum = None if data is None else _sum(id, generation, revision, data)
                self._db.execute(
                    "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (kind, id, generation, revision, total, text, data_sum, data),
                )
            self._set_meta(meta)

    def delete(self, generation: int, kind: str, id: str, meta: Meta | None = None) -> None:
        """Delete a resource from a generation, and write `meta`, in one transaction."""
        with self._db:
            self._forget(generation, kind, id)
            self._db.execute(
                "DELETE FROM objects WHERE kind = ? AND id = ? AND generation = ?",
                (kind, id, generation),
            )
            self._set_meta(meta)

    def complete(self, meta: Meta) -> None:
        """Make `meta.generation` the current generation, and delete all others."""
        with self._db:
            self._db.execute("DELETE FROM objects WHERE generation <> ?", (meta.generation,))
            self._set_meta(meta)

    def clear(self, generation: int) -> None:
        """Empty a generation, which an interrupted snapshot may have begun."""
        with self._db:
            self._db.execute("DELETE FROM objects WHERE generation = ?", (generation,))
        self._content[generation] = 0

    def write_meta(self, meta: Meta) -> None:
        """Write `meta` only."""
        with self._db:
            self._set_meta(meta)

    def _forget(self, generation: int, kind: str, id: str, and_add: int = 0) -> None:
        """Subtract a row's checksum, if the row exists, from the generation's sum; add another."""
        found = self._db.execute(
            "SELECT json_sum FROM objects WHERE kind = ? AND id = ? AND generation = ?",
            (kind, id, generation),
        ).fetchone()
        now = self._content.get(generation, 0) - (found[0] if found else 0) + and_add
        self._content[generation] = now % _SUMS

    def _set_meta(self, meta: Meta | None) -> None:
        if meta is None:
            return
        content = self._content.get(meta.generation, 0)
        values = (*_values(meta), content)
        self._db.execute(
            "UPDATE meta SET generation = ?, revision = ?, heard_at = ?, source = ?, store = ?,"
            " content = ?, meta_sum = ?",
            (*values, _sum(*values)),
        )


def remove(path: str) -> None:
    """Remove the file, so that no restart loads it. Raises OSError."""
    if path != IN_MEMORY:
        for suffix in SUFFIXES:
            Path(path + suffix).unlink(missing_ok=True)


def was_complete(path: str) -> bool:
    """Return whether the file was ever complete. A file in use counts as complete."""
    if not os.path.exists(path):
        return False
    try:
        with closing(sqlite3.connect(path, timeout=0)) as db:
            db.execute("PRAGMA locking_mode=EXCLUSIVE")
            row = db.execute("SELECT revision FROM meta").fetchone()
    except sqlite3.OperationalError as error:
        return "locked" in str(error)
    except sqlite3.Error:
        return False
    return row is not None and row[0] is not None


def size_of(path: str) -> int:
    """Return the size of the file in bytes; 0 if there is none."""
    found = (path + suffix for suffix in SUFFIXES)
    return sum(os.stat(name).st_size for name in found if os.path.exists(name))


def make_room(path: str, size: int) -> None:
    """Check that `size` bytes can be written beside `path`. Raises OSError."""
    probe = f"{path}.probe"
    try:
        descriptor = os.open(probe, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
        finally:
            os.close(descriptor)
    finally:
        Path(probe).unlink(missing_ok=True)


def _values(meta: Meta) -> tuple[int, int | None, float | None, str, str]:
    heard_at = None if meta.heard_at is None else float(meta.heard_at)  # as SQLite returns it
    return meta.generation, meta.revision, heard_at, meta.source, meta.store


def _sum(*values: object) -> int:
    """Return a checksum of values."""
    digest = blake2b(digest_size=8)
    for value in values:
        data = value if isinstance(value, bytes) else repr(value).encode("utf-8", "replace")
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return int.from_bytes(digest.digest(), "big") % _SUMS


def _parts(resource: Resource) -> tuple[str, bytes | None]:
    """Return a resource as JSON, without user data, and the user data, None if it has none."""
    if not isinstance(resource, Instance) or resource.user_data is None:
        return json.dumps(encode(resource)), None
    return json.dumps(encode(replace(resource, user_data=None))), resource.user_data


def _open(path: str) -> tuple[sqlite3.Connection, str]:
    """Return the database, and why it is in memory; "" if it is the file."""
    if path == IN_MEMORY:
        return _connect(path), ""
    try:
        _make_private(path)
        try:
            return _connect(path), ""
        except sqlite3.OperationalError as error:
            return _connect(IN_MEMORY), _reason(error)
        except (sqlite3.DatabaseError, _Discard) as error:
            log.warning(
                "discarded a damaged or outdated replica, fetching a snapshot",
                path=path,
                reason=str(error),
            )
            remove(path)
            _make_private(path)
            return _connect(path), ""
    except (OSError, sqlite3.Error) as error:
        return _connect(IN_MEMORY), _reason(error)


def _reason(error: Exception) -> str:
    locked = isinstance(error, sqlite3.OperationalError) and "locked" in str(error)
    return IN_USE if locked else str(error)


def _connect(path: str) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=0)
    try:
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        _set_up(db)
        with db:
            db.execute("BEGIN IMMEDIATE")  # locks without writing: the disk may be full
        with suppress(sqlite3.OperationalError), db:  # left by an interrupted snapshot
            db.execute("DELETE FROM objects WHERE generation <> (SELECT generation FROM meta)")
    except BaseException:
        db.close()
        raise
    return db


def _set_up(db: sqlite3.Connection) -> None:
    found = db.execute("PRAGMA user_version").fetchone()[0]
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables == 0:
        values = (*_values(Meta()), 0)
        with db:
            db.execute("BEGIN")
            for statement in SCHEMA.split(";"):
                db.execute(statement)
            db.execute("INSERT INTO meta VALUES (?, ?, ?, ?, ?, ?, ?)", (*values, _sum(*values)))
            db.execute(f"PRAGMA user_version={FORMAT}")
    elif found != FORMAT:
        raise _Discard("made by another version")


def _make_private(path: str) -> None:
    """Create the file so that only its owner can read it: user data may contain passwords.

    Raises OSError if the disk cannot be written, StartError if the path is wrong.
    """
    try:
        Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        if error.errno in _UNWRITABLE:
            raise
        raise StartError(f"cannot write the replica {path}: {error.strerror}") from error
