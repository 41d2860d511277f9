"""A handler that limits the request rate of each guest (`wire.rate_limit`), then calls another."""

import time
from collections.abc import Awaitable, Callable

from a9fe.http.report import Report
from a9fe.runtime.config import Config
from a9fe.wire.message import Answer, Handler, Request
from a9fe.wire.rate_limit import RateLimiter, Window
from a9fe.wire.refusals import Refusal
from a9fe.wire.shares import client_of_request


class RateGate:
    """Answers 429 above the rate. The client is the guest MAC on its listener."""

    def __init__(
        self,
        handler: Handler,
        limiter: RateLimiter,
        report: Report,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` is monotonic, in seconds."""
        self._handler = handler
        self._limiter = limiter
        self._report = report
        self._clock = clock

    def __call__(self, request: Request) -> Answer | Awaitable[Answer]:
        """Answer a request: a Handler."""
        wait = self._limiter.wait(client_of_request(request), self._clock())
        if wait:
            return self._report.refusal(Refusal.RATE_LIMITED, request, retry_after=wait)
        return self._handler(request)


def rate_limited(handler: Handler, config: Config, report: Report) -> Handler:
    """Return the handler of hop 1 within the rate limits of the options."""
    windows = windows_of(config)
    return RateGate(handler, RateLimiter(windows), report) if windows else handler


def windows_of(config: Config) -> tuple[Window, ...]:
    """Return a guest's token bucket, and Neutron's two windows if rate_limit_enabled is on."""
    windows = []
    rate, burst = config.guest_request_rate, config.guest_request_burst
    if rate:
        windows.append(Window(limit=burst, duration=burst / rate))
    if config.rate_limit_enabled:
        windows += [
            Window(limit=config.base_query_rate_limit, duration=config.base_window_duration),
            Window(limit=config.burst_query_rate_limit, duration=config.burst_window_duration),
        ]
    return tuple(windows)
