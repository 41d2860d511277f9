"""Lets requests wait until a port is ACTIVE, without reading the database for each of them."""

import asyncio
from collections import defaultdict
from contextlib import suppress

from a9fe.model.resources import Port
from a9fe.runtime import tasks
from a9fe.store import Store, StoreError

ACTIVE = "ACTIVE"
GATHER = 0.05  # s in which commits are gathered
HEARTBEAT = 5.0  # s between readings without a commit: a notification may be lost
WAITING_MAX = 1000  # requests that wait at once; more are answered at once


class PortWatch:
    """Reads the waited-for ports after commits, all in one query, while a request waits."""

    def __init__(self, store: Store) -> None:
        """Nothing runs while no request waits."""
        self._store = store
        self._by_port: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)
        self.waiting = 0  # requests
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._reader: asyncio.Task[None] | None = None
        store.on_commit(self._committed)

    def _committed(self, _revision: int) -> None:
        """Called by writing threads, and for commits of other servers."""
        loop = self._loop
        if self.waiting and loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._wake.set)

    async def active(self, port_id: str, seconds: float) -> None:
        """Wait until the port is ACTIVE or deleted, at most `seconds`."""
        if self.waiting >= WAITING_MAX:
            return
        self._loop = asyncio.get_running_loop()
        found = self._loop.create_future()
        self.waiting += 1
        self._by_port[port_id].add(found)
        self._wake.set()
        if self._reader is None or self._reader.done():
            self._reader = tasks.spawn(self._read(), "port watch")
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await found
        finally:
            self.waiting -= 1
            self._by_port[port_id].discard(found)
            if not self._by_port[port_id]:
                del self._by_port[port_id]
            self._wake.set()

    async def _read(self) -> None:
        while self.waiting:
            with suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT):
                    await self._wake.wait()
            self._wake.clear()
            ids = sorted(self._by_port)
            with suppress(StoreError):
                down = await asyncio.to_thread(self._down, ids)
                for id in ids:
                    for found in self._by_port.get(id, ()) if id not in down else ():
                        if not found.done():
                            found.set_result(None)
            await asyncio.sleep(GATHER)

    def _down(self, ids: list[str]) -> frozenset[str]:
        with self._store.read() as session:
            return frozenset(p.id for p in session.find(Port, id=ids) if p.status != ACTIVE)
