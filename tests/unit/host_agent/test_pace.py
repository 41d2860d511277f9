"""When the next pass over a part comes."""

from a9fe.host_agent.pace import DEBOUNCE, UNSETTLED, UNSETTLED_DEBOUNCE, Pace
from a9fe.plan.host import Bridge, HostPlan

PLAN = HostPlan()
OTHER = HostPlan(bridges=frozenset({Bridge(name="brq1", mtu=1500)}))
SETTLED = (PLAN, False, False)
CHANGED = (PLAN, True, False)
FAILED = (PLAN, False, True)
CHANGED_OTHER = (OTHER, True, False)


def after(*passes: tuple[HostPlan, bool, bool]) -> Pace:
    pace = Pace()
    for plan, changed, failed in passes:
        pace = pace.after(plan, changed=changed, failed=failed)
    return pace


def test_a_settled_part_waits_for_the_scrub():
    assert after(CHANGED, SETTLED) == Pace(last=PLAN, settled=PLAN)


def test_attempts_of_the_same_plan_are_counted_and_another_plan_begins_again():
    assert after(CHANGED, CHANGED, FAILED).attempts == 3
    assert after(CHANGED, CHANGED, CHANGED_OTHER).attempts == 1
    assert after(CHANGED, CHANGED).after_error().attempts == 3


def test_the_plan_that_the_part_was_as_is_kept_while_it_is_damaged():
    assert after(SETTLED, CHANGED).settled == PLAN
    assert after(SETTLED, CHANGED_OTHER).settled == PLAN


def test_a_part_that_does_not_stay_as_planned_is_logged_once():
    paces = [after(*[CHANGED] * n) for n in range(UNSETTLED + 3)]
    assert [pace.does_not_stay for pace in paces].count(True) == 1
    assert paces[UNSETTLED].does_not_stay
    assert not after(*[FAILED] * UNSETTLED).does_not_stay


def test_an_event_waits_for_our_own_changes_to_end():
    assert after(SETTLED).debounce == DEBOUNCE
    assert after(CHANGED).debounce == UNSETTLED_DEBOUNCE
