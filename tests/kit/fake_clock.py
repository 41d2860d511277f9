"""A clock that tests set."""

from dataclasses import dataclass

START = 1_795_000_000.0  # s since the UNIX epoch, in November 2026


@dataclass(kw_only=True)
class FakeClock:
    """Stands still at `at` s until a test turns it. Both clocks of runtime.clock show `at`."""

    at: float = START

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    def turn(self, seconds: float) -> None:
        self.at += seconds
