"""Clocks, so that deciding code takes `now` and tests turn the hands."""

import time
from typing import Protocol


class Clock(Protocol):
    """What time it is."""

    def now(self) -> float:
        """Seconds since the UNIX epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back."""
        ...


class SystemClock:
    """The kernel's clocks."""

    def now(self) -> float:
        """Seconds since the UNIX epoch."""
        return time.time()  # noqa: TID251 - the one place where it is read

    def monotonic(self) -> float:
        """Seconds of CLOCK_MONOTONIC."""
        return time.monotonic()
