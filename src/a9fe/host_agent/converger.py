"""The loop of passes: wait until parts of the host are due, make a pass over them.

A model change makes the parts due that it touches, a kernel event the parts of the objects that it
names. The whole host is due at the start, after a snapshot, when the proxy comes or goes, and when
events or the loaded filters are not known. No pass is made before the replica has been complete
once, because it would remove objects that are in the model.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from a9fe.host_agent.agenda import NEVER, Agenda, Batch
from a9fe.host_agent.converge import (
    FiltersUnknown,
    Host,
    Outcome,
    converge,
    converge_parts,
    reason_of,
)
from a9fe.host_agent.convergence_log import FailureLog, log_unsettled, log_work
from a9fe.host_agent.pace import DEBOUNCE, RETRY, SHARE, Pace
from a9fe.host_agent.part_results import Result, divided
from a9fe.host_agent.scrub import RESYNC, rounds
from a9fe.model.resources import Resource
from a9fe.plan import parts as plan_parts
from a9fe.plan.host import HostPlan
from a9fe.plan.model_view import ModelView
from a9fe.plan.operations import Operation
from a9fe.plan.parts import Part
from a9fe.runtime.clock import Clock, SystemClock
from a9fe.runtime.tasks import jittered, spawn
from a9fe.wire.freshness import Freshness

COALESCE = 0.005  # s: a network, its subnet and its ports come as several changes
PLANNED_AT_ONCE = 50  # parts; then other tasks of the process have their turn
HOST = "host"  # the whole host in the log of failures
NEW = Pace()

Change = tuple[str, Resource | None, Resource | None]
"""Kind of a resource, before and after; None for a created or deleted one."""


class Source(ModelView, Protocol):
    """The model: a replica."""

    def freshness(self, now: float, /) -> Freshness:
        """Return how up to date the model is at `now` (UNIX seconds)."""
        ...

    def tell(self, changed: Callable[[Change | None], None], /) -> Callable[[], None]:
        """Call `changed` after each change; None: all may differ. The result ends that."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The agent's part of a pass: owner of its objects, plans, and work after the pass.

    `parts` are all parts with something to plan, `plan` is the plan of any part. All are called in
    the event loop's thread. `after_error` is given the reason why a part could not be planned or
    observed; None for the part: a whole pass could not observe.
    """

    owner: str
    parts: Callable[[], Iterable[Part]]
    plan: Callable[[Part], HostPlan]
    after_pass: Callable[[Outcome], None]
    after_error: Callable[[str, Part | None], None] = lambda _reason, _part: None


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
        """`clock` is used for the time of day only; `resync`: shortest round of the scrub in s."""
        self._work = work
        self._source = source
        self._host = host
        self._clock = clock or SystemClock()
        self._agenda = Agenda()
        self._resync = resync
        self._news = asyncio.Event()
        self._paces: dict[Part, Pace] = {}
        self._host_pace = Pace()
        self._whole_ended, self._whole_took = 0.0, 0.0
        self._is_busy = False
        self._failures = FailureLog()

    def wake(self) -> None:
        """Make a pass over the whole host at once. Event loop only."""
        self._agenda.whole(time.monotonic())
        self._news.set()

    def kernel_changed(self, names: Iterable[str] | None = None) -> None:
        """Make a pass within a second: these objects changed, perhaps by us; None: any may have.

        Event loop only.
        """
        now = time.monotonic()
        if names is None:
            rested = self._whole_ended + SHARE * self._whole_took
            self._agenda.whole(max(now + DEBOUNCE, rested))
        else:
            for name in names:
                for part in plan_parts.of_name(self._work.owner, name, self._source):
                    self._agenda.later(part, now + self._pace(part).debounce)
        self._news.set()

    @property
    def is_idle(self) -> bool:
        """Whether no pass is under way or due, now or later, but those of the scrub."""
        return not self._is_busy and self._agenda.at() == NEVER

    async def run(self) -> None:
        """Converge until cancelled. A cancelled run ends after the operation under way."""
        stopping = threading.Event()
        forget = self._source.tell(self._model_changed)
        scrub = spawn(self._scrub(), f"{self._work.owner} scrub")
        self.wake()
        try:
            while True:
                await self._wait()
                self._is_busy = True
                await self._pass(self._agenda.take(time.monotonic()), stopping)
                self._is_busy = False
        finally:
            stopping.set()
            scrub.cancel()
            forget()

    async def _pass(self, batch: Batch, stopping: threading.Event) -> None:
        began = time.monotonic()
        if batch.whole:
            await self._pass_over_all(stopping)
            self._whole_ended = time.monotonic()
            self._whole_took = self._whole_ended - began
        elif batch.parts:
            await self._pass_over(batch, stopping)
            self._agenda.spent(batch, time.monotonic(), time.monotonic() - began)

    def _model_changed(self, change: Change | None) -> None:
        if change is None:
            self.wake()
            return
        touched = plan_parts.touched(self._work.owner, *change, self._source)
        if touched:
            self._agenda.change(touched)
            self._news.set()

    async def _wait(self) -> None:
        """Wait until a pass is due, and the model was complete once."""
        while True:
            self._news.clear()
            at = self._agenda.at()
            if not self._source.freshness(self._clock.now()).ever_synced:
                at = NEVER
            if at <= time.monotonic():
                break
            await _is_set_before(self._news, at)
        if self._agenda.is_urgent:
            await asyncio.sleep(COALESCE)

    async def _pass_over(self, batch: Batch, stopping: threading.Event) -> None:
        """Make a pass over some parts."""
        known = self._in_model(batch.parts)
        former = {part: plan for part in known if (plan := self._pace(part).last) is not None}
        plans, failed = await self._plan(known)
        for part, reason in failed.items():
            self._failed(part, reason)
        try:
            outcome = await asyncio.to_thread(
                converge_parts, self._host, self._work.owner, plans, former, stopping.is_set
            )
        except FiltersUnknown:
            self.wake()
        except Exception as error:  # noqa: BLE001 - an agent that gives up serves no network
            for part in plans:
                self._failed(part, reason_of(error))
        else:
            self._after(outcome)

    async def _pass_over_all(self, stopping: threading.Event) -> None:
        """Make a pass over the whole host. A part that cannot be planned stays as it is."""
        owner = self._work.owner
        plans, failed = await self._plan(self._work.parts())
        scopes: dict[str, str] = {}
        for part, reason in failed.items():
            plans[part] = self._pace(part).last or plan_parts.NONE[owner]
            scopes |= dict.fromkeys({part.bridge, part.namespace(owner)} - {""}, reason)
        desired = plan_parts.union(plans.values(), plan_parts.NONE[owner])
        try:
            outcome = await asyncio.to_thread(
                converge, self._host, owner, desired, stopping.is_set, failed=scopes, plans=plans
            )
        except Exception as error:  # noqa: BLE001 - an agent that gives up serves no network
            self._work.after_error(reason_of(error), None)
            self._host_failed({HOST: reason_of(error)})
        else:
            self._paces = {part: self._pace(part) for part in plans}
            self._host_pace = Pace()
            self._failures.passed(HOST, {})
            self._after(outcome)

    async def _plan(self, parts: Iterable[Part]) -> tuple[dict[Part, HostPlan], dict[Part, str]]:
        """Return the plans of these parts; those that cannot be planned, with the reason."""
        plans: dict[Part, HostPlan] = {}
        failed: dict[Part, str] = {}
        for number, part in enumerate(tuple(parts), 1):
            try:
                plans[part] = self._work.plan(part)
            except Exception as error:  # noqa: BLE001 - the other parts are planned
                failed[part] = f"cannot be planned: {reason_of(error)}"
            if number % PLANNED_AT_ONCE == 0:
                await asyncio.sleep(0)
        return plans, failed

    def _in_model(self, parts: Iterable[Part]) -> tuple[Part, ...]:
        """The parts; in place of a bridge the network that the model has for it by now."""
        found: dict[Part, None] = {}
        for part in parts:
            is_bridge = part.kind == "bridge"
            known = (
                plan_parts.of_name(self._work.owner, part.id, self._source) if is_bridge else ()
            )
            found |= dict.fromkeys(known or (part,))
        return tuple(found)

    def _after(self, outcome: Outcome) -> None:
        results = divided(self._work.owner, outcome)
        host = results.pop(None, Result())
        work, repairs = list(host.applied), list[Operation]()
        for part, result in results.items():
            if part is not None:
                plan = outcome.plans[part]
                is_damage = self._pace(part).settled == plan
                (repairs if is_damage else work).extend(result.applied)
                self._passed(part, plan, result)
        log_work(work, repairs)
        if host.applied:
            self._agenda.later(plan_parts.FILTERS_PART, time.monotonic() + jittered(RETRY, 1))
        if host.failures:
            self._host_failed(host.failures)
        self._work.after_pass(outcome)

    def _passed(self, part: Part, plan: HostPlan, result: Result) -> None:
        changed, failed = bool(result.applied), bool(result.failures)
        pace = self._pace(part).after(plan, changed=changed, failed=failed)
        self._failures.passed(str(part), result.failures)
        if pace.does_not_stay:
            log_unsettled(str(part), result.applied)
        self._keep(part, pace)

    def _failed(self, part: Part, reason: str) -> None:
        """Note that a part could not be planned or observed."""
        self._work.after_error(reason, part)
        self._failures.passed(str(part), {str(part): reason})
        self._keep(part, self._pace(part).after_error())

    def _host_failed(self, reasons: dict[str, str]) -> None:
        self._failures.passed(HOST, reasons)
        self._host_pace = self._host_pace.after_error()
        self._agenda.whole(time.monotonic() + jittered(RETRY, self._host_pace.attempts))

    def _pace(self, part: Part) -> Pace:
        return self._paces.get(part, NEW)

    def _keep(self, part: Part, pace: Pace) -> None:
        """Remember a part as long as it has objects, or may have."""
        if pace.attempts:
            self._agenda.later(part, time.monotonic() + jittered(RETRY, pace.attempts))
        elif pace.last == plan_parts.NONE[self._work.owner]:
            self._paces.pop(part, None)
            return
        self._paces[part] = pace

    async def _scrub(self) -> None:
        """Observe all parts again, slowly, and look for objects that no part has."""
        owner = self._work.owner
        while True:
            for pause, parts in rounds(tuple(self._paces), self._resync):
                await asyncio.sleep(pause)
                for part in (plan_parts.FILTERS_PART, *parts):
                    self._agenda.later(part, time.monotonic())
                self._news.set()
            found = await asyncio.to_thread(self._host.named, owner)
            known = {name for p in self._paces for name in (p.bridge, p.namespace(owner))}
            self.kernel_changed(found - known)


async def _is_set_before(event: asyncio.Event, end: float) -> bool:
    """Return whether the event is set before `end` (monotonic)."""
    timeout = None if end == NEVER else max(0.0, end - time.monotonic())
    try:
        async with asyncio.timeout(timeout):
            await event.wait()
    except TimeoutError:
        return event.is_set()
    return True
