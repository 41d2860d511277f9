"""The rate limit of requests, per client. Pure: the time is an argument.

Options are Neutron's: at most `base_query_rate_limit` requests in `base_window_duration` seconds,
and at most `burst_query_rate_limit` in `burst_window_duration`. Each is a bucket of as many tokens
that fills evenly over its window (the generic cell rate algorithm, ITU-T I.371). A denied request
takes no token, so that a client that polls recovers; Neutron's haproxy counts denied ones too.
"""

import math
from dataclasses import dataclass

from a9fe.wire.shares import Client

MAX_CLIENTS = 10_240  # entries kept, as Neutron's stick table; ~200 bytes each


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """At most `limit` requests at once, refilled over `duration` seconds. Both above zero."""

    limit: int
    duration: float

    def __post_init__(self) -> None:
        """Raise ValueError for a window that admits nothing."""
        if self.limit <= 0 or self.duration <= 0:
            raise ValueError(f"rate limit window must be above zero: {self}")

    @property
    def interval(self) -> float:
        """Return the seconds in which one token fills up."""
        return self.duration / self.limit


# A client's state: for each window, the time at which its bucket is full again.
_Full = tuple[float, ...]


class RateLimiter:
    """Buckets of at most `capacity` clients.

    A full table forgets the client with the oldest request, and so admits rather than denies.
    """

    __slots__ = ("_capacity", "_full", "_windows")

    def __init__(self, windows: tuple[Window, ...], capacity: int = MAX_CLIENTS) -> None:
        """A request must be within each of the `windows`."""
        self._windows = windows
        self._capacity = capacity
        self._full: dict[Client, _Full] = {}

    def __len__(self) -> int:
        """Return the number of clients remembered."""
        return len(self._full)

    def wait(self, client: Client, now: float) -> int:
        """Admit and count a request (0), or return the whole seconds to wait.

        `now` is monotonic, in seconds.
        """
        before = self._full.pop(client, None)
        full = tuple(max(t, now) for t in before) if before else (now,) * len(self._windows)
        wait = max(
            t + window.interval - window.duration - now
            for t, window in zip(full, self._windows, strict=True)
        )
        if wait <= 1e-9:  # rounding must not deny the last token
            full = tuple(
                t + window.interval for t, window in zip(full, self._windows, strict=True)
            )
            wait = 0.0
        self._remember(client, full)
        return math.ceil(wait)

    def _remember(self, client: Client, full: _Full) -> None:
        if len(self._full) >= self._capacity:
            del self._full[next(iter(self._full))]
        self._full[client] = full
