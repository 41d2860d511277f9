"""One guest floods, its neighbour measures its answers without and with each flood.

The part `./run bench floods`. The neighbour is first on another network, with the same address as
the flooding guest, then on the same network.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.flooder import FLOODS, SMALL
from bench.observe import HOPS, a9fe, create_network, memory, open_files, processes, until, within

NOISY, NEIGHBOURS = "noisy", {"another network": "elsewhere", "the same network": "beside"}
USER_DATA = 49_000  # bytes, of the large documents
QUESTIONS = 300
URL = f"http://169.254.169.254{SMALL.decode()}"


@dataclass(frozen=True, slots=True)
class Asked:
    """A neighbour's results: sorted milliseconds of its answers, and its errors by name."""

    ms: list[float]
    errors: dict[str, int]

    def at(self, part: float) -> float:
        """Return a quantile, in milliseconds."""
        return self.ms[min(len(self.ms) - 1, int(len(self.ms) * part))] if self.ms else 0.0


def page(scratch: Path, count: int, names: list[str]) -> list[str]:
    """Return the part's lines of RESULTS.md."""
    prepare(scratch)
    names = names or list(FLOODS)
    lines = [
        "## One guest floods, its neighbour measures",
        "",
        "Milliseconds of the neighbour's requests, each on a new connection. Both guests share",
        "the cores with the hops: the first row is a load on the CPU without a flood, a lower",
        "bound for the others. The rate limit is off.",
        "",
    ]
    for place, guest in NEIGHBOURS.items():
        lines += [
            f"The neighbour on {place}:",
            "",
            "| flood | p50, p99 without | p50, p99 with | errors | proxy MiB, descriptors |",
            "|---|---|---|---|---|",
        ]
        for name in names:
            lines.append(row(name, guest, count))
            print(lines[-1], flush=True)
        lines.append("")
    return [*lines, "All processes after the floods:", "", *sizes()]


def prepare(scratch: Path) -> None:
    """Create two networks with the same subnet, and three guests."""
    data = scratch / "user-data"
    data.write_text("#!/bin/sh\n".ljust(USER_DATA, "x"))
    for network in ("a", "b"):
        create_network(network, "10.7.0.0/24")
    for name, network in ((NOISY, "a"), ("beside", "a"), ("elsewhere", "b")):
        a9fe("vm", "create", name, "--network", network, "--user-data", str(data))
        a9fe("guest", "start", name)
        until(lambda ns=f"a9fe-guest-{name}": within(ns, "curl", "-sf", URL))


def row(name: str, guest: str, count: int) -> str:
    """Return a row. Measures without, with and again without the flood."""
    before = ask(guest, count // 2)
    with flooding(name):
        during = ask(guest, count)
        proxy = processes()[HOPS[0]]
        held = f"{memory(proxy)[0]:.0f}, {open_files(proxy)}"
    after = ask(guest, count // 2)
    calm = Asked(sorted(before.ms + after.ms), before.errors | after.errors)
    errors = ", ".join(f"{n} x {what}" for what, n in during.errors.items()) or "0"
    if calm.errors:
        errors += f"; without: {calm.errors}"
    cells = [name, *(f"{a.at(0.5):.1f}, {a.at(0.99):.1f}" for a in (calm, during))]
    return f"| {' | '.join([*cells, errors, held])} |"


def inside(guest: str, *words: str) -> list[str]:
    """Return the command that runs `bench.flooder` in a guest."""
    namespace = f"/run/netns/a9fe-guest-{guest}"
    return ["nsenter", f"--net={namespace}", sys.executable, "-m", "bench.flooder", *words]


def ask(guest: str, count: int) -> Asked:
    """Return what a guest measures."""
    done = subprocess.run(
        inside(guest, "ask", str(count)), check=True, capture_output=True, text=True
    )
    found = json.loads(done.stdout)
    return Asked(sorted(found["ms"]), found["errors"])


@contextmanager
def flooding(name: str) -> Iterator[None]:
    """Flood until the end of the block."""
    command = inside(NOISY, "flood", name)
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            if process.stdout.readline() != "flooding\n":
                sys.exit(f"bench: the flood of {name} did not begin")
            yield
        finally:
            process.stdin.close()
            process.wait(30)


def sizes() -> list[str]:
    """Return rows: memory and descriptors of the hops."""
    rows = ["| process | RSS MiB | file descriptors |", "|---|---|---|"]
    for name in HOPS:
        pid = processes()[name]
        rows.append(f"| {name} | {memory(pid)[0]:.0f} | {open_files(pid)} |")
    return rows
