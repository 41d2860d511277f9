"""Confirms a miss before it becomes a 404, by fetching what the replica may not have yet.

The feed is some milliseconds behind the server. So after a miss, any server is asked for the
changes since the replica's revision, which it reads from the database after the request arrived.
They are applied, and the caller looks up again. Hits cost nothing.

One fetch runs at a time, and all misses that arrive meanwhile share the next one. Fetches that
bring no changes back off, so that a flood of unknown addresses costs the server at most
1 / PAUSE.ceiling fetches a second for each process.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing

import structlog

from a9fe.api_client.agent_client import AgentClient
from a9fe.api_client.feed import FeedEvent, parse, query_of
from a9fe.model.errors import A9feError
from a9fe.replica.feed_follower import host_of, open_for
from a9fe.replica.replica import Replica
from a9fe.runtime import metrics
from a9fe.runtime.clock import Clock
from a9fe.runtime.config import Config
from a9fe.runtime.tasks import Backoff, spawn

log = structlog.get_logger()

MISS_TIMEOUT = 3.0  # s that a miss waits; then it is uncertain
FETCH_TIMEOUT = 2.0  # s of one fetch
PAUSE = Backoff(first=0.005, ceiling=0.25)  # s between fetches, by how many brought no change
WAITING_MAX = 4096  # misses that wait at once; more are uncertain

Fetch = Callable[[int], Awaitable[Sequence[FeedEvent]]]
"""Fetches the changes after a revision, then `synced`; without `synced` if they are too many."""


class Confirmer:
    """Updates a replica from the server on demand."""

    def __init__(
        self, replica: Replica, fetch: Fetch, clock: Clock, miss_timeout: float = MISS_TIMEOUT
    ) -> None:
        """`miss_timeout`: seconds that a miss waits."""
        self._replica = replica
        self._fetch = fetch
        self._clock = clock
        self._miss_timeout = miss_timeout
        self._next: asyncio.Future[bool] | None = None
        self._busy = False
        self._waiting = 0
        self._without_change = 0
        self._began = float("-inf")

    async def certain(self) -> bool:
        """Update the replica. Return whether it has all that was committed before this call."""
        if self._waiting >= WAITING_MAX or not self._is_synced:
            return False
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        coming = self._next
        if not self._busy:
            self._busy = True
            spawn(self._rounds(), "confirmation")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._miss_timeout):
                return await asyncio.shield(coming)
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1

    async def _rounds(self) -> None:
        """Repeat the fetch while misses wait."""
        try:
            while self._next is not None:
                await self._pause()
                coming, self._next = self._next, None
                certain = await self._round()
                metrics.CONFIRMATIONS.labels("certain" if certain else "unsure").inc()
                if not coming.done():
                    coming.set_result(certain)
        finally:
            self._busy = False
            if self._next is not None:  # cancelled, or failed by a defect
                self._next.cancel()
                self._next = None

    async def _pause(self) -> None:
        loop = asyncio.get_running_loop()
        pause = PAUSE.delay(max(self._without_change, 1), 1.0)
        await asyncio.sleep(max(0.0, self._began + pause - loop.time()))
        self._began = loop.time()

    async def _round(self) -> bool:
        since, epoch = self._replica.resume_from, self._replica.epoch
        if since is None or not self._is_synced:
            return False
        try:
            events = await self._fetch(since)
            if events:
                self._replica.check_store(events[0])
        except A9feError as error:
            log.debug("not confirmed", reason=str(error))
            self._without_change += 1
            return False
        whole = bool(events) and events[-1].event == "synced"
        if not whole or self._replica.epoch != epoch or not self._is_synced:
            self._without_change += 1
            return False
        news = self._replica.catch_up(events, self._clock.now())
        self._without_change = 0 if news else self._without_change + 1
        return True

    @property
    def _is_synced(self) -> bool:
        return self._replica.freshness(self._clock.now()).synced_now


@asynccontextmanager
async def open_with_confirmer(
    config: Config, agent: str, clock: Clock
) -> AsyncGenerator[tuple[Replica, Confirmer], None]:
    """Yield an agent's replica (`open_for`) and its confirmer; both close when the block ends."""
    host = host_of(config, agent)
    client = AgentClient.of(config, FETCH_TIMEOUT)

    async def fetch(since: int) -> Sequence[FeedEvent]:
        query = query_of(host, agent, since, once=True)
        lines = await client.lines(f"/a9fe/v1/feed?{query}")
        return [event for line in lines if (event := parse(line)) is not None]

    try:
        with closing(open_for(config, agent)) as replica:
            yield replica, Confirmer(replica, fetch, clock)
    finally:
        await client.close()
