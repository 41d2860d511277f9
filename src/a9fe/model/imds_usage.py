"""Counts of an instance's metadata requests with and without a token. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ImdsUsage:
    """Numbers of an instance's requests without (v1) and with (v2) a token.

    The times of the last requests are ISO 8601 UTC; "" for never.
    """

    instance_id: str
    v1_requests: int = 0
    v2_requests: int = 0
    v1_last_at: str = ""
    v2_last_at: str = ""

    def plus(self, more: "ImdsUsage") -> "ImdsUsage":
        """Return the sum of the counts, with the later times."""
        return ImdsUsage(
            instance_id=self.instance_id,
            v1_requests=self.v1_requests + more.v1_requests,
            v2_requests=self.v2_requests + more.v2_requests,
            v1_last_at=max(self.v1_last_at, more.v1_last_at),
            v2_last_at=max(self.v2_last_at, more.v2_last_at),
        )
