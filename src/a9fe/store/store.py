"""The database: opening, migrating, transactions, and who is told of commits."""

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
from a9fe.store import lineage, notifications, transfer
from a9fe.store.engine import BUSY_TIMEOUT, StoreError, StoreFull
from a9fe.store.schema import migrating
from a9fe.store.session import Session

T = TypeVar("T")

ATTEMPTS = 10
"""Tries of a transaction that lost a race for an address or a MAC."""
TOGETHER = 0.1
"""Seconds after which a commit takes no more work: those in it wait for it, and other servers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Generic[T]):
    """What one of several works came to: `value`, or the `error` that it raised."""

    value: T | None = None
    error: Exception | None = None


class _Spoiled(Exception):
    pass


def _with_savepoint(session: Session, work: Callable[[Session], T]) -> Outcome[T] | None:
    """Do a work as a part of a transaction; None: it should be done alone."""
    try:
        with session.savepoint():
            return Outcome(value=work(session))
    except OperationalError as error:  # the disk is full, the connection is lost
        raise _Spoiled from error
    except DBAPIError:
        return None
    except Exception as error:  # noqa: BLE001 - the outcome, whatever it is
        return Outcome(error=error)


class Store:
    """The model's database. Thread-safe: each read or write is its own connection."""

    def __init__(
        self,
        url: str,
        now: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`url` as SQLAlchemy takes it (sqlite:////var/lib/a9fe/a9fe.db); `now` UNIX seconds;
        `monotonic` seconds, by which a shared commit ends.

        Every module needed later is loaded here, and nothing is opened: a process may become
        another user, who cannot read our files, before `migrate`. Raises StoreError for an URL
        that is none.
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
        migrating.scripts()

    def migrate(self) -> None:
        """Bring the database to this version's schema, making it if need be. Raises StoreError."""
        with self._reported(), self._one_writer(), self._writer.begin() as connection:
            migrating.check_usable(connection, self.shown)
            migrating.upgrade(connection, self._now())
            lineage.ensure(connection)

    def check_there(self) -> None:
        """Raises StoreError where there is no file of SQLite, which opening would make."""
        path = make_url(self._url).database
        if engines.is_sqlite(self._engine) and path and not os.path.exists(path):
            advice = "a9fe db upgrade makes it, and so does the start of a server"
            raise StoreError(f"there is no database {self.shown}: {advice}")

    def schema(self) -> tuple[str | None, str]:
        """The schema that the database has (None: none) and the one that this version needs.

        Raises StoreError, also for a schema that this version does not know.
        """
        with self._reported(), self._reader.begin() as connection:
            migrating.check_usable(connection, self.shown)
            return migrating.found_schema(connection), migrating.head()

    def export(self) -> Iterator[str]:
        """The whole model as JSON lines, of one moment. Raises StoreError."""
        with self._reported(), self._reader.begin() as connection:
            engines.be_patient(connection)
            yield from transfer.export(connection, migrating.head())

    def load(self, lines: Iterable[str]) -> int:
        """Fill this database, which must be migrated and empty, from an export's lines; all or
        nothing; the number of rows. Raises StoreError, TransferError."""
        with self._reported(), self._one_writer(), self._writer.begin() as connection:
            engines.be_patient(connection)
            Session(connection, timestamp(self._now())).begin_write()
            transfer.check_empty(connection, self.shown)
            count = transfer.load(connection, lines, migrating.head(), self._now())
            lineage.ensure(connection)
            return count

    def accept(self, former: str = "") -> lineage.Lineage:
        """Let followers of the database `former` ("": this one, as it was before) follow this one
        from now on. Raises StoreError."""
        with self._reported(), self._one_writer(), self._writer.begin() as connection:
            Session(connection, timestamp(self._now())).begin_write()
            return lineage.accept(connection, former or lineage.lineage(connection).store)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A consistent view. Raises StoreError."""
        with self._reported(), self._reader.begin() as connection:
            yield Session(connection, timestamp(self._now()))

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction: all or, if the block raises, nothing. Raises StoreError.

        A lost race for an address or a MAC raises StoreError too; `transact` tries again.
        """
        with self._reported(), self._committed() as session:
            yield session

    @contextmanager
    def _committed(self, patience: float = BUSY_TIMEOUT) -> Iterator[Session]:
        with self._one_writer(patience), self._writer.begin() as connection:
            session = Session(connection, timestamp(self._now()))
            session.begin_write()
            yield session
            reached = session.end_write()
        if reached:
            self.tell(reached)

    def transact(self, work: Callable[[Session], T], patience: float = BUSY_TIMEOUT) -> T:
        """Do `work` in a transaction, again if it lost a race. Raises StoreError, also after
        `patience` seconds of waiting for other threads' writes."""
        with self._reported():
            for _ in range(ATTEMPTS - 1):
                try:
                    with self._committed(patience) as session:
                        return work(session)
                except DBAPIError as error:
                    if not engines.is_race(error):
                        raise
            with self._committed(patience) as session:
                return work(session)

    def transact_all(self, works: Sequence[Callable[[Session], T]]) -> list[Outcome[T]]:
        """Do the first of `works`, one or more, each all or nothing for itself, and commit them
        together; their outcomes in order. A disk that is waited for once serves them all.
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
        except _Spoiled:
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
        """Call `listener` with the revision reached, from the writing thread, after every commit
        that changed something."""
        self._listeners.append(listener)

    def close(self) -> None:
        """Close every connection, after what other threads still do with them."""
        with self._idle:
            self._idle.wait_for(lambda: not self._using, timeout=2 * BUSY_TIMEOUT)
        self._engine.dispose()

    async def listen(self) -> None:
        """Tell of other processes' commits too, for ever; at once back where there are none, as
        on SQLite. Raises StoreError when the database is lost."""
        if not engines.is_sqlite(self._engine):
            await notifications.listen(self._engine, self.tell)

    def tell(self, revision: int) -> None:
        """Tell the listeners that the database has reached a revision."""
        for listener in self._listeners:
            listener(revision)

    @contextmanager
    def _one_writer(self, patience: float = BUSY_TIMEOUT) -> Iterator[None]:
        """One thread of ours writes: a lock is fair, and the others hold no connection."""
        if not self._writing.acquire(timeout=patience):
            raise StoreError(f"database {self.shown}: busy with another write for too long")
        try:
            yield
        finally:
            self._writing.release()

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Turn the database's errors into one line; what is done inside uses connections."""
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
