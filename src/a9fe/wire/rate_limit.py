"""Whether one more request of a guest is within the rate limit. Pure: takes the time.

Options are Neutron's: at most `base_query_rate_limit` requests in `base_window_duration` seconds,
and at most `burst_query_rate_limit` in `burst_window_duration`. Each is a bucket of as many tokens
that fills evenly over its window (the generic cell rate algorithm, ITU-T I.371). A denied request
takes no token, so that a guest that polls recovers; Neutron's haproxy counts denied ones too.
"""

import math
from dataclasses import dataclass

MAX_GUESTS = 10_240  # entries kept, as Neutron's stick table; ~200 bytes each

Key = tuple[str, str]  # a client as in wire.shares


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """At most `limit` requests at once, refilled over `duration` seconds. Both above zero."""

    limit: int
    duration: float

    def __post_init__(self) -> None:
        """A window that admits nothing is a mistake of configuration."""
        if self.limit <= 0 or self.duration <= 0:
            raise ValueError(f"rate limit window must be above zero: {self}")

    @property
    def interval(self) -> float:
        """Seconds that one request costs."""
        return self.duration / self.limit


# A guest's state: for each window, the time at which its bucket is full again.
_Full = tuple[float, ...]


class RateLimiter:
    """Decides for every guest by its own buckets; remembers at most `capacity` guests.

    A full table forgets the guest that asked longest ago: that errs on the side of serving.
    """

    __slots__ = ("_capacity", "_full", "_windows")

    def __init__(self, windows: tuple[Window, ...], capacity: int = MAX_GUESTS) -> None:
        """`windows` all have to agree to a request."""
        self._windows = windows
        self._capacity = capacity
        self._full: dict[Key, _Full] = {}

    def __len__(self) -> int:
        """Guests remembered."""
        return len(self._full)

    def wait(self, key: Key, now: float) -> int:
        """0 where a request at `now` is admitted (and counted), else whole seconds to wait.

        `now` is monotonic, in seconds.
        """
        before = self._full.pop(key, None)
        full = tuple(max(t, now) for t in before) if before else (now,) * len(self._windows)
        wait = max(
            t + window.interval - window.duration - now
            for t, window in zip(full, self._windows, strict=True)
        )
        if wait <= 1e-9:  # rounding of floats must not cost the last token
            full = tuple(
                t + window.interval for t, window in zip(full, self._windows, strict=True)
            )
            wait = 0.0
        self._remember(key, full)
        return math.ceil(wait)

    def _remember(self, key: Key, full: _Full) -> None:
        if len(self._full) >= self._capacity:
            del self._full[next(iter(self._full))]
        self._full[key] = full
