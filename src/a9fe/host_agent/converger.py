"""The loop of passes: wait for a change, make a pass, until cancelled.

No pass is made before the replica has been complete once, because it would remove objects that are
in the model.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from a9fe.host_agent.converge import Host, Outcome, converge, reason_of
from a9fe.host_agent.convergence_log import FailureLog, log_unsettled, log_work
from a9fe.host_agent.pace import Pace
from a9fe.plan.host import HostPlan
from a9fe.runtime.clock import Clock, SystemClock
from a9fe.runtime.tasks import Backoff, jittered, spawn
from a9fe.wire.freshness import Freshness

RESYNC = 30.0  # s between passes without a change or an event
COALESCE = 0.005  # s: a network, its subnet and its ports come as several changes
RETRY = Backoff(first=0.2, ceiling=10.0)  # after a failure, and to see that a pass has settled


class Source(Protocol):
    """The model: a replica."""

    @property
    def revision(self) -> int:
        """A number that differs after every visible change."""
        ...

    def freshness(self, now: float, /) -> Freshness:
        """Return how up to date the model is at `now` (UNIX seconds)."""
        ...

    async def wait_change(self, after_revision: int, /) -> int:
        """Wait until the revision differs, and return it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The agent's part of a pass: owner of its objects, plan, and work after the pass.

    `plan`, `after_pass` and `after_error` are called in the event loop's thread. `after_error` is
    given the reason why a pass could not plan or observe.
    """

    owner: str
    plan: Callable[[], HostPlan]
    after_pass: Callable[[Outcome], None]
    after_error: Callable[[str], None] = lambda _reason: None


class Converger:
    """Makes the passes of one agent."""

    def __init__(
        self,
        work: Work,
        source: Source,
        host: Host,
        clock: Clock | None = None,
        *,
        resync: float = RESYNC,
    ) -> None:
        """`clock` is used for the time of day only; `resync` in seconds."""
        self._resync = resync
        self._work = work
        self._source = source
        self._host = host
        self._clock = clock or SystemClock()
        self._changed = asyncio.Event()  # the model, or the proxy's connection
        self._any_event = asyncio.Event()  # `_changed`, or an event of the kernel
        self._ended, self._took = 0.0, 0.0  # when the last pass ended, and how long it took
        self._pace = Pace()
        self._failures = FailureLog()

    def wake(self) -> None:
        """Make a pass at once: something other than the kernel changed. Event loop only."""
        self._changed.set()
        self._any_event.set()

    def kernel_changed(self) -> None:
        """Make a pass within a second: a kernel object changed, perhaps by us. Event loop only."""
        self._any_event.set()

    async def run(self) -> None:
        """Converge until cancelled. A cancelled run ends after the operation under way."""
        stopping = threading.Event()
        watching = spawn(self._watch(), f"{self._work.owner} changes")
        try:
            while True:
                self._changed.clear()
                self._any_event.clear()
                began = time.monotonic()
                pause = await self._pass(stopping)
                self._ended = time.monotonic()
                self._took = self._ended - began
                await self._wait(pause)
        finally:
            stopping.set()
            watching.cancel()

    async def _watch(self) -> None:
        revision = self._source.revision
        while True:
            revision = await self._source.wait_change(revision)
            self.wake()

    async def _wait(self, pause: float) -> None:
        """Wait for the next pass: at once for a model change, later for a kernel event."""
        end = time.monotonic() + pause
        if not await _is_set_before(self._any_event, end):
            return
        event_pass = self._pace.event_pass_at(time.monotonic(), self._ended, self._took)
        if await _is_set_before(self._changed, min(end, event_pass)):
            await asyncio.sleep(COALESCE)

    async def _pass(self, stopping: threading.Event) -> float:
        """Make one pass. Return the seconds until the next one if nothing changes."""
        if not self._source.freshness(self._clock.now()).ever_synced:
            return self._resync
        try:
            desired = self._work.plan()
            outcome = await asyncio.to_thread(
                converge, self._host, self._work.owner, desired, stopping.is_set
            )
        except Exception as error:  # noqa: BLE001 - an agent that gives up serves no network
            self._failures.passed({"host": reason_of(error)})
            self._work.after_error(reason_of(error))
            self._pace = self._pace.after_error()
        else:
            self._failures.passed(outcome.failures)
            log_work(outcome, was_settled=outcome.desired == self._pace.settled)
            self._work.after_pass(outcome)
            self._pace = self._pace.after(outcome)
            if self._pace.does_not_stay:
                log_unsettled(outcome)
        attempts = self._pace.attempts
        return jittered(RETRY, attempts) if attempts else self._resync


async def _is_set_before(event: asyncio.Event, end: float) -> bool:
    """Return whether the event is set before `end` (monotonic)."""
    try:
        async with asyncio.timeout(max(0.0, end - time.monotonic())):
            await event.wait()
    except TimeoutError:
        return event.is_set()
    return True
