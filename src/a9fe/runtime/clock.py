"""Clocks, passed as values so that tests control the time."""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time and monotonic time."""

    def now(self) -> float:
        """Seconds since the UNIX epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds since an unspecified moment; never decreases."""
        ...


class SystemClock:
    """The kernel's clocks: CLOCK_REALTIME and CLOCK_MONOTONIC."""

    def now(self) -> float:
        """Seconds since the UNIX epoch."""
        return time.time()  # noqa: TID251 - the only place that reads it

    def monotonic(self) -> float:
        """Seconds of CLOCK_MONOTONIC."""
        return time.monotonic()
