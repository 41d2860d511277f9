"""The data path by itself, by CPU time an answer: the HTTP server, the shapes, and hop 1, each
beside its peer.

The part `./run bench path`. Servers share one core, guests have the other. All are measured in
turns, and compared by the median of the ratios of each round.
"""

import json
from collections.abc import Collection
from pathlib import Path
from statistics import median

from bench import path_scale
from bench.observe import within
from bench.path_guests import BOOT
from bench.path_world import (
    GUESTS,
    MODES,
    VMS,
    Peer,
    Running,
    burst,
    destination,
    make_namespaces,
    script,
)
from bench.wrk import Burst

PATHS = (
    "/latest/meta-data/instance-id",
    "/latest/meta-data/hostname",
    "/latest/meta-data/local-ipv4",
    "/latest/meta-data/public-keys/0/openssh-key",
    "/latest/user-data",
    "/openstack/latest/meta_data.json",
    "/openstack/latest/network_data.json",
    "/openstack/latest/vendor_data.json",
)
INTRODUCTION = (
    "## The data path by itself",
    "",
    f"{VMS} VMs with own MACs and addresses ask for {len(PATHS)} documents in turn, each VM on",
    "its own connections. nginx serves the same bytes as files; haproxy and hop 1 have the same",
    "upstream, whose CPU time is not counted. All servers share one core, guests have the other.",
    "The last column is the median of the rounds' ratios: 1 is as cheap as the peer, more is",
    "cheaper.",
    "",
)
HEADER = (
    "| what | mode | answers/s | CPU us | of it | p50 us | peer | peer's CPU us | peer's p50 us |"
    " answers per CPU second, of the peer's |"
)


PARTS = ("http", "host", "hop", "split", "listeners", "idle", "storm")


def page(rounds: int, seconds: float, scratch: Path, only: Collection[str] | None) -> list[str]:
    """Return the part's lines."""
    scratch.chmod(0o755)
    only = only or PARTS
    make_namespaces(path_scale.STORM_VMS if "storm" in only else VMS)
    running = Running(scratch)
    asking = script(scratch / "ask.lua", PATHS)
    lines = list(INTRODUCTION)
    try:
        if found := pairs(running, scratch, only):
            rows = table(found, rounds, seconds, asking)
            lines += [HEADER, "|---|---|---|---|---|---|---|---|---|---|", *rows, ""]
        if "listeners" in only:
            rows = path_scale.listeners(running, asking, rounds, seconds)
            lines += ["### 1,000 listeners in 1,000 namespaces", "", *rows, ""]
        lines += at_size(running, scratch, only)
    finally:
        running.close()
    return lines


def at_size(running: Running, scratch: Path, only: Collection[str]) -> list[str]:
    """Return the rows of idle connections and of the storm."""
    if not {"idle", "storm"} & set(only):
        return []
    lines: list[str] = []
    vms = f"--count={path_scale.STORM_VMS}"
    host = running.server("host", 8020, vms)
    nginx = running.nginx("8021", 'return 200 "i-00000001";')
    if "idle" in only:
        running.nginx(f"unix:{scratch}/idle.sock", 'return 200 "i-00000001";', 1)
        haproxy = running.haproxy(8022, f"{scratch}/idle.sock")
        rows = path_scale.idle([host, haproxy, nginx])
        lines += [f"### {path_scale.IDLE:,} idle connections", "", *rows, ""]
    if "storm" in only:
        split = split_of(running, vms)
        rows = path_scale.storm([host, split, nginx])
        lines += [
            f"### {path_scale.STORM_VMS:,} VMs boot within {path_scale.STORM_SECONDS} s",
            "",
            f"Each sends the {len(BOOT)} requests of cloud-init one after the other, each on a",
            "connection of its own. Percentiles are medians of the rounds; nginx answers all",
            "with one text.",
            "",
            *rows,
            "",
        ]
    return lines


def split_of(running: Running, vms: str) -> Peer:
    """Return the three hops as processes, started once."""
    if running.split is None:
        third = running.server("service", 0, vms)
        second = running.server("agent", 0, vms)
        first = running.server("proxy", 8005)
        pids = (*first.pids, *second.pids, *third.pids)
        running.split = Peer("split", first.port, pids)
    return running.split


def pairs(running: Running, scratch: Path, only: Collection[str]) -> list[tuple[str, Peer, Peer]]:
    """Start what is measured: a name, ours, the peer."""
    if not {"http", "host", "hop", "split"} & set(only):
        return []
    vms = f"--count={path_scale.STORM_VMS}"
    host = running.server("host", 8002, vms)
    texts = documents(host)
    for path, text in texts.items():
        file = scratch / "www" / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (scratch / "documents").write_text(json.dumps(texts))
    nginx = running.nginx("8080", f"root {scratch}/www;")
    found = []
    if "http" in only:
        answers = running.server("answers", 8001, f"--documents={scratch}/documents")
        found.append(("HTTP server", answers, nginx))
    if "host" in only:
        found.append(("host shape", host, nginx))
    if "hop" in only:
        instant = f"unix:{scratch}/instant.sock"
        running.nginx(instant, 'return 200 "i-00000001";', 1)
        hop = running.server("proxy", 8003, f"--upstream={scratch}/instant.sock")
        found.append(("hop 1", hop, running.haproxy(8004, f"{scratch}/instant.sock")))
    if "split" in only:
        found.append(("split", split_of(running, vms), nginx))
    return found


def documents(peer: Peer) -> dict[str, str]:
    """Return the documents of the first VM by path."""
    base = f"http://{destination(1)}:{peer.port}"
    return {path: within(GUESTS, "curl", "-sf", base + path) for path in PATHS}


def table(
    found: list[tuple[str, Peer, Peer]], rounds: int, seconds: float, asking: Path
) -> list[str]:
    """Return a row for each pair and mode; each round measures all."""
    rows = []
    for mode in MODES:
        taken: list[list[tuple[Burst, Burst]]] = [[] for _ in found]
        for _ in range(rounds):
            for (_, ours, peer), bursts in zip(found, taken, strict=True):
                pair = burst(ours, mode, asking, seconds), burst(peer, mode, asking, seconds)
                bursts.append(pair)
        for (what, _, peer), bursts in zip(found, taken, strict=True):
            rows.append(row(what, mode, peer.name, bursts))
            print(rows[-1], flush=True)
    return rows


def row(what: str, mode: str, peer: str, bursts: list[tuple[Burst, Burst]]) -> str:
    """Return a row: medians of both, and the median of the ratios."""
    count = len(bursts[0][0].cpu)
    parts = " + ".join(f"{median(o.cpu[i] for o, _ in bursts):.0f}" for i in range(count))
    cells = (
        what,
        mode,
        f"{median(o.rate for o, _ in bursts):.0f}",
        f"{median(o.total for o, _ in bursts):.1f}",
        parts if count > 1 else "",
        f"{median(o.latency for o, _ in bursts):.0f}",
        peer,
        f"{median(n.total for _, n in bursts):.1f}",
        f"{median(n.latency for _, n in bursts):.0f}",
        f"{median(n.total / o.total for o, n in bursts):.2f}",
    )
    return "| " + " | ".join(cells) + " |"
