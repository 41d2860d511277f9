"""Running a process's main task until a signal, and restarting tasks that fail."""

import asyncio
import importlib
import random
import signal
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from a9fe.runtime import metrics


def _event_loop() -> asyncio.AbstractEventLoop:
    """Make an event loop: uvloop's, or asyncio's if uvloop is not installed."""
    try:
        uvloop = importlib.import_module("uvloop")
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


T = TypeVar("T")
log = structlog.get_logger()
_dice = random.SystemRandom()
_kept: set[asyncio.Task[Any]] = set()  # the event loop keeps only weak references


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Delays between retries, in s: `first`, doubled after each failure up to `ceiling`."""

    first: float = 0.2
    ceiling: float = 10.0

    def delay(self, failures: int, dice: float) -> float:
        """The delay after that many failures in a row, scaled to 50-100 % by `dice` in [0, 1)."""
        whole = min(self.ceiling, self.first * 2.0 ** min(failures - 1, 30))
        return whole * (0.5 + dice / 2)


def jittered(backoff: Backoff, failures: int) -> float:
    """Return a random delay in s after that many failures in a row."""
    return backoff.delay(failures, _dice.random())


def run(
    main: Callable[[], Awaitable[None]],
    told: Callable[[signal.Signals], None] = lambda _number: None,
) -> None:
    """Run `main` until it returns, or until SIGTERM or SIGINT cancels it; `told` first which."""
    with asyncio.Runner(loop_factory=_event_loop) as runner:
        runner.run(_until_signalled(main, told))


async def _until_signalled(
    main: Callable[[], Awaitable[None]], told: Callable[[signal.Signals], None]
) -> None:
    task = asyncio.ensure_future(main())
    stopping = asyncio.Event()

    def stop(number: signal.Signals) -> None:
        told(number)
        stopping.set()
        task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    try:
        await task
    except asyncio.CancelledError:
        if not stopping.is_set():
            raise


def spawn(coroutine: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
    """Start a background task. It is not garbage-collected, and its failure is logged."""
    task = asyncio.get_running_loop().create_task(coroutine, name=name)
    _kept.add(task)
    task.add_done_callback(_ended)
    return task


def _ended(task: asyncio.Task[Any]) -> None:
    _kept.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("task failed", task=task.get_name(), exc_info=error)


async def supervise(
    name: str, factory: Callable[[], Awaitable[None]], backoff: Backoff | None = None
) -> None:
    """Run `factory()` until it returns; if it raises, log it, wait, and run it again."""
    backoff = backoff or Backoff()
    loop = asyncio.get_running_loop()
    failures = 0
    while True:
        began = loop.time()
        try:
            await factory()
        except Exception:
            failures = 1 if loop.time() - began > backoff.ceiling else failures + 1
            delay = jittered(backoff, failures)
            metrics.RESTARTS.labels(name).inc()
            log.exception("task failed, trying again", task=name, again_in=round(delay, 2))
            await asyncio.sleep(delay)
        else:
            return
