"""The rate limit of requests, per client. Pure: the time is an argument.

A bucket lets `limit` requests pass at once and fills evenly over its duration (the generic cell
rate algorithm, ITU-T I.371). A request must be within each bucket. A denied request takes no
token, so that a client that polls recovers; Neutron's haproxy counts denied ones too.
"""

import math
from dataclasses import dataclass

from a9fe.wire.shares import Client

MAX_CLIENTS = 10_240  # as Neutron's stick table; ~200 bytes each
_ROUNDING = 1e-9  # seconds: rounding must not deny the last token


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
_Full = list[float]


class RateLimiter:
    """Buckets of each client. A request costs O(windows), whatever the number of clients.

    Clients are remembered in two tables. A client without a request for the longest duration has
    full buckets, and is forgotten with the older table. A full table becomes the older one: so a
    client may be forgotten early, and is admitted then rather than denied.
    """

    __slots__ = ("_capacity", "_longest", "_older", "_recent", "_turns_at", "_windows")

    def __init__(self, windows: tuple[Window, ...], capacity: int = MAX_CLIENTS) -> None:
        """A request must be within each of the `windows`. `capacity`: clients of one table."""
        self._capacity = capacity
        self._longest = max(window.duration for window in windows)
        self._windows = tuple(
            (at, window.interval, window.duration - window.interval + _ROUNDING)
            for at, window in enumerate(windows)
        )
        self._recent: dict[Client, _Full] = {}
        self._older: dict[Client, _Full] = {}
        self._turns_at = -math.inf

    def __len__(self) -> int:
        """Return the number of clients remembered."""
        return len(self._recent) + len(self._older)

    def wait(self, client: Client, now: float) -> int:
        """Admit and count a request (0), or return the whole seconds to wait.

        `now` is monotonic, in seconds.
        """
        if now >= self._turns_at:
            self._turn(now)
        full = self._recent.get(client) or self._enter(client, now)
        for at, _, room in self._windows:
            if full[at] - now > room:
                return self._denied(full, now)
        for at, interval, _ in self._windows:
            until = full[at]
            full[at] = (until if until > now else now) + interval
        return 0

    def _denied(self, full: _Full, now: float) -> int:
        return math.ceil(max(full[at] - now - room for at, _, room in self._windows))

    def _turn(self, now: float) -> None:
        """Forget the clients of the older table."""
        self._older, self._recent = self._recent, {}
        self._turns_at = now + self._longest

    def _enter(self, client: Client, now: float) -> _Full:
        """Return the state of a client that the recent table lacks, and remember it there."""
        full = self._older.pop(client, None) or [now] * len(self._windows)
        if len(self._recent) >= self._capacity:
            self._turn(now)
        self._recent[client] = full
        return full
