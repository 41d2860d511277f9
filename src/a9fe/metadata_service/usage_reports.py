"""Who still asks without a token: counted here, and told to the server every few seconds.

What could not be told is kept and told later. Only so many instances are remembered meanwhile;
the requests of more are counted as lost. Where the server's answer is lost on its way, requests
count twice: the report is for finding instances, not for billing.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from http import HTTPStatus
from typing import Protocol

import structlog

from a9fe.api_client.agent_client import AgentClient
from a9fe.api_client.errors import ApiError
from a9fe.model.errors import A9feError
from a9fe.model.imds_usage import ImdsUsage
from a9fe.model.rules.scheduling import timestamp
from a9fe.runtime.tasks import Backoff, jittered

INTERVAL = 10.0  # s between two messages
RETRY = Backoff(first=1.0, ceiling=60.0)
BATCH = 500  # instances in a message: some 80 KB, and as many rows of the server's
INSTANCES_MAX = 20_000  # remembered at once, some 300 bytes each
LAST_TIMEOUT = 1.0  # s for what is left when the process ends
UNUSUAL = 4  # failures in a row that are worth a line

log = structlog.get_logger()


class Counts:
    """Of one instance: requests without and with a token, and when the last ones were."""

    __slots__ = ("requests", "times")

    def __init__(self) -> None:
        """None, and never."""
        self.requests = [0, 0]
        self.times = [0.0, 0.0]

    def add(self, other: "Counts") -> None:
        """Those as well."""
        for i in (0, 1):
            self.requests[i] += other.requests[i]
            self.times[i] = max(self.times[i], other.times[i])

    def usage(self, instance_id: str) -> ImdsUsage:
        """As it is told."""
        without, with_ = (timestamp(at) if at else "" for at in self.times)
        return ImdsUsage(
            instance_id=instance_id,
            v1_requests=self.requests[0],
            v2_requests=self.requests[1],
            v1_last_at=without,
            v2_last_at=with_,
        )


Taken = Mapping[str, Counts]


class Tally:
    """Requests by instance, since they were last taken away to be told."""

    def __init__(
        self, lost: Callable[[int], None] = lambda _: None, limit: int = INSTANCES_MAX
    ) -> None:
        """`lost(n)` hears of requests that there was no room for. `limit` in instances."""
        self._lost = lost
        self._limit = limit
        self._counts: dict[str, Counts] = {}

    @property
    def waiting(self) -> int:
        """Instances of which there is something to tell."""
        return len(self._counts)

    def count(self, instance_id: str, version: int, now: float) -> None:
        """A request of version 1 or 2 at `now`, UNIX seconds."""
        found = self._counts.get(instance_id)
        if found is None:
            if len(self._counts) >= self._limit:
                self._lost(1)
                return
            found = self._counts[instance_id] = Counts()
        found.requests[version - 1] += 1
        found.times[version - 1] = now

    def take(self, limit: int = BATCH) -> Taken:
        """Remove what there is to tell of so many instances, those that wait longest first."""
        ids = [id for id, _ in zip(self._counts, range(limit), strict=False)]
        return {id: self._counts.pop(id) for id in ids}

    def give_back(self, taken: Taken) -> None:
        """Keep what could not be told."""
        for id, counts in taken.items():
            if id in self._counts:
                self._counts[id].add(counts)
            elif len(self._counts) < self._limit:
                self._counts[id] = counts
            else:
                self._lost(sum(counts.requests))

    def lose(self, taken: Taken) -> None:
        """Count requests that will not be reported as lost."""
        self._lost(sum(sum(counts.requests) for counts in taken.values()))


class Tell(Protocol):
    """Reports usage to the server. Raises A9feError if that fails."""

    async def __call__(self, usage: Sequence[ImdsUsage]) -> None:
        """Report once. Raises NotOurs, and reports nothing, if an instance is elsewhere."""
        ...


class NotOurs(A9feError):
    """The server refuses usage of an instance from this host, as it is on another host by now."""


def teller(calls: AgentClient) -> Tell:
    """Tells by a call of the API."""

    async def tell(usage: Sequence[ImdsUsage]) -> None:
        body = {"host": calls.host, "usage": [asdict(one) for one in usage]}
        try:
            await calls.call("POST", "/a9fe/v1/imds-usage", body)
        except ApiError as error:
            if error.status == HTTPStatus.FORBIDDEN:
                raise NotOurs(error.message) from error
            raise

    return tell


class UsageReports:
    """Tells what a tally has counted."""

    def __init__(self, tally: Tally, tell: Tell, interval: float = INTERVAL) -> None:
        """`interval` in seconds between two rounds."""
        self._tally = tally
        self._tell = tell
        self._interval = interval

    async def run(self) -> None:
        """For ever; when it is cancelled, once more, in short."""
        failures = 0
        try:
            while True:
                await asyncio.sleep(jittered(RETRY, failures) if failures else self._interval)
                failures = 0 if await self._told() else failures + 1
                if failures == UNUSUAL:
                    log.warning("the server does not take who asks without tokens")
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_TIMEOUT):
                    await self._told()

    async def _told(self) -> bool:
        """Tell all there is, message by message; whether that was possible."""
        for _ in range(0, self._tally.waiting, BATCH):
            try:
                await self._tell_all(self._tally.take())
            except A9feError as error:
                log.debug("usage not told", reason=str(error))
                return False
        return True

    async def _tell_all(self, taken: Taken) -> None:
        """Report all. If the server refuses one instance, bisect, and drop that one.

        What was not reported is given back to the tally.
        """
        untold = [taken]
        try:
            while untold:
                some = untold[-1]
                try:
                    await self._tell([counts.usage(id) for id, counts in some.items()])
                except NotOurs as error:
                    untold[-1:] = self._halves(some, str(error))
                else:
                    untold.pop()
        finally:
            for some in untold:
                self._tally.give_back(some)

    def _halves(self, taken: Taken, reason: str) -> list[Taken]:
        """Two halves; nothing for a single instance, whose requests count as lost."""
        if len(taken) == 1:
            log.debug("dropped IMDS usage of an instance on another host", reason=reason)
            self._tally.lose(taken)
            return []
        items = list(taken.items())
        middle = len(items) // 2
        return [dict(items[:middle]), dict(items[middle:])]
