"""The differences between SQLite and PostgreSQL: opening, transactions, errors.

On both, one transaction writes at a time and a reader sees a consistent snapshot. For writes,
SQLite has BEGIN IMMEDIATE; on PostgreSQL a write locks the counter of revisions (change_log.py).
So an operation that reads before it writes cannot lose a race.
"""

import json
import re
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError

from a9fe.model.errors import A9feError

BUSY_TIMEOUT = 15.0
"""Seconds to wait for other threads' writes, and then for other processes' writes. Together they
are 30, the usual timeout of clients."""
CONNECT_TIMEOUT = 5
STUCK_TIMEOUT = 5
"""Seconds of idleness after which PostgreSQL ends a transaction: well before the writers that wait
for it time out (BUSY_TIMEOUT), so that a slow machine has time to do what has queued."""
CASEFOLD = "a9fe_casefold"
"""The name of str.casefold as an SQL function of SQLite, whose lower() folds only ASCII."""
EXPECTED = "a URL such as sqlite:////var/lib/a9fe/a9fe.db or postgresql://a9fe@db1/a9fe"

_SESSION = {
    "lock_timeout": f"{BUSY_TIMEOUT:g}s",
    "idle_in_transaction_session_timeout": f"{STUCK_TIMEOUT}s",
}
POSTGRESQL: dict[str, Any] = {
    "pool_size": 4,
    "max_overflow": 12,
    "pool_timeout": BUSY_TIMEOUT,
    "pool_pre_ping": True,  # so that a restart of the database breaks no later request
}
LINK: dict[str, Any] = {
    "connect_timeout": CONNECT_TIMEOUT,
    "application_name": "a9fe",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
SQLITE = {"pool_size": 16, "max_overflow": 48}

_CREDENTIALS = re.compile(r"//[^/]*@")  # user and password, also in malformed URLs
_PASSWORD = re.compile(r"(password=)[^&]*")
_RACES = frozenset({"40001", "40P01"})  # serialization failure, deadlock
_FULL = frozenset({"53100", "SQLITE_FULL"})


class StoreError(A9feError):
    """The database cannot be opened, read or written; the text has the database and the reason.

    `advice` is the message for clients, which does not name the database.
    """

    status = 503
    type = "ServiceUnavailable"
    advice = "The database is not usable; try again"

    @property
    def public(self) -> str:
        """Return `advice`, as the text names the database."""
        return self.advice


class StoreFull(StoreError):
    """The database's disk is full; the transaction was rolled back."""

    advice = "The database is full, so nothing was changed; try again when it has room"


def shown(url: str) -> str:
    """Return a URL without its credentials."""
    return _PASSWORD.sub(r"\1***", _CREDENTIALS.sub("//***@", url))


def open_engine(url: str) -> Engine:
    """Return an engine without opening a connection. Raises StoreError for a URL that is not
    SQLite's or PostgreSQL's."""
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return _sqlite(parsed)
        if parsed.get_backend_name() == "postgresql":
            return _postgresql(parsed)
    except (ArgumentError, ImportError) as error:
        raise StoreError(f"database_connection: {shown(url)!r} is not {EXPECTED}") from error
    raise StoreError(f"database_connection: {shown(url)!r} is not {EXPECTED}")


def _postgresql(url: URL) -> Engine:
    settings = " ".join(f"-c {name}={value}" for name, value in _SESSION.items())
    link = {**LINK, "options": settings}
    url = url.set(drivername="postgresql+psycopg")
    return create_engine(url, connect_args=link, json_deserializer=read_json, **POSTGRESQL)


def read_json(text: str | bytes) -> Any:  # noqa: ANN401 - a JSON value has no better type
    """Parse a JSON column. Most values are empty, so these have a short cut."""
    if text in {"[]", b"[]"}:
        return []
    return {} if text in {"{}", b"{}"} else json.loads(text)


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url, json_deserializer=read_json, **SQLITE)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def reading(engine: Engine) -> Engine:
    """Return the engine for reads, whose transactions see a consistent snapshot."""
    if is_sqlite(engine):
        return engine
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def writing(engine: Engine) -> Engine:
    """Return the engine for writes."""
    return engine.execution_options(begin="BEGIN IMMEDIATE") if is_sqlite(engine) else engine


def is_sqlite(engine: Engine) -> bool:
    """Return whether the database is SQLite."""
    return engine.dialect.name == "sqlite"


def allow_idling(connection: Connection) -> None:
    """Let this transaction be idle without limit, as the reader of an export may be slow."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")


def is_race(error: DBAPIError) -> bool:
    """Return whether the transaction lost a race and may succeed if it is repeated."""
    return isinstance(error, IntegrityError) or getattr(error.orig, "sqlstate", "") in _RACES


def is_full(error: DBAPIError) -> bool:
    """Return whether the disk is full."""
    original = error.orig
    code = getattr(original, "sqlstate", None) or getattr(original, "sqlite_errorname", None)
    return code in _FULL


def _prepare_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - a DBAPI connection
    connection.isolation_level = None  # _begin_sqlite sends BEGIN
    connection.create_function(CASEFOLD, 1, str.casefold, deterministic=True)
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT * 1000)}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute(
        "PRAGMA synchronous = FULL"
    )  # an agent must not get a change that a power cut can undo
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))
