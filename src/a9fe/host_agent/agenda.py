"""Which parts of a host need a pass, and when. Pure; all times are monotonic seconds.

A model change makes its parts due at once. An event of the kernel, a retry and the scrub make
theirs due later; passes over those take at most a fifth of the time (pace.SHARE), so that they
delay no change for long. Cost: O(log parts that are due) for each.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from a9fe.host_agent.pace import SHARE
from a9fe.plan.parts import Part

NEVER = float("inf")
BATCH = 32  # parts in one pass; more wait for the next one
LATER_BATCH = 4  # parts that no change of the model made due: a change waits for their pass
OVERDUE = 2.0  # s that these wait while changes come without a pause


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The work of one pass: the whole host, or some parts; `later` of them for other reasons
    than a model change: none or all.
    """

    whole: bool = False
    parts: tuple[Part, ...] = ()
    later: int = 0


class Agenda:
    """Parts by the time at which they are due."""

    def __init__(self) -> None:
        """Start with nothing due."""
        self._calm = -NEVER
        self._clear()

    def _clear(self) -> None:
        self._changed: dict[Part, None] = {}
        self._due: dict[Part, float] = {}
        self._order: list[tuple[float, Part]] = []  # also former entries of `_due`
        self._whole = NEVER

    def change(self, parts: Iterable[Part]) -> None:
        """Make parts due at once."""
        for part in parts:
            self._changed[part] = None

    def later(self, part: Part, at: float) -> None:
        """Make a part due at that time, if it is not due before."""
        if at < self._due.get(part, NEVER):
            self._due[part] = at
            heapq.heappush(self._order, (at, part))

    def whole(self, at: float) -> None:
        """Make the whole host due at that time, if it is not due before."""
        self._whole = min(self._whole, at)

    @property
    def is_urgent(self) -> bool:
        """Whether a change of the model waits."""
        return bool(self._changed)

    def at(self) -> float:
        """When the next pass is due; NEVER if nothing is."""
        if self._changed:
            return -NEVER
        return min(self._whole, max(self._calm, self._first()))

    def take(self, now: float) -> Batch:
        """Remove and return what is due now."""
        if self._whole <= now:
            self._clear()
            return Batch(whole=True)
        if self._changed and max(self._calm, self._first()) > now - OVERDUE:
            parts = [part for part, _ in zip(self._changed, range(BATCH), strict=False)]
            later = 0
        else:
            parts = list(self._take_later(now))
            later = len(parts)
        for part in parts:
            self._changed.pop(part, None)
            self._due.pop(part, None)
        return Batch(parts=tuple(parts), later=later)

    def _take_later(self, now: float) -> Iterator[Part]:
        for _ in range(LATER_BATCH):
            if max(self._calm, self._first()) > now:
                return
            part = heapq.heappop(self._order)[1]
            del self._due[part]
            yield part

    def spent(self, batch: Batch, now: float, took: float) -> None:
        """Note that a pass over parts ended now after `took` s: what is later waits for it."""
        if batch.later:
            self._calm = now + SHARE * took

    def _first(self) -> float:
        while self._order and self._due.get(self._order[0][1]) != self._order[0][0]:
            heapq.heappop(self._order)
        return self._order[0][0] if self._order else NEVER
