"""Group commit: one thread runs all writes, and those that queue during a commit share the next.

Each write is atomic and is answered after its commit. More threads would not write in parallel,
since the database has one writer (ADR 0007); they would only compete for the processor. Reads run
in other threads and continue while a commit blocks.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from a9fe.runtime import tasks
from a9fe.store import BUSY_TIMEOUT, Outcome, Session, Store, StoreError

T = TypeVar("T")

MOST = 64
"""Writes in one commit."""


@dataclass(frozen=True, slots=True, eq=False)
class _Write:
    work: Callable[[Session], Any]
    answer: asyncio.Future[Any]


class Writes:
    """The queue of writes, and the thread that commits them."""

    def __init__(self, store: Store) -> None:
        """Start no thread: it starts with the first write."""
        self._store = store
        self._thread = ThreadPoolExecutor(1, "writes")
        self._waiting: deque[_Write] = deque()
        self._running = False

    async def do(self, work: Callable[[Session], T]) -> T:
        """Return the result of `work` once it is committed. It runs again if it loses a race.

        Raises what `work` raises, and StoreError, also after BUSY_TIMEOUT s in the queue.
        """
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        write = _Write(work, answer)
        self._waiting.append(write)
        if not self._running:
            self._running = True
            tasks.spawn(self._run(), "writes")
        try:
            await asyncio.wait([answer], timeout=BUSY_TIMEOUT)
        except asyncio.CancelledError:
            answer.cancel()
            raise
        if not answer.done() and write in self._waiting:
            self._waiting.remove(write)
            raise StoreError(f"database {self._store.shown}: timed out in the queue of writes")
        return await answer

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._commit()
        finally:
            self._running = False

    async def _commit(self) -> None:
        some = [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
        works = [write.work for write in some]
        loop = asyncio.get_running_loop()
        try:
            outcomes = await loop.run_in_executor(self._thread, self._store.transact_all, works)
        except BaseException:  # the process is ending
            for write in some:
                write.answer.cancel()
            raise
        self._waiting.extendleft(reversed(some[len(outcomes) :]))
        for write, outcome in zip(some, outcomes, strict=False):
            _resolve(write.answer, outcome)


def _resolve(answer: asyncio.Future[Any], outcome: Outcome[Any]) -> None:
    if answer.done():  # the request was cancelled
        return
    if outcome.error is not None:
        answer.set_exception(outcome.error)
    else:
        answer.set_result(outcome.value)
