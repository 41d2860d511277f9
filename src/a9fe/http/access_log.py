"""The time of each request, and the access log: a line for each of the first in a second.

The lines are bounded in a second and for one client, so that neither load nor a guest can fill the
disk or hide the others; those not logged are counted. A request that is not logged costs two
readings of the clock and one of a counter.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

import structlog

from a9fe.http import trace as traces
from a9fe.http.trace import Trace
from a9fe.http.upstream.errors import UpstreamError
from a9fe.wire.message import Answer, Handler, Request
from a9fe.wire.shares import Client, client_of_request
from a9fe.wire.trusted import INSTANCE_ID, OWNER, REQUEST_ID

SECOND = 1.0
CLIENTS_SHARE = 4
"""One guest gets at most this part of the lines in a second: a quarter. Only the hop that it
connects to knows it; the client of the others is the hop before, which is not bounded."""
TARGET_MAX = 256  # bytes of a target in a line

FIELDS = {
    "request": "the request id, the same at each hop; a guest gets it with a refusal. In the host"
    " shape the line of an answer has an id of its own",
    "port": "the id of the VM's port, if the request was answered for one",
    "instance": "the id of the VM's instance, if known to this hop",
    "network": "the id of the network, at the hop that guests connect to",
    "router": "the id of the router, if a proxy of Neutron's does not say the network",
    "client_address": "the guest's address, at the hop that it connects to",
    "method": "the method",
    "path": f"the target as sent, query included; at most {TARGET_MAX} bytes",
    "status": "the status of the answer",
    "bytes": "bytes of the answer's body",
    "ms": "milliseconds from the whole request to the answer, in this process and those behind it",
    "queue_ms": "of it, until the request's turn came (fair queue)",
    "identify_ms": "of it, until its port was found, in the process that looks it up",
    "render_ms": "of it, from there to the answer; in the split shape this is the next hop's time",
    "not_logged": "requests that were not logged since the line before",
}
"""The fields of a line, in order; those that a hop does not know are left out."""

log = structlog.get_logger("a9fe.http")

Note = Callable[[float], None]
"""Count a duration in seconds."""


class Durations(Protocol):
    """The histograms; `runtime.metrics` implements them."""

    def duration(self, process: str, part: str) -> Note:
        """Return the counter of durations of a part of this process's requests."""
        ...


class AccessLog:
    """Times and logs the requests of one process, which may have several handlers."""

    def __init__(
        self,
        process: str,
        durations: Durations,
        lines: int = 0,
        clock: Callable[[], float] = time.monotonic,
        new_id: Callable[[], bytes] = bytes,
    ) -> None:
        """`lines`: the most in a second; 0: no log. `clock` is monotonic, in seconds.

        `new_id` makes the id of a line whose request has none.
        """
        self._new_id = new_id
        self._lines = lines
        self._of_one = max(1, lines // CLIENTS_SHARE)
        self._clock = clock
        self._whole = durations.duration(process, "whole")
        self._parts = {
            part: durations.duration(process, part) for part in ("queue", "identify", "render")
        }
        self._left = 0
        self._until = 0.0
        self._of_client: dict[Client, int] = {}  # lines of this second
        self._not_logged = 0

    def of(self, handler: Handler) -> Handler:
        """Return a handler that answers with `handler`, and times and logs it."""
        return partial(self._handle, handler)

    def _handle(self, handler: Handler, request: Request) -> Answer | Awaitable[Answer]:
        began = self._clock()
        trace = self._trace(request, began) if self._lines else None
        if trace is None:
            result = handler(request)
            if isinstance(result, Answer):
                self._whole(self._clock() - began)
                return result
        else:
            traces.current = trace
            try:
                result = handler(request)
            finally:
                traces.current = None
        if isinstance(result, Answer):
            self._answered(request, result, began, trace)
            return result
        future = asyncio.ensure_future(result)
        future.add_done_callback(partial(self._later, request, began, trace))
        return future

    def _trace(self, request: Request, now: float) -> Trace | None:
        """Return the trace of a request that will be logged; None: count it as not logged."""
        if now >= self._until:
            self._until, self._left = now + SECOND, self._lines
            self._of_client.clear()
        if self._left:
            client = client_of_request(request)
            lines = self._of_client.get(client, 0)
            if lines < self._of_one or request.listener is None:
                self._of_client[client] = lines + 1
                self._left -= 1
                return Trace(now)
        self._not_logged += 1
        return None

    def _answered(
        self, request: Request, answer: Answer, began: float, trace: Trace | None
    ) -> None:
        ended = self._clock()
        self._whole(ended - began)
        if trace is not None:
            self._log(request, answer, trace, ended)

    def _later(
        self, request: Request, began: float, trace: Trace | None, done: asyncio.Future[Answer]
    ) -> None:
        """Count and log an awaited answer. A client that has gone gets none."""
        if done.cancelled():
            return
        error = done.exception()
        if error is None:
            self._answered(request, done.result(), began, trace)
        elif isinstance(error, UpstreamError):
            answer = Answer(status=error.refusal.value.status)
            self._answered(request, answer, began, trace)

    def _log(self, request: Request, answer: Answer, trace: Trace, ended: float) -> None:
        facts: dict[str, object] = {
            "request": _id_of(request, answer, trace) or self._new_id().decode("latin-1"),
            **_vm_of(request, answer, trace),
            "method": request.method.decode("latin-1"),
            "path": request.target[:TARGET_MAX].decode("latin-1"),
            "status": answer.status,
            "bytes": len(answer.body),
            "ms": _ms(ended - trace.began),
        }
        for part, seconds in parts_of(trace, ended).items():
            self._parts[part](seconds)
            facts[f"{part}_ms"] = _ms(seconds)
        if self._not_logged:
            facts["not_logged"], self._not_logged = self._not_logged, 0
        log.info("request", **facts)


def parts_of(trace: Trace, ended: float) -> dict[str, float]:
    """Return the seconds of each step that the request reached in this process. Pure."""
    parts = {}
    if trace.started:
        parts["queue"] = trace.started - trace.began
    if trace.identified:
        parts["identify"] = trace.identified - (trace.started or trace.began)
        parts["render"] = ended - trace.identified
    return parts


def _id_of(request: Request, answer: Answer, trace: Trace) -> str:
    """Return the id that this hop gave the request or got with it."""
    if trace.id:
        return trace.id.decode("latin-1")
    for name, value in (*request.headers, *answer.headers):
        if name == REQUEST_ID:
            return value.decode("latin-1")
    return ""


def _vm_of(request: Request, answer: Answer, trace: Trace) -> dict[str, str]:
    """Return the VM's port, instance, network and address, as far as this hop knows them."""
    owner = answer.owner or dict(answer.headers).get(OWNER, trace.owner)
    port, _, instance = owner.decode("latin-1").partition("/")
    if not instance:
        instance = b"".join(request.values(INSTANCE_ID)).decode("latin-1")
    listener = request.listener
    network = router = client_address = ""
    if listener is not None:
        client_address = request.client_address
        network = listener.network_id or (listener.id if listener.kind == "network" else "")
        router = "" if network else listener.id
    facts = {
        "port": port,
        "instance": instance,
        "network": network,
        "router": router,
        "client_address": client_address,
    }
    return {name: value for name, value in facts.items() if value}


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
