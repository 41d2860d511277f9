"""The progress of one part of a host: when it needs its next pass. Pure.

| last pass of the part                 | next pass, if nothing changes                       |
|---------------------------------------|-----------------------------------------------------|
| it was as planned (settled)           | at the scrub                                        |
| it was changed, or failed             | after RETRY, later each time while the plan is same |

A model change causes a pass at once. A kernel event causes one after a debounce.
"""

from dataclasses import dataclass, replace

from a9fe.plan.host import HostPlan
from a9fe.runtime.tasks import Backoff

DEBOUNCE = 0.1  # s: one damage, or one change of ours, causes several kernel events
UNSETTLED_DEBOUNCE = 0.8  # s: while a part is not as planned, most events are our own
SHARE = 4.0  # passes that no change of the model caused wait so many times their duration
RETRY = Backoff(first=0.2, ceiling=10.0)  # after a failure, and to see that a part has settled
UNSETTLED = 4  # passes in a row that change a part whose plan stays the same: worth a warning


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The results of the last passes of a part.

    `attempts`: passes in a row, with the same plan, that were not settled. `changing`: those of
    them that changed the part without a failure. `last`: the plan of the last pass. `settled`: the
    plan that the part matched last.
    """

    attempts: int = 0
    changing: int = 0
    last: HostPlan | None = None
    settled: HostPlan | None = None

    def after(self, plan: HostPlan, *, changed: bool, failed: bool) -> "Pace":
        """Return the pace after a pass with that plan."""
        if not changed and not failed:
            return Pace(last=plan, settled=plan)
        is_same = plan == self.last
        changing = 0 if failed else self.changing + 1 if is_same else 1
        attempts = self.attempts + 1 if is_same else 1
        return replace(self, attempts=attempts, changing=changing, last=plan)

    def after_error(self) -> "Pace":
        """Return the pace after a pass that could not plan or observe."""
        return replace(self, attempts=self.attempts + 1)

    @property
    def does_not_stay(self) -> bool:
        """Whether the part has now been changed UNSETTLED times for the same plan."""
        return self.changing == UNSETTLED

    @property
    def debounce(self) -> float:
        """How long after a kernel event a pass may come, in s."""
        return UNSETTLED_DEBOUNCE if self.attempts else DEBOUNCE
