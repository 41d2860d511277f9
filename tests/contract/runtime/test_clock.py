"""Clocks: what FakeClock and SystemClock both do."""

import pytest

from a9fe.runtime.clock import Clock, SystemClock
from tests.kit.fake_clock import FakeClock

A_YEAR_AGO = 1_700_000_000.0


@pytest.mark.parametrize("clock", [FakeClock(), SystemClock()], ids=["fake", "system"])
def test_the_time_of_day_is_unix_time_and_the_other_never_goes_back(clock: Clock) -> None:
    assert clock.now() > A_YEAR_AGO
    assert clock.monotonic() <= clock.monotonic()
