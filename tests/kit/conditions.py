"""Waiting for a condition instead of sleeping."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import TypeVar

T = TypeVar("T")
POLL = 0.02
LOOP_POLL = 0.002


def eventually(condition: Callable[[], T], deadline: float = 30, what: str = "condition") -> T:
    """Poll `condition` until it is truthy and return it; fail with `what` after `deadline` s."""
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


async def comes_true(
    condition: Callable[[], object | Awaitable[object]], what: str, deadline: float = 60
) -> None:
    """As `eventually`, in an event loop; `condition` may be a coroutine function."""
    try:
        async with asyncio.timeout(deadline):
            while not await _now(condition):  # noqa: ASYNC110 - inside of the code under test
                await asyncio.sleep(LOOP_POLL)
    except TimeoutError:
        raise AssertionError(f"{what} did not come true in {deadline} s") from None


async def _now(condition: Callable[[], object | Awaitable[object]]) -> object:
    found = condition()
    return await found if isawaitable(found) else found
