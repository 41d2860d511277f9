"""Bounds the number and length of repeated log lines.

Otherwise a defect in every request would write a traceback for each.
"""

import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import structlog

TRACE_INTERVAL = 60.0  # s between two tracebacks of one place
LINES = 20
LINES_INTERVAL = 10.0
"""At most LINES lines of one event in LINES_INTERVAL seconds."""
KINDS_MAX = 256  # places and events that are remembered
TEXT_MAX = 2048  # characters of one value
TRACE_MAX = 16 * 1024  # characters of one traceback
BOUNDED = frozenset({"warning", "error", "critical"})

Event = dict[str, Any]


@dataclass(slots=True)
class _Seen:
    since: float
    said: int = 0
    held_back: int = 0


class Repeats:
    """Decides which events are logged. Safe in threads."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """`monotonic` in seconds."""
        self._monotonic = monotonic
        self._seen: OrderedDict[object, _Seen] = OrderedDict()
        self._lock = threading.Lock()

    def bound(self, event: Event) -> Event:
        """The event, shortened; raises structlog.DropEvent for one too many.

        Of a traceback that was logged lately only its last line is kept. What was held back is
        counted in the next line of its kind: `held_back`.
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
        """None where that kind was said enough, else how often it was held back."""
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
            if seen.said >= lines:
                seen.held_back += 1
                return None
            seen.said += 1
            return held_back


def _error_of(exc_info: object) -> BaseException | None:
    """The exception, in any of the forms in which logging takes it."""
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
    """The event, the text of its traceback within TRACE_MAX: both of its ends are kept."""
    trace = event.get("exception")
    if isinstance(trace, str) and len(trace) > TRACE_MAX:
        half = TRACE_MAX // 2
        event["exception"] = f"{trace[:half]}\n... (shortened)\n{trace[-half:]}"
    return event
