"""The health of an upstream's addresses: which of them gets the next connection."""

import pytest

from a9fe.http.upstream.addresses import (
    AFTER,
    FAILURES_IN_A_ROW,
    FIRST_BACKOFF,
    LONGEST_BACKOFF,
    Address,
    Addresses,
    Event,
    Health,
)
from a9fe.http.upstream.target import Target
from a9fe.wire.refusals import Refusal

A, B, C = (Target(host=f"192.0.2.{n}", port=8775) for n in (1, 2, 3))
NOW = 100.0


class Noted:
    """A watcher that keeps what it is told."""

    def __init__(self) -> None:
        self.failures: list[tuple[Target, Refusal]] = []
        self.changes: list[tuple[Target, Health]] = []

    def failed(self, target: Target, refusal: Refusal) -> None:
        self.failures.append((target, refusal))

    def changed(self, target: Target, health: Health, why: str) -> None:
        self.changes.append((target, health))


def refuse(addresses: Addresses, address: Address, now: float = NOW) -> None:
    addresses.unreachable(address, Refusal.UPSTREAM_UNREACHABLE, "refused", now)


def silence(addresses: Addresses, address: Address, now: float = NOW) -> None:
    addresses.unanswered(address, Refusal.UPSTREAM_TIMEOUT, "no answer in time", now)


def taken(addresses: Addresses, count: int) -> list[Target]:
    """Choose that often; each stays in use."""
    found = []
    for _ in range(count):
        chosen = addresses.choose()
        assert chosen is not None
        chosen.in_use += 1
        found.append(chosen.target)
    return found


def two() -> tuple[Addresses, Address, Address, Noted]:
    noted = Noted()
    addresses = Addresses([A, B], noted)
    first, second = addresses.choose(), addresses.choose()
    assert first is not None
    assert second is not None
    noted.changes.clear()
    return addresses, first, second, noted


def test_every_state_knows_every_event_and_gone_is_final():
    assert set(AFTER) == set(Health)
    assert all(set(row) == set(Event) for row in AFTER.values())
    assert set(AFTER[Health.GONE].values()) == {Health.GONE}
    for row in AFTER.values():
        assert row[Event.REMOVED] is Health.GONE


def test_connections_are_spread_over_the_up_addresses():
    assert taken(Addresses([A, B, C]), 6) == [A, B, C, A, B, C]


def test_an_address_with_fewer_connections_in_use_comes_first():
    addresses, first, second, _ = two()
    first.in_use = 5
    assert taken(addresses, 3) == [second.target] * 3


def test_an_address_that_refuses_is_down_at_once_and_tried_after_a_back_off_that_doubles():
    addresses, first, second, noted = two()
    now, waits = NOW, []
    for _ in range(8):
        refuse(addresses, first, now)
        assert addresses.choose() is second
        assert addresses.due(now) == []
        began, now = now, first.retry_at
        waits.append(now - began)
        assert addresses.due(now) == [first]
        assert addresses.due(now) == []
        now = first.retry_at
    assert waits[0] == FIRST_BACKOFF
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_BACKOFF
    assert noted.changes == [(A, Health.DOWN)]
    assert noted.failures == [(A, Refusal.UPSTREAM_UNREACHABLE)] * 8


def test_attempts_of_many_requests_at_once_are_one_step_of_the_back_off():
    addresses, first, _, _ = two()
    for _ in range(50):
        refuse(addresses, first)
    assert first.retry_at == NOW + FIRST_BACKOFF


def test_some_requests_in_a_row_without_an_answer_put_an_address_down():
    addresses, first, second, _ = two()
    for _ in range(FAILURES_IN_A_ROW - 1):
        silence(addresses, first)
    addresses.answered(first)
    for _ in range(FAILURES_IN_A_ROW - 1):
        silence(addresses, first)
    assert first.is_usable
    silence(addresses, first)
    assert not first.is_usable
    assert addresses.has_other(first)
    assert not addresses.has_other(second)


@pytest.mark.parametrize("fails", [refuse, silence])
def test_an_address_on_trial_has_one_request_at_a_time_until_it_answers(fails):
    addresses, first, second, noted = two()
    refuse(addresses, first)
    addresses.connected(first)
    assert taken(addresses, 3) == [A, B, B]
    fails(addresses, first, NOW + 1)
    assert first.health is Health.DOWN
    addresses.connected(first)
    addresses.answered(first)
    assert taken(addresses, 1) == [A]
    health = [health.value for _, health in noted.changes]
    assert health == ["down", "trial", "down", "trial", "up"]
    assert second.health is Health.UP


def test_while_none_is_up_all_are_tried_in_turn():
    addresses, first, second, _ = two()
    refuse(addresses, first)
    refuse(addresses, second)
    assert not addresses.has_other(None)
    assert taken(addresses, 4) == [A, B, A, B]


def test_the_address_that_did_not_answer_is_avoided_if_another_is_up():
    addresses, first, second, _ = two()
    for _ in range(3):
        assert addresses.choose(first) is second
    refuse(addresses, second)
    assert addresses.choose(first) is first


def test_addresses_that_stay_keep_their_health_and_others_are_gone():
    addresses, first, second, noted = two()
    refuse(addresses, first)
    addresses.replace([C, A])
    assert not second.is_usable
    addresses.answered(second)
    assert not second.is_usable
    assert taken(addresses, 2) == [C, C]
    assert noted.changes == [(A, Health.DOWN), (B, Health.GONE), (C, Health.UP)]
    addresses.replace([])
    assert addresses.choose() is None
