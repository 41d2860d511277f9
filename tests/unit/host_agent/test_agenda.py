"""Which parts are due, in which order, and how long others wait."""

from a9fe.host_agent.agenda import BATCH, LATER_BATCH, NEVER, OVERDUE, Agenda, Batch
from a9fe.host_agent.pace import SHARE
from a9fe.plan.parts import Part, network

A, B, C = (network(name) for name in "abc")


def many(count: int, prefix: str) -> list[Part]:
    return [network(f"{prefix}{number}") for number in range(count)]


def test_nothing_is_due_at_first():
    agenda = Agenda()
    assert agenda.at() == NEVER
    assert agenda.take(1.0) == Batch()


def test_a_change_of_the_model_is_due_at_once_and_others_at_their_time():
    agenda = Agenda()
    agenda.later(A, 5.0)
    agenda.later(B, 3.0)
    agenda.later(B, 4.0)  # does not make it later
    assert agenda.at() == 3.0
    agenda.change([C])
    assert (agenda.is_urgent, agenda.at() < 0.0) == (True, True)
    assert agenda.take(1.0) == Batch(parts=(C,))
    assert agenda.take(4.0) == Batch(parts=(B,), later=1)
    assert agenda.at() == 5.0


def test_a_pass_answers_all_reasons_of_its_parts():
    agenda = Agenda()
    agenda.later(A, 3.0)
    agenda.change([A])
    assert agenda.take(4.0) == Batch(parts=(A,))
    assert agenda.at() == NEVER


def test_changes_come_before_others_and_a_pass_is_not_longer_than_a_batch():
    agenda = Agenda()
    for part in many(2 * LATER_BATCH, "later"):
        agenda.later(part, 1.0)
    changed = many(BATCH + 1, "changed")
    agenda.change(changed)
    assert agenda.take(2.0) == Batch(parts=tuple(changed[:BATCH]))
    assert agenda.take(2.0) == Batch(parts=tuple(changed[BATCH:]))
    assert agenda.take(2.0).later == LATER_BATCH


def test_others_have_their_turn_while_changes_come_without_a_pause():
    agenda = Agenda()
    agenda.later(A, 1.0)
    agenda.change([B])
    assert agenda.take(1.0 + OVERDUE / 2) == Batch(parts=(B,))
    agenda.change([B])
    assert agenda.take(1.0 + OVERDUE) == Batch(parts=(A,), later=1)
    assert agenda.take(1.0 + OVERDUE) == Batch(parts=(B,))


def test_what_no_change_caused_takes_a_fifth_of_the_time():
    agenda = Agenda()
    agenda.later(A, 1.0)
    agenda.spent(agenda.take(1.0), now=2.0, took=0.5)
    agenda.later(B, 1.5)
    assert agenda.at() == 2.0 + SHARE * 0.5
    agenda.change([C])
    assert agenda.take(2.0).parts == (C,)
    agenda.spent(Batch(parts=(C,)), now=2.0, took=9.0)
    assert agenda.at() == 2.0 + SHARE * 0.5
    assert agenda.take(4.0).parts == (B,)


def test_the_whole_host_answers_everything():
    agenda = Agenda()
    agenda.change([A])
    agenda.later(B, 1.0)
    agenda.whole(2.0)
    agenda.whole(3.0)
    assert not agenda.take(1.5).whole
    assert agenda.take(2.0) == Batch(whole=True)
    assert agenda.at() == NEVER
