"""When the next pass over a host comes."""

from a9fe.host_agent.converge import Outcome
from a9fe.host_agent.pace import DEBOUNCE, SHARE, UNSETTLED, UNSETTLED_DEBOUNCE, Pace
from a9fe.plan.host import Bridge, HostPlan
from a9fe.plan.operations import DeleteBridge

PLAN = HostPlan()
OTHER = HostPlan(bridges=frozenset({Bridge(name="brq1", mtu=1500)}))
WORK = (DeleteBridge(name="brq2"),)


def settled(plan: HostPlan = PLAN) -> Outcome:
    return Outcome(desired=plan, observed=plan)


def changed(plan: HostPlan = PLAN) -> Outcome:
    return Outcome(desired=plan, observed=HostPlan(), applied=WORK)


def failed(plan: HostPlan = PLAN) -> Outcome:
    return Outcome(desired=plan, observed=HostPlan(), failures={"host": "no"})


def after(*outcomes: Outcome) -> Pace:
    pace = Pace()
    for outcome in outcomes:
        pace = pace.after(outcome)
    return pace


def test_a_settled_host_waits_for_the_resync():
    assert after(changed(), settled()) == Pace(last=PLAN, settled=PLAN)


def test_attempts_of_the_same_plan_are_counted_and_another_plan_begins_again():
    assert after(changed(), changed(), failed()).attempts == 3
    assert after(changed(), changed(), changed(OTHER)).attempts == 1
    assert after(changed(), changed()).after_error().attempts == 3


def test_the_plan_that_the_host_was_as_is_kept_while_it_is_damaged():
    assert after(settled(), changed()).settled == PLAN
    assert after(settled(), changed(OTHER)).settled == PLAN


def test_a_host_that_does_not_stay_as_planned_is_logged_once():
    paces = [after(*[changed()] * n) for n in range(UNSETTLED + 3)]
    assert [pace.does_not_stay for pace in paces].count(True) == 1
    assert paces[UNSETTLED].does_not_stay
    assert not after(*[failed()] * UNSETTLED).does_not_stay
    assert not after(*[changed()] * (UNSETTLED - 1), changed(OTHER)).does_not_stay


def test_kernel_events_are_debounced_and_cost_a_share_of_the_time():
    assert Pace().event_pass_at(now=100.0, ended=0.0, took=1.0) == 100.0 + DEBOUNCE
    assert after(changed()).event_pass_at(100.0, 0.0, 1.0) == 100.0 + UNSETTLED_DEBOUNCE
    assert Pace().event_pass_at(now=100.0, ended=99.0, took=5.0) == 99.0 + SHARE * 5.0
