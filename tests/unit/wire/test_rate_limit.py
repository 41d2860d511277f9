"""The rate limit: windows, waits, clients, and the bounded table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a9fe.wire.rate_limit import RateLimiter, Window

GUEST = ("qdhcp-a/169.254.169.254:80", "10.0.0.5")
OTHER = ("qdhcp-b/169.254.169.254:80", "10.0.0.5")
FOUR_IN_TEN = Window(limit=4, duration=10)


def limiter(*windows: Window, capacity: int = 10) -> RateLimiter:
    return RateLimiter(windows or (FOUR_IN_TEN,), capacity)


def test_at_the_limit_and_one_past():
    limit = limiter()
    assert [limit.wait(GUEST, 100.0) for _ in range(6)] == [0, 0, 0, 0, 3, 3]


def test_after_the_wait_a_request_is_admitted():
    limit = limiter()
    for _ in range(4):
        limit.wait(GUEST, 100.0)
    assert limit.wait(GUEST, 100.0) == 3
    assert limit.wait(GUEST, 102.4) == 1
    assert limit.wait(GUEST, 103.0) == 0


def test_denied_requests_do_not_extend_the_ban():
    limit = limiter()
    for _ in range(4):
        limit.wait(GUEST, 100.0)
    for n in range(200):
        assert limit.wait(GUEST, 100.0 + n / 100) > 0
    assert limit.wait(GUEST, 102.5) == 0


def test_same_address_on_another_listener_is_another_guest():
    limit = limiter()
    for _ in range(5):
        limit.wait(GUEST, 100.0)
    assert limit.wait(OTHER, 100.0) == 0


def test_all_windows_must_agree():
    limit = limiter(Window(limit=100, duration=10), Window(limit=2, duration=1))
    assert [limit.wait(GUEST, 0.0) for _ in range(3)] == [0, 0, 1]
    limit = limiter(Window(limit=2, duration=10), Window(limit=100, duration=1))
    assert [limit.wait(GUEST, 0.0) for _ in range(3)] == [0, 0, 5]


def test_the_tables_are_bounded_and_forget_the_oldest_clients():
    limit = limiter(Window(limit=1, duration=1000), capacity=3)
    for n in range(60):
        assert limit.wait(("listener", str(n)), 0.0) == 0
        assert len(limit) <= 6
    assert limit.wait(("listener", "59"), 0.0) > 0
    assert limit.wait(("listener", "0"), 0.0) == 0


def test_a_client_is_forgotten_when_its_bucket_is_full_again():
    limit = limiter(Window(limit=4, duration=10))
    limit.wait(OTHER, 0.0)
    for n in range(1, 8):
        limit.wait(GUEST, n * 10.0)
    assert len(limit) == 1


def test_a_table_that_turns_keeps_the_state_of_an_active_client():
    limit = limiter(Window(limit=4, duration=10))
    limit.wait(OTHER, 0.0)
    assert [limit.wait(GUEST, 9.9) for _ in range(4)] == [0] * 4
    assert limit.wait(GUEST, 10.1) > 0


@pytest.mark.parametrize("values", [{"limit": 0, "duration": 1}, {"limit": 1, "duration": 0}])
def test_a_window_that_admits_nothing_is_refused(values):
    with pytest.raises(ValueError, match="above zero"):
        Window(**values)


@given(st.lists(st.floats(0, 5), max_size=60))
def test_a_window_admits_at_most_twice_the_limit_and_always_some(pauses):
    """A full bucket and its refill: the bound of a token bucket."""
    limit, now, served = limiter(), 0.0, []
    for pause in pauses:
        now += pause
        if limit.wait(GUEST, now) == 0:
            served.append(now)
    for start in served:
        assert sum(start <= at < start + 10 for at in served) <= 8
    assert not pauses or served[0] == pauses[0]


@given(st.floats(0, 1e9), st.integers(0, 20))
def test_the_returned_wait_is_long_enough(start, extra):
    limit = limiter()
    waits = [limit.wait(GUEST, start) for _ in range(5 + extra)]
    assert waits[-1] > 0
    assert limit.wait(GUEST, start + waits[-1]) == 0
