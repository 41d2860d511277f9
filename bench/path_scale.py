"""The data path at size: 1,000 listeners, idle connections, a storm of booting VMs."""

import json
import subprocess
from pathlib import Path
from statistics import median

from bench.observe import ip_batch, memory
from bench.path_world import (
    MODES,
    Peer,
    Running,
    burst,
    in_guests,
    python,
)

LISTENERS = 1000
IDLE = 8000  # a process may open 20,000 files here, and haproxy reserves two for each
STORM_VMS = 1000
STORM_SECONDS = 15
STORM_ROUNDS = 3


def listeners(running: Running, asking: Path, rounds: int, seconds: float) -> list[str]:
    """Return rows: one loaded listener, alone and with 1,000 others in namespaces."""
    ip_batch("".join(f"netns add path-l{number}\n" for number in range(LISTENERS)))
    one = running.server("host", 8010, "--count=64")
    many = running.server("host", 8011, "--count=64", f"--listeners={LISTENERS}")
    each = json.loads(many.said)
    rows = ["| mode | 1 listener, CPU us | 1,001 listeners, CPU us | ratio |", "|---|---|---|---|"]
    for mode in MODES:
        pairs = [
            (burst(one, mode, asking, seconds).total, burst(many, mode, asking, seconds).total)
            for _ in range(rounds)
        ]
        costs = (median(pair[i] for pair in pairs) for i in (0, 1))
        ratio = median(few / all for few, all in pairs)
        rows.append(f"| {mode} | {' | '.join(f'{cost:.1f}' for cost in costs)} | {ratio:.2f} |")
        print(rows[-1], flush=True)
    return [
        *rows,
        "",
        f"A listener more costs {each['us']:.0f} us and {each['bytes'] / 1024:.1f} KiB (RSS).",
    ]


def idle(peers: list[Peer]) -> list[str]:
    """Return rows: memory of idle connections."""
    rows = ["| server | RSS MiB before, with | KiB a connection |", "|---|---|---|"]
    for peer in peers:
        before = sum(memory(pid)[0] for pid in peer.pids)
        command = [*in_guests(), *python("bench.path_guests", "idle", f"{IDLE}", f"{peer.port}")]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        opened = process.stdout.readline().strip() == "open"
        held = sum(memory(pid)[0] for pid in peer.pids)
        process.communicate("")
        each = (held - before) * 1024 / IDLE
        figures = f"{before:.0f}, {held:.0f} | {each:.2f}" if opened else "refused |"
        rows.append(f"| {peer.name} | {figures} |")
        print(rows[-1], flush=True)
    return rows


def storm(peers: list[Peer]) -> list[str]:
    """Return rows: answers to 1,000 VMs that boot within some seconds, peers in turns."""
    rows = [
        "| server | answers | failed | p50 ms | p99 ms | RSS MiB before, after |",
        "|---|---|---|---|---|---|",
    ]
    taken: dict[str, list[dict[str, float]]] = {peer.name: [] for peer in peers}
    sizes = {peer.name: [sum(memory(pid)[0] for pid in peer.pids)] for peer in peers}
    for _ in range(STORM_ROUNDS):
        for peer in peers:
            numbers = (f"{STORM_VMS}", f"{peer.port}", f"{STORM_SECONDS}")
            command = [*in_guests(), *python("bench.path_guests", "storm", *numbers)]
            said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
            found = json.loads(said)
            found["failed"] = sum(found["failed"].values())
            taken[peer.name].append(found)
            sizes[peer.name].append(sum(memory(pid)[0] for pid in peer.pids))
    for name, rounds in taken.items():
        answers, failed = (sum(one[key] for one in rounds) for key in ("answers", "failed"))
        p50, p99 = (median(one[key] for one in rounds) for key in ("p50", "p99"))
        before, *after = sizes[name]
        memories = f"{before:.0f}; " + ", ".join(f"{size:.0f}" for size in after)
        rows.append(f"| {name} | {answers} | {failed} | {p50:.1f} | {p99:.1f} | {memories} |")
        print(rows[-1], flush=True)
    return rows
