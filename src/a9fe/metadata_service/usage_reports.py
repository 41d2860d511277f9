"""Counts IMDSv1 and IMDSv2 requests per instance, and reports them to the server.

Counts that could not be reported are kept and reported later. The number of instances is bounded;
requests of further instances are counted as lost. If the server's answer is lost, requests count
twice: the report is for finding instances that use IMDSv1, not for billing.
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

INTERVAL = 10.0  # s between two reports
RETRY = Backoff(first=1.0, ceiling=60.0)
BATCH = 500  # instances in a report: some 80 KB, and as many rows at the server
INSTANCES_MAX = 20_000  # in memory, some 300 bytes each
LAST_TIMEOUT = 1.0  # s for the last report when the process ends
UNUSUAL = 4  # failures in a row before a log line

log = structlog.get_logger()


class Counts:
    """One instance's requests without and with a token, and the times of the last ones."""

    __slots__ = ("requests", "times")

    def __init__(self) -> None:
        """Start with no requests."""
        self.requests = [0, 0]
        self.times = [0.0, 0.0]

    def add(self, other: "Counts") -> None:
        """Add the requests of `other`."""
        for i in (0, 1):
            self.requests[i] += other.requests[i]
            self.times[i] = max(self.times[i], other.times[i])

    def usage(self, instance_id: str) -> ImdsUsage:
        """Return the counts as the server's API takes them."""
        without, with_ = (timestamp(at) if at else "" for at in self.times)
        return ImdsUsage(
            instance_id=instance_id,
            v1_requests=self.requests[0],
            v2_requests=self.requests[1],
            v1_last_at=without,
            v2_last_at=with_,
        )


Taken = Mapping[str, Counts]


class UsageTally:
    """Requests by instance that have not been reported yet."""

    def __init__(
        self, lost: Callable[[int], None] = lambda _: None, limit: int = INSTANCES_MAX
    ) -> None:
        """`lost(n)` is called for n requests over the bound. `limit` in instances."""
        self._lost = lost
        self._limit = limit
        self._counts: dict[str, Counts] = {}

    @property
    def waiting(self) -> int:
        """Number of instances with unreported requests."""
        return len(self._counts)

    def count(self, instance_id: str, version: int, now: float) -> None:
        """Count a request of IMDS version 1 or 2 at `now`, UNIX seconds."""
        found = self._counts.get(instance_id)
        if found is None:
            if len(self._counts) >= self._limit:
                self._lost(1)
                return
            found = self._counts[instance_id] = Counts()
        found.requests[version - 1] += 1
        found.times[version - 1] = now

    def take(self, limit: int = BATCH) -> Taken:
        """Remove and return the counts of up to `limit` instances, the oldest first."""
        ids = [id for id, _ in zip(self._counts, range(limit), strict=False)]
        return {id: self._counts.pop(id) for id in ids}

    def give_back(self, taken: Taken) -> None:
        """Add counts that could not be reported."""
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


class Deliver(Protocol):
    """Delivers usage to the server. Raises A9feError if that fails."""

    async def __call__(self, usage: Sequence[ImdsUsage]) -> None:
        """Deliver all or nothing. Raises InstanceElsewhere if one instance is on another host."""
        ...


class InstanceElsewhere(A9feError):
    """The server refuses the usage of an instance that is on another host by now."""


def deliverer(calls: AgentClient) -> Deliver:
    """Return a function that delivers by a call of the API."""

    async def deliver(usage: Sequence[ImdsUsage]) -> None:
        body = {"host": calls.host, "usage": [asdict(one) for one in usage]}
        try:
            await calls.call("POST", "/a9fe/v1/imds-usage", body)
        except ApiError as error:
            if error.status == HTTPStatus.FORBIDDEN:
                raise InstanceElsewhere(error.message) from error
            raise

    return deliver


class UsageReports:
    """Reports what a tally has counted."""

    def __init__(self, tally: UsageTally, deliver: Deliver, interval: float = INTERVAL) -> None:
        """`interval`: seconds between two reports."""
        self._tally = tally
        self._deliver = deliver
        self._interval = interval

    async def run(self) -> None:
        """Report until cancelled, then once more within LAST_TIMEOUT."""
        failures = 0
        try:
            while True:
                await asyncio.sleep(jittered(RETRY, failures) if failures else self._interval)
                failures = 0 if await self._report() else failures + 1
                if failures == UNUSUAL:
                    log.warning("cannot deliver IMDSv1 usage")
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_TIMEOUT):
                    await self._report()

    async def _report(self) -> bool:
        """Report all counts in batches. Return whether that succeeded."""
        for _ in range(0, self._tally.waiting, BATCH):
            try:
                await self._report_batch(self._tally.take())
            except A9feError as error:
                log.debug("IMDS usage not delivered", reason=str(error))
                return False
        return True

    async def _report_batch(self, taken: Taken) -> None:
        """Report a batch. If the server refuses one instance, bisect to find and drop it.

        Counts that were not reported are given back to the tally.
        """
        unreported = [taken]
        try:
            while unreported:
                some = unreported[-1]
                try:
                    await self._deliver([counts.usage(id) for id, counts in some.items()])
                except InstanceElsewhere as error:
                    unreported[-1:] = self._halves(some, str(error))
                else:
                    unreported.pop()
        finally:
            for some in unreported:
                self._tally.give_back(some)

    def _halves(self, taken: Taken, reason: str) -> list[Taken]:
        """Return two halves, or nothing for a single instance, whose requests count as lost."""
        if len(taken) == 1:
            log.debug("dropped IMDS usage of an instance on another host", reason=reason)
            self._tally.lose(taken)
            return []
        items = list(taken.items())
        middle = len(items) // 2
        return [dict(items[:middle]), dict(items[middle:])]
