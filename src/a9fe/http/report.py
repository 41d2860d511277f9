"""Counters and log lines of refusals and answers, for one process of the data path.

Log lines are bounded per reason and second, so that a guest cannot fill the disk.
"""

import itertools
import secrets
import sys
import time
from collections.abc import Callable, Mapping, Sized
from types import MappingProxyType
from typing import Protocol

import structlog

from a9fe.http import trace as traces
from a9fe.http.access_log import AccessLog
from a9fe.runtime import metrics
from a9fe.runtime.config import Config
from a9fe.wire.message import Answer, Request
from a9fe.wire.refusals import Refusal, refuse

LINES_PER_SECOND = 20  # of one reason; the next second's line has the number of suppressed ones
EVERY = sys.maxsize  # line of the access log
NO_FACTS: Mapping[str, str] = MappingProxyType({})
ID_BITS = 48  # 12 hex digits

log = structlog.get_logger("a9fe.http")


class Counters(Protocol):
    """The counters; `runtime.metrics` implements them."""

    def refused(self, process: str, refusal: Refusal) -> None:
        """Count a request that this process refused."""
        ...

    def answered(self, process: str, status: int) -> None:
        """Count an answer, refusals included."""
        ...


class RequestIds:
    """Request ids: 12 hex digits, not repeated in a process."""

    __slots__ = ("_next",)

    def __init__(self) -> None:
        """Start at a random number, so that processes do not repeat each other's ids."""
        self._next = itertools.count(secrets.randbits(ID_BITS))

    def new(self) -> bytes:
        """Return the next id; note it in the trace of the request."""
        id = b"%012x" % (next(self._next) & ((1 << ID_BITS) - 1))
        if traces.current is not None:
            traces.current.id = id
        return id


class Report:
    """Counts and logs the refusals and answers of one process."""

    def __init__(
        self,
        process: str,
        counters: Counters,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` is monotonic, in seconds."""
        self.access: AccessLog | None = None
        """Times and logs what is answered, if a server has it."""
        self.connections: list[Sized] = []
        """Each server's connections, and in `listeners` its sockets, to count them."""
        self.listeners: list[Sized] = []
        self._process = process
        self._counters = counters
        self._clock = clock
        self._lines: dict[Refusal, tuple[int, int]] = {}
        self.ids = RequestIds()

    def answered(self, status: int) -> None:
        """Count an answer."""
        self._counters.answered(self._process, status)

    def refused(
        self,
        refusal: Refusal,
        request_id: bytes,
        request: Request | None = None,
        facts: Mapping[str, str] = NO_FACTS,
    ) -> None:
        """Count and log a refusal. `facts` are further keys of its log line."""
        self._counters.refused(self._process, refusal)
        suppressed = self._suppressed(refusal)
        if suppressed is None:
            return
        held_back = {"suppressed": str(suppressed)} if suppressed else NO_FACTS
        log.warning(
            "refused",
            reason=refusal.label,
            status=refusal.value.status,
            why=refusal.value.why,
            request=request_id.decode("latin-1"),
            **{**_facts_of(request), **facts, **held_back},
        )

    def refusal(
        self,
        refusal: Refusal,
        request: Request | None = None,
        *,
        request_id: bytes = b"",
        retry_after: int | None = None,
        facts: Mapping[str, str] = NO_FACTS,
    ) -> Answer:
        """Count and log a refusal, and return its answer."""
        request_id = request_id or self.ids.new()
        self.refused(refusal, request_id, request, facts)
        return refuse(refusal, request_id.decode("latin-1"), retry_after=retry_after)

    def _suppressed(self, refusal: Refusal) -> int | None:
        """Return how many lines were suppressed before this one; None to suppress this one."""
        second = int(self._clock())
        then, count = self._lines.get(refusal, (second, 0))
        if then == second:
            self._lines[refusal] = (second, count + 1)
            return 0 if count < LINES_PER_SECOND else None
        self._lines[refusal] = (second, 1)
        return max(0, count - LINES_PER_SECOND)


def _facts_of(request: Request | None) -> dict[str, str]:
    if request is None:
        return {}
    facts = {
        "method": request.method.decode("latin-1"),
        "target": request.target[:256].decode("latin-1"),
        "client_address": request.client_address,
    }
    if request.listener is not None:
        facts["listener"] = request.listener.key
    return facts


def report_of(config: Config, process: str) -> Report:
    """Return the report of a process, with its metrics and the access log of the options.

    With debug on, every request has a line.
    """
    report = Report(process, metrics)
    rate = EVERY if config.debug else config.access_log_rate
    report.access = AccessLog(process, metrics, rate, new_id=report.ids.new)
    metrics.CONNECTIONS.labels(process).set_function(lambda: sum(map(len, report.connections)))
    metrics.LISTENERS.labels(process).set_function(lambda: sum(map(len, report.listeners)))
    return report


class _NoCounters:
    """Counters that count nothing."""

    def refused(self, process: str, refusal: Refusal) -> None:
        """Do nothing."""

    def answered(self, process: str, status: int) -> None:
        """Do nothing."""


def silent_report(process: str = "http") -> Report:
    """Return a report that logs and does not count."""
    return Report(process, _NoCounters())
