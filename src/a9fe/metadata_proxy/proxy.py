"""The proxy as a handler: rate limit, relay, upstream."""

import time
from collections.abc import Awaitable, Callable

import structlog

from a9fe.http.report import Report
from a9fe.http.server.fair_handler import FairHandler
from a9fe.http.upstream.errors import UpstreamError
from a9fe.metadata_proxy.relay import request_for_agent
from a9fe.wire.limits import AT_ONCE, REFUSED_PAUSE, WAITING
from a9fe.wire.message import Answer, Handler, Listener, Request
from a9fe.wire.rate_limit import RateLimiter
from a9fe.wire.refusals import Refusal
from a9fe.wire.shares import Client, client_of

log = structlog.get_logger("a9fe.metadata_proxy")

Watcher = Callable[[Request, Request, int, float], None]
"""Called with each request: the guest's, the one sent to the agent, status, seconds."""


class MetadataProxy:
    """Rate limit, trusted headers, upstream. The server answers for a failed upstream."""

    def __init__(
        self,
        upstream: Handler,
        report: Report,
        limiter: RateLimiter | None = None,
        watcher: Watcher | None = None,
    ) -> None:
        """`limiter` None: no limit. `watcher` is for debugging: it costs a task a request."""
        self._upstream = upstream
        self._report = report
        self._limiter = limiter
        self._watcher = watcher

    def handle(self, request: Request) -> Answer | Awaitable[Answer]:
        """Answer a request: the Handler."""
        listener = request.listener
        if listener is None:
            raise TypeError("the proxy serves listeners only: this socket has none")
        request_id = self._report.ids.new()
        if self._limiter is not None:
            wait = self._limiter.wait(client_of_request(request), time.monotonic())
            if wait:
                return self._report.refusal(
                    Refusal.RATE_LIMITED, request, request_id=request_id, retry_after=wait
                )
        return self._send_on(request, listener, request_id)

    def _send_on(
        self, request: Request, listener: Listener, request_id: bytes
    ) -> Answer | Awaitable[Answer]:
        outgoing = request_for_agent(request, listener, request_id)
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


def client_of_request(request: Request) -> Client:
    """Return the client for fair queueing and the rate limit."""
    return client_of(request.listener, request.client_mac, request.client_address)


def fair_handler_of(proxy: MetadataProxy, report: Report) -> FairHandler:
    """Return the proxy's handler behind a fair queue. Call it inside a running loop."""
    return FairHandler(
        proxy.handle,
        client_of_request,
        report.refusal,
        limits=AT_ONCE,
        waiting=WAITING,
        pause=REFUSED_PAUSE,
    )


def log_request(request: Request, outgoing: Request, status: int, seconds: float) -> None:
    """Log a request at debug level: a Watcher."""
    sent = dict(outgoing.headers)
    log.debug(
        "request",
        method=request.method.decode("latin-1"),
        target=request.target[:256].decode("latin-1"),
        client_address=request.client_address,
        listener=request.listener.key if request.listener else "",
        status=status,
        ms=round(seconds * 1000, 2),
        request=sent.get(b"x-a9fe-request-id", b"").decode("latin-1"),
    )
