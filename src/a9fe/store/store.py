"""The database: opening, migrating, transactions, and who is told of commits."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    OperationalError,
    SQLAlchemyError,
)

from a9fe.model.errors import A9feError
from a9fe.model.rules_scheduling import timestamp
from a9fe.store.schema import METADATA
from a9fe.store.session import Session

T = TypeVar("T")

BUSY_TIMEOUT = 15.0
"""Seconds to wait for another process's write to SQLite, below a client's usual 30."""
ATTEMPTS = 10
"""Tries of a transaction that lost a race for an address or a MAC."""
_PASSWORD = re.compile(r"//[^/]*@")  # with the user, of any URL, also one that is none
MIGRATIONS = Path(__file__).parent / "migrations"


class StoreError(A9feError):
    """The database cannot be opened, read or written: one line that says which and why."""


class Store:
    """The model's database. Thread-safe: each read or write is its own connection."""

    def __init__(self, url: str, now: Callable[[], float]) -> None:
        """`url` as SQLAlchemy takes it (sqlite:////var/lib/a9fe/a9fe.db); `now` UNIX seconds.

        Every module needed later is loaded here, and nothing is opened: a process may become
        another user, who cannot read our files, before `migrate`. Raises StoreError for an URL
        that is none.
        """
        self._url = url
        self.shown = _PASSWORD.sub("//***@", url)
        self._now = now
        self._listeners: list[Callable[[], None]] = []
        self._sqlite = url.startswith("sqlite")
        self._writing = threading.Lock()
        self._scripts = _load_scripts()
        self._engine = self._make_engine()
        self._writer = self._engine.execution_options(begin="BEGIN IMMEDIATE")

    def _make_engine(self) -> Engine:
        try:
            engine = create_engine(make_url(self._url), pool_size=16, max_overflow=48)
        except (ArgumentError, ImportError) as error:
            expected = "a URL such as sqlite:////var/lib/a9fe/a9fe.db"
            raise StoreError(f"database_connection: {self.shown!r} is not {expected}") from error
        if self._sqlite:
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
        return engine

    def migrate(self) -> None:
        """Bring the database to this version's schema, making it if need be. Raises StoreError."""
        with self._reported(), self._one_writer(), self._writer.begin() as connection:
            self._check_readable(connection)
            self._check_known(connection)
            self._upgrade(connection)

    def _upgrade(self, connection: Connection) -> None:
        def steps(revision: Any, _context: object) -> Any:  # noqa: ANN401 - alembic's own
            return self._scripts._upgrade_revs("head", revision)  # noqa: SLF001 - alembic's recipe

        config = Config(attributes={"now": self._now()})
        with EnvironmentContext(config, self._scripts, fn=steps) as environment:
            environment.configure(connection=connection, target_metadata=METADATA)
            environment.run_migrations()

    def _check_readable(self, connection: Connection) -> None:
        if self._sqlite:
            verdict = connection.execute(text("PRAGMA quick_check(1)")).scalar()
            if verdict != "ok":
                raise StoreError(f"database {self.shown} is damaged: {_one_line(verdict)}")

    def _check_known(self, connection: Connection) -> None:
        if not connection.dialect.has_table(connection, "alembic_version"):
            return
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalars()
        known = {script.revision for script in self._scripts.walk_revisions()}
        for version in found:
            if version not in known:
                message = f"has schema {version}, which a newer a9fe made; use that version"
                raise StoreError(f"database {self.shown} {message}")

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A consistent view. Raises StoreError."""
        with self._reported(), self._engine.begin() as connection:
            yield Session(connection, timestamp(self._now()))

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction: all or, if the block raises, nothing. Raises StoreError.

        A lost race for an address or a MAC raises StoreError too; `transact` tries again.
        """
        with self._reported(), self._committed() as session:
            yield session

    @contextmanager
    def _committed(self) -> Iterator[Session]:
        with self._one_writer(), self._writer.begin() as connection:
            session = Session(connection, timestamp(self._now()))
            yield session
        if session.changed:
            self._tell()

    def transact(self, work: Callable[[Session], T]) -> T:
        """Do `work` in a transaction, again if it lost a race. Raises StoreError."""
        with self._reported():
            for _ in range(ATTEMPTS - 1):
                try:
                    with self._committed() as session:
                        return work(session)
                except IntegrityError:
                    continue
            with self._committed() as session:
                return work(session)

    def on_commit(self, listener: Callable[[], None]) -> None:
        """Call `listener`, from the writing thread, after every commit that changed something."""
        self._listeners.append(listener)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()

    @contextmanager
    def _one_writer(self) -> Iterator[None]:
        """SQLite has one writer: a lock of ours is fair, its busy handler polls."""
        if not self._sqlite:
            yield
            return
        with self._writing:
            yield

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Turn the database's errors into one line."""
        try:
            yield
        except DBAPIError as error:
            raise StoreError(f"database {self.shown}: {error.orig}{self._hint(error)}") from error
        except SQLAlchemyError as error:
            reason = str(error).splitlines()[0]
            raise StoreError(f"database {self.shown}: {reason}") from error

    def _hint(self, error: DBAPIError) -> str:
        path = make_url(self._url).database
        if not isinstance(error, OperationalError) or not self._sqlite or not path:
            return ""
        directory = Path(path).parent
        return "" if directory.is_dir() else f" (there is no directory {directory})"


def _one_line(report: object) -> str:
    return ", ".join(str(report).splitlines())


@cache
def _load_scripts() -> ScriptDirectory:
    """The migrations, read from their files."""
    scripts = ScriptDirectory(str(MIGRATIONS))
    scripts.get_heads()
    return scripts


def _prepare_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - a DBAPI connection
    connection.isolation_level = None  # BEGIN is ours to say
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT * 1000)}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")  # an agent must not know more than the disk does
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))
