"""The database: open, migrate, run transactions, notify of commits."""

import importlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from a9fe.model.rules.scheduling import timestamp
from a9fe.store import engine as engines
from a9fe.store import lineage, transfer
from a9fe.store.engine import BUSY_TIMEOUT, StoreError, StoreFull
from a9fe.store.schema import versions
from a9fe.store.session import Session

T = TypeVar("T")

UPGRADING = "a9fe.store.schema.upgrading"
"""Imports alembic; not needed if the database is current."""
NOTIFICATIONS = "a9fe.store.notifications"
"""Imports psycopg; not needed on SQLite."""
ATTEMPTS = 10
"""Attempts at a transaction that loses races for an address or a MAC."""
TOGETHER = 0.1
"""Seconds after which no more work joins a shared commit: its callers and other servers wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Generic[T]):
    """The result of one work: its `value`, or the `error` that it raised."""

    value: T | None = None
    error: Exception | None = None


class _TransactionLost(Exception):
    pass


def _with_savepoint(session: Session, work: Callable[[Session], T]) -> Outcome[T] | None:
    """Do a work inside a shared transaction. Return None if it must be done alone."""
    try:
        with session.savepoint():
            return Outcome(value=work(session))
    except OperationalError as error:  # such as a full disk or a lost connection
        raise _TransactionLost from error
    except DBAPIError:
        return None
    except Exception as error:  # noqa: BLE001 - the outcome, whatever it is
        return Outcome(error=error)


class Store:
    """The database. Thread-safe: each read or write uses a connection of its own."""

    def __init__(
        self,
        url: str,
        now: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`url` is SQLAlchemy's, such as sqlite:////var/lib/a9fe/a9fe.db. `now` returns UNIX
        seconds; `monotonic` returns seconds, which bound a shared commit.

        This loads all modules but those of `load_migrations`, and opens nothing: the process may
        become another user, who cannot read our files. Raises StoreError for an invalid URL.
        """
        self._url = url
        self.shown = engines.shown(url)
        self._now = now
        self._monotonic = monotonic
        self._listeners: list[Callable[[int], None]] = []
        self._writing = threading.Lock()
        self._using = 0
        self._idle = threading.Condition()
        self._engine = engines.open_engine(url)
        self._reader = engines.reading(self._engine)
        self._writer = engines.writing(self._engine)
        versions.head()
        if not engines.is_sqlite(self._engine):
            importlib.import_module(NOTIFICATIONS)

    def is_current(self) -> bool:
        """Return whether `migrate` has nothing to do.

        Raises StoreError, also for a damaged database and a schema of a newer version.
        """
        with self._reported(), self._reader.begin() as connection:
            versions.check_usable(connection, self.shown)
            return versions.found_schema(connection) == versions.head()

    def load_migrations(self) -> None:
        """Load alembic and the migrations; a user who cannot read them may then `migrate`."""
        importlib.import_module(UPGRADING).scripts()

    def migrate(self) -> None:
        """Create or upgrade the database to this version's schema. Raises StoreError.

        Unless the database is current, this needs what `load_migrations` loads.
        """
        with self._reported(), self._one_writer(), self._writer.begin() as connection:
            versions.check_usable(connection, self.shown)
            if versions.found_schema(connection) != versions.head():
                importlib.import_module(UPGRADING).upgrade(connection, self._now())
            lineage.ensure(connection)

    def check_there(self) -> None:
        """Raise StoreError if the SQLite file does not exist, as opening would create it."""
        path = make_url(self._url).database
        if engines.is_sqlite(self._engine) and path and not os.path.exists(path):
            advice = "`a9fe db upgrade` or the start of a server creates it"
            raise StoreError(f"there is no database {self.shown}: {advice}")

    def schema(self) -> tuple[str | None, str]:
        """Return the database's schema, or None, and the schema that this version needs.

        Raises StoreError, also for a schema of a newer version.
        """
        with self._reported(), self._reader.begin() as connection:
            versions.check_usable(connection, self.shown)
            return versions.found_schema(connection), versions.head()

    def export(self) -> Iterator[str]:
        """Yield a consistent copy of the database as JSON lines. Raises StoreError."""
        with self._reported(), self._reader.begin() as connection:
            engines.allow_idling(connection)
            yield from transfer.export(connection, versions.head())

    def load(self, lines: Iterable[str]) -> int:
        """Import an export's lines into this database, which must be migrated and empty.

        Import all or nothing, and return the number of rows. Raises StoreError, TransferError.
        """
        with self._reported(), self._one_writer(), self._writer.begin() as connection:
            engines.allow_idling(connection)
            Session(connection, timestamp(self._now())).begin_write()
            transfer.check_empty(connection, self.shown)
            count = transfer.load(connection, lines, versions.head(), self._now())
            lineage.ensure(connection)
            return count

    def accept(self, former: str = "") -> lineage.Lineage:
        """Let followers of the database with the id `former` follow this one. "" means this
        database before it was replaced or restored. Raises StoreError."""
        with self._reported(), self._one_writer(), self._writer.begin() as connection:
            Session(connection, timestamp(self._now())).begin_write()
            return lineage.accept(connection, former or lineage.lineage(connection).store)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Run a read transaction over a consistent snapshot. Raises StoreError."""
        with self._reported(), self._reader.begin() as connection:
            yield Session(connection, timestamp(self._now()))

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Run a write transaction, and roll it back if the block raises. Raises StoreError.

        A lost race for an address or a MAC raises StoreError too; `transact` repeats the work.
        """
        with self._reported(), self._committed() as session:
            yield session

    @contextmanager
    def _committed(self, timeout: float = BUSY_TIMEOUT) -> Iterator[Session]:
        with self._one_writer(timeout), self._writer.begin() as connection:
            session = Session(connection, timestamp(self._now()))
            session.begin_write()
            yield session
            reached = session.end_write()
        if reached:
            self.tell(reached)

    def transact(self, work: Callable[[Session], T], timeout: float = BUSY_TIMEOUT) -> T:
        """Do `work` in a transaction, and repeat it if it lost a race. Raises StoreError, also
        after waiting `timeout` seconds for other threads' writes."""
        with self._reported():
            for _ in range(ATTEMPTS - 1):
                try:
                    with self._committed(timeout) as session:
                        return work(session)
                except DBAPIError as error:
                    if not engines.is_race(error):
                        raise
            with self._committed(timeout) as session:
                return work(session)

    def transact_all(self, works: Sequence[Callable[[Session], T]]) -> list[Outcome[T]]:
        """Do at least the first of `works` in one commit; each is all or nothing for itself.

        Return their outcomes in order. Fewer outcomes than works mean that the rest was not done.
        One commit waits for the disk once.
        """
        if len(works) == 1:
            return [self._alone(works[0])]
        outcomes: list[Outcome[T] | None] = []
        try:
            with self._reported(), self._committed() as session:
                until = self._monotonic() + TOGETHER
                for work in works:
                    outcomes.append(_with_savepoint(session, work))
                    if self._monotonic() > until:
                        break
        except _TransactionLost:
            outcomes = [None] * (len(outcomes) + 1)
        except StoreError as error:
            return [Outcome(error=error) for _ in works]
        done = zip(works, outcomes, strict=False)
        return [outcome or self._alone(work) for work, outcome in done]

    def _alone(self, work: Callable[[Session], T]) -> Outcome[T]:
        try:
            return Outcome(value=self.transact(work))
        except Exception as error:  # noqa: BLE001 - the outcome, whatever it is
            return Outcome(error=error)

    def on_commit(self, listener: Callable[[int], None]) -> None:
        """Call `listener` with the new revision, in the writing thread, after each commit that
        changed something."""
        self._listeners.append(listener)

    def close(self) -> None:
        """Wait for other threads' transactions, then close all connections."""
        with self._idle:
            self._idle.wait_for(lambda: not self._using, timeout=2 * BUSY_TIMEOUT)
        self._engine.dispose()

    async def listen(self) -> None:
        """Notify the listeners of other processes' commits, until cancelled.

        Return at once on SQLite, which has no notifications. Raises StoreError when the connection
        is lost.
        """
        if not engines.is_sqlite(self._engine):
            await importlib.import_module(NOTIFICATIONS).listen(self._engine, self.tell)

    def tell(self, revision: int) -> None:
        """Notify the listeners that the database reached a revision."""
        for listener in self._listeners:
            listener(revision)

    @contextmanager
    def _one_writer(self, timeout: float = BUSY_TIMEOUT) -> Iterator[None]:
        """Let one thread write at a time; waiting threads hold no connection."""
        if not self._writing.acquire(timeout=timeout):
            raise StoreError(f"database {self.shown}: other writes took too long; try again")
        try:
            yield
        finally:
            self._writing.release()

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Convert the database's errors to StoreError, and count the block as a user of the
        connections."""
        with self._idle:
            self._using += 1
        try:
            yield
        except DBAPIError as error:
            kind = StoreFull if engines.is_full(error) else StoreError
            reason = " ".join(str(error.orig).split())
            raise kind(f"database {self.shown}: {reason}{self._hint(error)}") from error
        except SQLAlchemyError as error:
            reason = str(error).splitlines()[0]
            raise StoreError(f"database {self.shown}: {reason}") from error
        finally:
            with self._idle:
                self._using -= 1
                self._idle.notify_all()

    def _hint(self, error: DBAPIError) -> str:
        path = make_url(self._url).database
        sqlite = engines.is_sqlite(self._engine)
        if not isinstance(error, OperationalError) or not sqlite or not path:
            return ""
        directory = os.path.dirname(os.path.abspath(path))
        return "" if os.path.exists(directory) else f" (there is no directory {directory})"
