"""Waiting for a condition instead of sleeping."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
POLL = 0.02


def eventually(condition: Callable[[], T], deadline: float = 30, what: str = "condition") -> T:
    """Poll `condition` until it is truthy; its value. Fails with `what` after `deadline` s."""
    end = time.monotonic() + deadline
    last: object = None
    while time.monotonic() < end:
        try:
            last = condition()
        except AssertionError as error:
            last = error
        if last and not isinstance(last, AssertionError):
            return last  # type: ignore[return-value]
        time.sleep(POLL)
    raise AssertionError(f"{what} did not come true in {deadline} s; last: {last!r}")
