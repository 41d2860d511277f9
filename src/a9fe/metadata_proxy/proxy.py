"""The proxy as a handler: relay, upstream."""

import time
from collections.abc import Awaitable, Callable

from a9fe.http.report import Report
from a9fe.http.server.fair_handler import FairHandler
from a9fe.http.upstream.errors import UpstreamError
from a9fe.metadata_proxy.relay import request_for_agent
from a9fe.wire.limits import AT_ONCE, REFUSED_PAUSE, WAITING
from a9fe.wire.message import Answer, Handler, Request
from a9fe.wire.shares import client_of_request

Watcher = Callable[[Request, Request, int, float], None]
"""Called with each request: the guest's, the one sent to the agent, status, seconds."""


class MetadataProxy:
    """Trusted headers, upstream. The server answers for a failed upstream."""

    def __init__(self, upstream: Handler, report: Report, watcher: Watcher | None = None) -> None:
        """`watcher` is for debugging: it costs a task a request."""
        self._upstream = upstream
        self._report = report
        self._watcher = watcher

    def handle(self, request: Request) -> Answer | Awaitable[Answer]:
        """Answer a request: the Handler."""
        listener = request.listener
        if listener is None:
            raise TypeError("the proxy serves listeners only: this socket has none")
        outgoing = request_for_agent(request, listener, self._report.ids.new())
        result = self._upstream(outgoing)
        if self._watcher is None or isinstance(result, Answer):
            return result
        return self._watched(request, outgoing, result, self._watcher)

    async def _watched(
        self, request: Request, outgoing: Request, result: Awaitable[Answer], watcher: Watcher
    ) -> Answer:
        began = time.monotonic()
        try:
            answer = await result
        except UpstreamError as error:
            watcher(request, outgoing, error.refusal.value.status, time.monotonic() - began)
            raise
        watcher(request, outgoing, answer.status, time.monotonic() - began)
        return answer


def fair_handler_of(handler: Handler, report: Report) -> FairHandler:
    """Return a guest's handler behind a fair queue. Call it inside a running loop."""
    return FairHandler(
        handler,
        client_of_request,
        report.refusal,
        limits=AT_ONCE,
        waiting=WAITING,
        pause=REFUSED_PAUSE,
    )
