"""Limits on repeated and long log lines.

Without them a defect in the path of every request would log a traceback for each.
"""

import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import structlog

TRACE_INTERVAL = 60.0  # s between two tracebacks from one place in the code
LINES = 20
LINES_INTERVAL = 10.0
"""At most LINES lines of one event in LINES_INTERVAL seconds."""
KINDS_MAX = 256  # places and events counted at once
TEXT_MAX = 2048  # characters of one value
TRACE_MAX = 16 * 1024  # characters of one traceback
BOUNDED = frozenset({"warning", "error", "critical"})

Event = dict[str, Any]


@dataclass(slots=True)
class _Seen:
    since: float
    logged: int = 0
    held_back: int = 0


class LogLimits:
    """Decides which events are logged. Thread-safe."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """`monotonic` returns seconds."""
        self._monotonic = monotonic
        self._seen: OrderedDict[object, _Seen] = OrderedDict()
        self._lock = threading.Lock()

    def bound(self, event: Event) -> Event:
        """Return the event, shortened. Raises structlog.DropEvent if the limit is reached.

        A traceback that was logged within TRACE_INTERVAL becomes its last line. `held_back` counts
        the events of this kind that were dropped since the last line.
        """
        error = _error_of(event.get("exc_info"))
        if error is not None:
            place = (type(error).__name__, _place_of(error.__traceback__))
            if self._take(("trace", place), 1, TRACE_INTERVAL) is None:
                del event["exc_info"]
                event["error"] = f"{type(error).__name__}: {error}"
                event["at"] = place[1]
        if event.get("level") in BOUNDED:
            kind = (event["level"], event.get("logger") or event.get("event"))
            held_back = self._take(kind, LINES, LINES_INTERVAL)
            if held_back is None:
                raise structlog.DropEvent
            if held_back:
                event["held_back"] = held_back
        return {name: _short(value) for name, value in event.items()}

    def _take(self, kind: object, lines: int, interval: float) -> int | None:
        """Return how many of this kind were dropped since the last line; None: drop this one."""
        now = self._monotonic()
        with self._lock:
            seen = self._seen.pop(kind, None) or _Seen(now)
            if now - seen.since >= interval:
                held_back, seen = seen.held_back, _Seen(now)
            else:
                held_back = 0
            self._seen[kind] = seen
            if len(self._seen) > KINDS_MAX:
                self._seen.popitem(last=False)
            if seen.logged >= lines:
                seen.held_back += 1
                return None
            seen.logged += 1
            return held_back


def _error_of(exc_info: object) -> BaseException | None:
    """Return the exception of `exc_info`, which logging accepts in several forms."""
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return exc_info[1] if isinstance(exc_info[1], BaseException) else None
    return sys.exc_info()[1] if exc_info else None


def _place_of(trace: TracebackType | None) -> str:
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""


def _short(value: object) -> object:
    if isinstance(value, str) and len(value) > TEXT_MAX:
        return f"{value[:TEXT_MAX]}... ({len(value)} characters)"
    return value


def short_trace(event: Event) -> Event:
    """Return the event with its traceback cut to TRACE_MAX in the middle."""
    trace = event.get("exception")
    if isinstance(trace, str) and len(trace) > TRACE_MAX:
        half = TRACE_MAX // 2
        event["exception"] = f"{trace[:half]}\n... (shortened)\n{trace[-half:]}"
    return event
