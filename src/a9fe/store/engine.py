"""What differs between SQLite and PostgreSQL: opening, transactions, errors. Nothing else may.

On both, one transaction writes at a time, and a reader sees one moment. SQLite's BEGIN IMMEDIATE
and PostgreSQL's row lock on the counter of revisions (log.py) make the first, so that no rule
that reads before it writes can lose a race; a snapshot makes the second.
"""

import json
import re
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError

from a9fe.model.errors import A9feError

BUSY_TIMEOUT = 15.0
"""Seconds to wait for another process's write, and as long before for our own: together a
client's usual 30."""
CONNECT_TIMEOUT = 5
STUCK_TIMEOUT = 10
"""Seconds after which PostgreSQL ends a transaction whose server says nothing more: before those
lose patience who wait for it."""
CASEFOLD = "a9fe_casefold"
"""The SQL function str.casefold on SQLite, whose own lower() knows ASCII alone."""
EXPECTED = "a URL such as sqlite:////var/lib/a9fe/a9fe.db or postgresql://a9fe@db1/a9fe"

_SESSION = {
    "lock_timeout": f"{BUSY_TIMEOUT:g}s",
    "idle_in_transaction_session_timeout": f"{STUCK_TIMEOUT}s",
}
POSTGRESQL: dict[str, Any] = {
    "pool_size": 4,
    "max_overflow": 12,
    "pool_timeout": BUSY_TIMEOUT,
    "pool_pre_ping": True,  # after a restart of the database no call meets a dead connection
}
LINK: dict[str, Any] = {
    "connect_timeout": CONNECT_TIMEOUT,
    "application_name": "a9fe",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
SQLITE = {"pool_size": 16, "max_overflow": 48}

_CREDENTIALS = re.compile(r"//[^/]*@")  # with the user, of any URL, also one that is none
_PASSWORD = re.compile(r"(password=)[^&]*")
_RACES = frozenset({"40001", "40P01"})  # serialization failure, deadlock
_FULL = frozenset({"53100", "SQLITE_FULL"})


class StoreError(A9feError):
    """The database cannot be opened, read or written: one line that says which and why.

    `advice` is the message for clients, which does not name the database.
    """

    status = 503
    type = "ServiceUnavailable"
    advice = "The database is not usable; try again"

    @property
    def public(self) -> str:
        """Not the text, which names the database."""
        return self.advice


class StoreFull(StoreError):
    """The database has no room left; nothing of the transaction was kept."""

    advice = "The database is full, so nothing was changed; try again when it has room"


def shown(url: str) -> str:
    """A URL without its credentials."""
    return _PASSWORD.sub(r"\1***", _CREDENTIALS.sub("//***@", url))


def open_engine(url: str) -> Engine:
    """An engine, nothing opened yet. Raises StoreError for a URL that is none of ours."""
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
    """The value of a JSON column; most are empty."""
    if text in {"[]", b"[]"}:
        return []
    return {} if text in {"{}", b"{}"} else json.loads(text)


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url, json_deserializer=read_json, **SQLITE)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def reading(engine: Engine) -> Engine:
    """The engine for reads: each transaction sees one moment."""
    if is_sqlite(engine):
        return engine
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def writing(engine: Engine) -> Engine:
    """The engine for writes."""
    return engine.execution_options(begin="BEGIN IMMEDIATE") if is_sqlite(engine) else engine


def is_sqlite(engine: Engine) -> bool:
    """Whether the database is a file of ours."""
    return engine.dialect.name == "sqlite"


def be_patient(connection: Connection) -> None:
    """Let this transaction say nothing for as long as whoever reads or feeds it needs."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")


def is_race(error: DBAPIError) -> bool:
    """Whether the transaction lost a race, and may win if it is done again."""
    return isinstance(error, IntegrityError) or getattr(error.orig, "sqlstate", "") in _RACES


def is_full(error: DBAPIError) -> bool:
    """Whether the disk is full."""
    original = error.orig
    code = getattr(original, "sqlstate", None) or getattr(original, "sqlite_errorname", None)
    return code in _FULL


def _prepare_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - a DBAPI connection
    connection.isolation_level = None  # BEGIN is ours to say
    connection.create_function(CASEFOLD, 1, str.casefold, deterministic=True)
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT * 1000)}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")  # an agent must not know more than the disk does
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))
