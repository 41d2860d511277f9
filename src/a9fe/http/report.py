"""How a process of the data path tells what it refused: one counter and one line each.

Lines are bounded per reason and second, so that a guest cannot fill the disk; counters are not.
"""

import itertools
import secrets
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

import structlog

from a9fe.wire.message import Answer, Request
from a9fe.wire.refusals import Refusal, refuse

LINES_PER_SECOND = 20  # of one reason; more are counted and summed up in the next line
NO_FACTS: Mapping[str, str] = MappingProxyType({})
ID_BITS = 48  # 12 hex digits

log = structlog.get_logger("a9fe.http")


class Counters(Protocol):
    """What counts; `runtime.metrics` is one."""

    def refused(self, process: str, refusal: Refusal) -> None:
        """A request was refused by us."""
        ...

    def answered(self, process: str, status: int) -> None:
        """A request was answered, refusals included."""
        ...


class RequestIds:
    """Ids that join a guest's console to our log: 12 hex digits, not repeated in a process."""

    __slots__ = ("_next",)

    def __init__(self) -> None:
        """Begin anywhere, so that two processes do not meet."""
        self._next = itertools.count(secrets.randbits(ID_BITS))

    def new(self) -> bytes:
        """The next id."""
        return b"%012x" % (next(self._next) & ((1 << ID_BITS) - 1))


class Report:
    """Counts and logs for one process."""

    def __init__(
        self, process: str, counters: Counters, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock` is monotonic, in seconds."""
        self._process = process
        self._counters = counters
        self._clock = clock
        self._spoken: dict[Refusal, tuple[int, int]] = {}
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
        """Count a refusal and say why. `facts` are further keys of its log line."""
        self._counters.refused(self._process, refusal)
        suppressed = self._may_speak(refusal)
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
        """Refuse: counter, log line and the answer in one."""
        request_id = request_id or self.ids.new()
        self.refused(refusal, request_id, request, facts)
        return refuse(refusal, request_id.decode("latin-1"), retry_after=retry_after)

    def _may_speak(self, refusal: Refusal) -> int | None:
        """None where this second has heard enough of it, else how many were held back."""
        second = int(self._clock())
        then, spoken = self._spoken.get(refusal, (second, 0))
        if then == second:
            self._spoken[refusal] = (second, spoken + 1)
            return 0 if spoken < LINES_PER_SECOND else None
        self._spoken[refusal] = (second, 1)
        return max(0, spoken - LINES_PER_SECOND)


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


class _NoCounters:
    """Counts nothing: for a server on its own."""

    def refused(self, process: str, refusal: Refusal) -> None:
        """Nothing."""

    def answered(self, process: str, status: int) -> None:
        """Nothing."""


def silent_report(process: str = "http") -> Report:
    """A report that logs and does not count."""
    return Report(process, _NoCounters())
