"""The time of the next pass, from the results of the last ones. Pure.

| last pass                             | next pass, if nothing changes                       |
|---------------------------------------|-----------------------------------------------------|
| the host was as planned (settled)     | after RESYNC                                        |
| it changed the host, or failed        | after RETRY, later each time while the plan is same |

A model change causes a pass at once. A kernel event causes one after a debounce, and not before
SHARE times the duration of the last pass, so that events cost at most a fifth of the time.
"""

from dataclasses import dataclass, replace

from a9fe.host_agent.converge import Outcome
from a9fe.plan.host import HostPlan

DEBOUNCE = 0.1  # s: one damage, or one change of ours, causes several kernel events
UNSETTLED_DEBOUNCE = 0.8  # s: while the host is not as planned, most events are our own
SHARE = 4.0
UNSETTLED = 4  # passes in a row that change a host whose plan stays the same: worth a warning


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The results of the last passes.

    `attempts`: passes in a row, with the same plan, that were not settled. `changing`: those of
    them that changed the host without a failure. `last`: the plan of the last pass. `settled`: the
    plan that the host matched last.
    """

    attempts: int = 0
    changing: int = 0
    last: HostPlan | None = None
    settled: HostPlan | None = None

    def after(self, outcome: Outcome) -> "Pace":
        """Return the pace after a pass."""
        desired = outcome.desired
        if outcome.settled:
            return Pace(last=desired, settled=desired)
        is_same = desired == self.last
        changing = 0 if outcome.failures else self.changing + 1 if is_same else 1
        attempts = self.attempts + 1 if is_same else 1
        return replace(self, attempts=attempts, changing=changing, last=desired)

    def after_error(self) -> "Pace":
        """Return the pace after a pass that could not plan or observe."""
        return replace(self, attempts=self.attempts + 1)

    @property
    def does_not_stay(self) -> bool:
        """Whether the host has now been changed UNSETTLED times for the same plan."""
        return self.changing == UNSETTLED

    def event_pass_at(self, now: float, ended: float, took: float) -> float:
        """Return when a kernel event at `now` may cause a pass; all times in s."""
        debounce = UNSETTLED_DEBOUNCE if self.attempts else DEBOUNCE
        return max(now + debounce, ended + SHARE * took)
