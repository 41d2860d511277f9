"""Answers through the whole chain beside nginx, which serves the same bytes as a static file."""

import subprocess
from pathlib import Path
from statistics import median

from bench import nginx
from bench.observe import HOPS, into, processes, within
from bench.wrk import Burst, burst

NGINX_PORT = 8080
PATH = "/latest/meta-data/instance-id"
MODES = {
    "keep-alive, 64 connections": ["-c64"],
    "keep-alive, 1 connection": ["-c1"],
    "a connection each, 64 at once": ["-c64", "-H", "Connection: close"],
}
HEADER = (
    f"| mode | answers/s | CPU us/answer | {' + '.join(HOPS)} "
    "| nginx answers/s | nginx CPU us | CPU ratio | rate ratio |"
)


def table(rounds: int, seconds: int, guest: str, namespace: str, scratch: Path) -> list[str]:
    """Return the rows; every round measures the chain, then nginx."""
    body = within(guest, "curl", "-s", f"http://169.254.169.254{PATH}")
    peer = start_nginx(namespace, body, scratch / "nginx")
    ours, theirs = [processes()[name] for name in HOPS], nginx.pids(peer)
    url = "http://169.254.169.254:{}" + PATH
    rows = [HEADER, "|---|---|---|---|---|---|---|---|"]
    try:
        for mode, arguments in MODES.items():
            asking = ["-t1", *arguments]
            pairs = [
                (
                    burst([*asking, url.format(80)], seconds, ours, into(guest)),
                    burst([*asking, url.format(NGINX_PORT)], seconds, theirs, into(guest)),
                )
                for _ in range(rounds)
            ]
            rows.append(row(mode, pairs))
            print(rows[-1], flush=True)
    finally:
        peer.terminate()
        peer.wait(30)
    return rows


def row(mode: str, pairs: list[tuple[Burst, Burst]]) -> str:
    """Return a row: medians of both, and the median of the pairs' ratios."""
    parts = " + ".join(f"{median(o.cpu[i] for o, _ in pairs):.0f}" for i in range(len(HOPS)))
    cells = (
        mode,
        f"{median(o.rate for o, _ in pairs):.0f}",
        f"{median(o.total for o, _ in pairs):.0f}",
        parts,
        f"{median(n.rate for _, n in pairs):.0f}",
        f"{median(n.total for _, n in pairs):.0f}",
        f"x{median(o.total / n.total for o, n in pairs):.1f}",
        f"x{median(o.rate / n.rate for o, n in pairs):.2f}",
    )
    return "| " + " | ".join(cells) + " |"


def start_nginx(namespace: str, body: str, where: Path) -> "subprocess.Popen[str]":
    """Start nginx in the namespace; it serves the body."""
    file = where / PATH.lstrip("/")
    file.parent.mkdir(parents=True)
    file.write_text(body)
    for directory in (file.parent, *file.parent.parents):
        if directory.is_relative_to(where):
            directory.chmod(0o755)
    return nginx.start(where, f"listen {NGINX_PORT}; root {where};", into(namespace))
