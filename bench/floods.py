"""One guest floods, its neighbour measures its answers without and with each flood.

The part `./run bench floods`. The neighbour is first on another network, with the same address as
the flooding guest, then on the same network.
"""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.flooder import CORE_IN_USE, FLOODS, SMALL
from bench.observe import (
    HOPS,
    a9fe,
    cpu_seconds,
    create_network,
    into,
    memory,
    open_files,
    processes,
    until,
    within,
)

NOISY, NEIGHBOURS = "noisy", {"another network": "elsewhere", "the same network": "beside"}
USER_DATA = 49_000  # bytes, of the large documents
QUESTIONS = 200  # of one round; with its pauses it is below the rate limit
URL = f"http://169.254.169.254{SMALL.decode()}"


@dataclass(frozen=True, slots=True)
class Asked:
    """A neighbour's results: sorted milliseconds of its answers, and its errors by name."""

    ms: list[float]
    errors: dict[str, int]

    def at(self, part: float) -> float:
        """Return a quantile, in milliseconds."""
        return self.ms[min(len(self.ms) - 1, int(len(self.ms) * part))] if self.ms else 0.0


def page(scratch: Path, rounds: int, names: list[str]) -> list[str]:
    """Return the part's lines of RESULTS.md."""
    prepare(scratch)
    pin()
    names = names or [name for name in FLOODS if name != CORE_IN_USE]
    lines = [
        "## One guest floods, its neighbour measures",
        "",
        "Milliseconds of the neighbour's requests, each on a new connection. The hops have one",
        "core, flooder and neighbour the other. Without: 64 tasks of the flooding guest that talk",
        "to each other over sockets. The time for which a hop or the neighbour waited for a core",
        "is not counted.",
        f"Medians of {rounds} rounds in turns, of {QUESTIONS} requests each. All limits are on.",
        "",
    ]
    for place, guest in NEIGHBOURS.items():
        lines += [
            f"The neighbour on {place}:",
            "",
            "| flood | p50, p99 without | p50, p99 with | p99, ratio | core of hops in use |"
            " errors | hop MiB, descriptors |",
            "|---|---|---|---|---|---|---|",
        ]
        for name in names:
            lines.append(row(name, guest, rounds))
            print(lines[-1], flush=True)
        lines.append("")
    load = os.getloadavg()
    return [
        *lines,
        "All processes after the floods:",
        "",
        *sizes(),
        "",
        f"Load averages of the machine at the end: {load[0]:.1f}, {load[1]:.1f}, {load[2]:.1f}.",
    ]


def pin() -> None:
    """Give the hops a core, and all other processes of the benchmark the other ones."""
    cores = sorted(os.sched_getaffinity(0))
    hops = [processes()[name] for name in HOPS]
    for pid in processes().values():
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                os.sched_setaffinity(int(task.name), cores[:1] if pid in hops else cores[1:])
    os.sched_setaffinity(0, cores[1:])
    for pid in hops:
        prefer(pid)


def prefer(pid: int) -> None:
    """Have the kernel prefer a process and its session to other work of the machine."""
    with suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text("-20")
    os.setpriority(os.PRIO_PROCESS, pid, -20)


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


def row(name: str, guest: str, rounds: int) -> str:
    """Return a row: rounds without and with the flood, in turns."""
    calm, flooded, used = [], [], []
    hops = [processes()[hop] for hop in HOPS]
    for _ in range(rounds):
        with flooding(CORE_IN_USE):
            calm.append(ask(guest, QUESTIONS))
        with flooding(name):
            began, spent = time.monotonic(), cpu_seconds(hops)
            flooded.append(ask(guest, QUESTIONS))
            used.append((cpu_seconds(hops) - spent) / (time.monotonic() - began))
            held = f"{memory(hops[0])[0]:.0f}, {open_files(hops[0])}"
    errors = Counter[str]()
    for asked in flooded:
        errors.update(asked.errors)
    ratio = median(f.at(0.99) / c.at(0.99) for f, c in zip(flooded, calm, strict=True))
    cells = [
        name,
        *(
            f"{median(a.at(0.5) for a in some):.2f}, {median(a.at(0.99) for a in some):.2f}"
            for some in (calm, flooded)
        ),
        f"x{ratio:.2f}",
        f"{median(used) * 100:.0f} %",
        ", ".join(f"{n} x {what}" for what, n in errors.items()) or "0",
        held,
    ]
    if wrong := [asked.errors for asked in calm if asked.errors]:
        cells[5] += f"; without: {wrong}"
    return f"| {' | '.join(cells)} |"


def inside(guest: str, *words: str) -> list[str]:
    """Return the command that runs `bench.flooder` in a guest."""
    return [*into(f"a9fe-guest-{guest}"), sys.executable, "-m", "bench.flooder", *words]


def ask(guest: str, count: int) -> Asked:
    """Return what a guest measures."""
    pids = [str(processes()[name]) for name in HOPS] if len(HOPS) == 1 else []
    command = inside(guest, "ask", str(count), *pids)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as asking:
        prefer(asking.pid)
        found = json.loads(asking.communicate()[0])
    return Asked(sorted(found["ms"]), found["errors"])


@contextmanager
def flooding(name: str) -> Iterator[None]:
    """Flood until the end of the block."""
    command = inside(NOISY, "flood", name)
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        prefer(process.pid)
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
