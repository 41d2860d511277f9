"""Bursts of requests by wrk, and what their answers cost."""

import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from bench.observe import cpu_seconds

UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6}


@dataclass(frozen=True, slots=True)
class Burst:
    """Answers a second, CPU microseconds an answer of each process, median latency in us."""

    rate: float
    cpu: tuple[float, ...]
    latency: float

    @property
    def total(self) -> float:
        return sum(self.cpu)


def burst(
    arguments: Sequence[str], seconds: float, pids: Sequence[int], before: Sequence[str] = ()
) -> Burst:
    """Run wrk with these arguments, and measure these processes. `before`: words before it."""
    command = [*before, "wrk", f"-d{seconds:.0f}", "--latency", *arguments]
    used = [cpu_seconds([pid]) for pid in pids]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    spent = [cpu_seconds([pid]) - b for pid, b in zip(pids, used, strict=True)]
    answers = re.search(r"(\d+) requests in", said)
    latency = re.search(r"50%\s+([\d.]+)(us|ms|s)", said)
    if not answers or not latency or "Non-2xx" in said:
        sys.exit(f"{' '.join(command)}: {said}")
    count = int(answers[1])
    return Burst(
        rate=count / seconds,
        cpu=tuple(s / count * 1e6 for s in spent),
        latency=float(latency[1]) * UNITS[latency[2]],
    )
