"""Reports to the server what the agent cannot build, with the reasons."""

import asyncio
import time
from collections.abc import Callable, Iterable

import structlog

from a9fe.api_client.state_reports import Configurations, StateReporter
from a9fe.model.errors import A9feError
from a9fe.model.problems import PROBLEMS_MAX, Problem
from a9fe.plan.parts import Part
from a9fe.plan.problems import ByPart
from a9fe.runtime.tasks import Backoff, jittered

log = structlog.get_logger()

LASTS = 1.0  # s that a problem must last: other processes may be starting or restarting
BETWEEN = 0.5  # s between two reports
RETRY = Backoff(first=0.5, ceiling=10.0)
Key = tuple[str, str]


class Lasting:
    """The problems of a host that have lasted a while."""

    def __init__(self, lasts: float = LASTS) -> None:
        """`lasts` in seconds."""
        self._lasts = lasts
        self._by_part: dict[Part | None, frozenset[Problem]] = {}
        self._since: dict[Key, float] = {}
        self.known = False  # whether a pass over the whole host has ended

    def passed(self, found: ByPart, passed: Iterable[Part] | None, now: float) -> None:
        """Record the problems of a pass over the parts `passed`, None: over the whole host.

        `now` in seconds. O(parts passed + problems).
        """
        if passed is None:
            self._by_part, self.known = {}, True
        for part in (None, *(passed or ())):
            self._by_part.pop(part, None)
        self._by_part.update(found)
        keys = {(one.kind, one.id) for some in self._by_part.values() for one in some}
        self._since = {key: self._since.get(key, now) for key in keys}

    def due(self, now: float) -> tuple[Problem, ...]:
        """The problems that have lasted, sorted; at most PROBLEMS_MAX."""
        found = (
            one
            for some in self._by_part.values()
            for one in some
            if self._since[one.kind, one.id] + self._lasts <= now
        )
        return tuple(sorted(found)[:PROBLEMS_MAX])

    def next_due(self, now: float) -> float | None:
        """Seconds until another problem has lasted; None if there is none."""
        later = (at + self._lasts - now for at in self._since.values())
        return min((seconds for seconds in later if seconds > 0), default=None)


class ProblemReports:
    """Sends the problems when they differ from the last report, until the server accepts it."""

    def __init__(
        self,
        reporter: StateReporter,
        configurations: Callable[[], Configurations],
        *,
        lasts: float = LASTS,
        between: float = BETWEEN,
    ) -> None:
        """`configurations` are sent with every report; `lasts` and `between` in seconds."""
        self._reporter = reporter
        self._configurations = configurations
        self._between = between
        self._lasting = Lasting(lasts)
        self._sent: tuple[Problem, ...] | None = None
        self._news = asyncio.Event()

    def put(self, found: ByPart, passed: Iterable[Part] | None = None) -> None:
        """Record the problems of a pass (Lasting.passed)."""
        self._lasting.passed(found, passed, time.monotonic())
        if self._lasting.known:
            self._news.set()

    async def run(self) -> None:
        """Send until cancelled."""
        failures = 0
        while True:
            due = self._lasting.due(time.monotonic())
            if self._lasting.known and due != self._sent:
                failures = 0 if await self._send(due) else failures + 1
                await asyncio.sleep(jittered(RETRY, failures) if failures else self._between)
                continue
            await self._wait(self._lasting.next_due(time.monotonic()))

    async def _wait(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return
        self._news.clear()

    async def _send(self, due: tuple[Problem, ...]) -> bool:
        try:
            await self._reporter.report(self._configurations(), problems=due)
        except A9feError as error:
            log.debug("problems not reported", reason=str(error))
            return False
        self._sent = due
        return True
