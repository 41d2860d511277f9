"""The loop of both agents: wait for a change, plan, observe, apply the difference; for ever.

Nothing is remembered between passes but what was logged: each pass starts from what the kernel
shows, so a kill at any moment, and any order of changes, end in the same host. What is ours by
name and no longer planned is removed by the same difference; so before the first whole state is
known no pass is made at all.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from a9fe.model.errors import A9feError
from a9fe.plan.damage import Damage, damages
from a9fe.plan.diff import operations
from a9fe.plan.host import HostPlan
from a9fe.plan.operations import Operation, is_spoilt, scope
from a9fe.runtime.clock import Clock, SystemClock
from a9fe.runtime.tasks import Backoff, jittered, spawn
from a9fe.wire.freshness import Freshness

log = structlog.get_logger()

RESYNC = 30.0  # s between passes without a change or an event
COALESCE = 0.005  # s: a network, its subnet and its ports come as several changes
RETRY = Backoff(first=0.2, ceiling=10.0)  # after a failure, and to see that a pass has settled
DEBOUNCE = 0.1  # s: one damage, as one change of ours, is heard as several events
UNSETTLED_DEBOUNCE = 0.8  # s: while the host is not as planned most events are our own
SHARE = 4.0  # times as long as a pass took, events cause no other: a fifth of the time is work
DAMAGES_LOGGED = 10  # of one pass
LASTS = 5  # passes in a row in which the same thing fails: 3 s, more than a restart takes
UNSETTLED = 4  # passes in a row that change a host whose plan did not change: worth a warning


class Host(Protocol):
    """The kernel of this host, as a9fe.linux.host gives it. Called in a thread, one at a time."""

    def observe(self, owner: str, /) -> HostPlan:
        """All that is the agent's (`owner` is "l3" or "dhcp") by name, and every bridge."""
        ...

    def apply(self, operation: Operation, /) -> None:
        """Do it, or raise."""
        ...


class Source(Protocol):
    """Where the model comes from: a replica."""

    @property
    def revision(self) -> int:
        """Changes with every visible change."""
        ...

    def freshness(self, now: float, /) -> Freshness:
        """How sure the model is."""
        ...

    async def wait_change(self, after_revision: int, /) -> int:
        """Wait until the revision is another."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Of one pass. `failures`: the reason by what it spoilt (plan.operations.scope)."""

    desired: HostPlan
    observed: HostPlan
    applied: tuple[Operation, ...] = ()
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def settled(self) -> bool:
        """The host was already as planned."""
        return not self.applied and not self.failures


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What makes an agent: whose objects, what they should be, whom to tell after each pass.

    `plan` and `report` are called in the event loop's thread.
    """

    owner: str
    plan: Callable[[], HostPlan]
    report: Callable[[Outcome], None]


def converge(
    host: Host, owner: str, desired: HostPlan, stopping: Callable[[], bool] = lambda: False
) -> Outcome:
    """One pass: observe, and apply the difference until `stopping`.

    A failure ends the work on what it spoils (plan.operations.scope), and on nothing else.
    """
    observed = host.observe(owner)
    applied: list[Operation] = []
    failures: dict[str, str] = {}
    for operation in operations(desired, observed):
        if stopping():
            break
        if is_spoilt(operation, failures):
            continue
        try:
            host.apply(operation)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are served
            failures[scope(operation)] = f"{type(operation).__name__}: {_reason(error)}"
        else:
            applied.append(operation)
    return Outcome(desired=desired, observed=observed, applied=tuple(applied), failures=failures)


def _reason(error: Exception) -> str:
    """Our own errors and the kernel's say it themselves; of others the kind matters."""
    plain = isinstance(error, A9feError | OSError)
    return str(error) if plain else f"{type(error).__name__}: {error}"


class Converger:
    """Runs passes of one agent's work."""

    def __init__(
        self,
        work: Work,
        source: Source,
        host: Host,
        clock: Clock | None = None,
        *,
        resync: float = RESYNC,
    ) -> None:
        """`clock` is asked for the time of day only; `resync` in seconds."""
        self._resync = resync
        self._work = work
        self._source = source
        self._host = host
        self._clock = clock or SystemClock()
        self._dirty = asyncio.Event()
        self._news = asyncio.Event()  # `_dirty`, or an event of the kernel
        self._passed = (0.0, 0.0)  # when the last pass ended, and how long it took
        self._settled: HostPlan | None = None
        self._told: dict[str, str] = {}
        self._lasting: dict[str, int] = {}  # what fails -> in how many passes in a row
        self._last: HostPlan | None = None
        self._tries = 0
        self._changing = 0  # passes in a row that failed in nothing and yet changed the host

    def wake(self) -> None:
        """Make a pass soon: something beside the model has changed. Event loop's thread only."""
        self._dirty.set()
        self._news.set()

    def look(self) -> None:
        """Make a pass within a second, because a kernel object changed, perhaps by us."""
        self._news.set()

    async def run(self) -> None:
        """Converge for ever. A cancelled run ends after the operation under way."""
        stopping = threading.Event()
        watching = spawn(self._watch(), f"{self._work.owner} changes")
        try:
            while True:
                self._dirty.clear()
                self._news.clear()
                began = time.monotonic()
                pause = await self._pass(stopping)
                ended = time.monotonic()
                self._passed = (ended, ended - began)
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
        if not await _comes(self._news, end):
            return
        if await _comes(self._dirty, min(end, self._not_before())):
            await asyncio.sleep(COALESCE)

    def _not_before(self) -> float:
        """The time at which a kernel event may cause a pass."""
        ended, took = self._passed
        debounce = UNSETTLED_DEBOUNCE if self._tries else DEBOUNCE
        return max(time.monotonic() + debounce, ended + SHARE * took)

    async def _pass(self, stopping: threading.Event) -> float:
        """One pass; how long to wait for the next if nothing changes."""
        if not self._source.freshness(self._clock.now()).ever_synced:
            return self._resync
        try:
            desired = self._work.plan()
            outcome = await asyncio.to_thread(
                converge, self._host, self._work.owner, desired, stopping.is_set
            )
        except Exception as error:  # noqa: BLE001 - an agent that gives up serves nobody
            self._tell({"host": _reason(error)})
            self._tries += 1
            return jittered(RETRY, self._tries)
        self._tell(outcome.failures)
        self._report(outcome)
        return self._pause(outcome)

    def _report(self, outcome: Outcome) -> None:
        repaired = tuple(damages(outcome.applied)) if outcome.desired == self._settled else ()
        if repaired:
            _tell_damages(repaired)
        elif outcome.applied:
            spaces = {scope(o).partition(" ")[0] for o in outcome.applied}
            log.info("converged", operations=len(outcome.applied), of=_few(spaces))
        self._work.report(outcome)

    def _pause(self, outcome: Outcome) -> float:
        """Long when settled; else soon, and later each time as long as the plan is the same."""
        if outcome.settled:
            self._tries, self._last, self._settled = 0, outcome.desired, outcome.desired
            self._changing = 0
            return self._resync
        again = outcome.desired == self._last
        self._tries = self._tries + 1 if again else 1
        self._changing = 0 if outcome.failures else self._changing + 1 if again else 1
        self._last = outcome.desired
        if self._changing == UNSETTLED:
            kinds = {type(operation).__name__ for operation in outcome.applied}
            log.warning("host does not stay as planned", operations=_few(kinds))
        return jittered(RETRY, self._tries)

    def _tell(self, failures: dict[str, str]) -> None:
        """Log a failure when it lasts or changes, and when it ends.

        A first failure is logged as info, because other processes may still be starting.
        """
        self._lasting = {where: self._lasting.get(where, 0) + 1 for where in failures}
        for where, reason in failures.items():
            if self._lasting[where] < LASTS:
                log.info("cannot converge yet, will retry", where=where, reason=reason)
            elif self._told.get(where) != reason:
                log.error("cannot converge", where=where, reason=reason)
                self._told[where] = reason
        for where in sorted(self._told.keys() - failures.keys()):
            log.info("converges again", where=where)
            del self._told[where]


async def _comes(event: asyncio.Event, end: float) -> bool:
    """Whether the event is set before `end` (monotonic)."""
    try:
        async with asyncio.timeout(max(0.0, end - time.monotonic())):
            await event.wait()
    except TimeoutError:
        return event.is_set()
    return True


def _tell_damages(found: tuple[Damage, ...]) -> None:
    """Log the damage repaired on a host that had been as planned."""
    for one in found[:DAMAGES_LOGGED]:
        log.warning("damage repaired", where=one.where, wrong=one.wrong, done=one.done)
    if found[DAMAGES_LOGGED:]:
        log.warning("more damage repaired", count=len(found) - DAMAGES_LOGGED)


def _few(words: set[str], limit: int = 5) -> str:
    shown = sorted(words)[:limit]
    rest = len(words) - len(shown)
    return " ".join([*shown, f"and {rest} more"] if rest else shown)
