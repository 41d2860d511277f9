"""Answers through the whole chain beside nginx, which serves the same bytes as a static file."""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.observe import HOPS, cpu_seconds, processes, until, within

NGINX = Path(__file__).parents[1] / ".cache/nginx/usr/sbin/nginx"  # unpacked by `./run bench`
NGINX_PORT = 8080
PATH = "/latest/meta-data/instance-id"
MODES = {
    "keep-alive, 64 connections": ["-c64"],
    "keep-alive, 1 connection": ["-c1"],
    "a connection each, 64 at once": ["-c64", "-H", "Connection: close"],
}
HEADER = (
    "| mode | answers/s | CPU us/answer | proxy + agent + service "
    "| nginx answers/s | nginx CPU us | CPU ratio | rate ratio |"
)
CONFIG = """
worker_processes 1; pid {0}/pid; error_log {0}/error.log; user nobody nogroup;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 10000000; open_file_cache max=10;
  client_body_temp_path {0}/b; proxy_temp_path {0}/p; fastcgi_temp_path {0}/f;
  uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;
  server {{ listen {1}; root {0}; }}
}}
"""


@dataclass(frozen=True, slots=True)
class Burst:
    """The result of a burst: answers a second, and CPU microseconds an answer per process."""

    rate: float
    cpu: tuple[float, ...]

    @property
    def total(self) -> float:
        return sum(self.cpu)


def table(rounds: int, seconds: int, guest: str, namespace: str, scratch: Path) -> list[str]:
    """Return the rows; every round measures the chain, then nginx."""
    body = within(guest, "curl", "-s", f"http://169.254.169.254{PATH}")
    peer = start_nginx(namespace, body, scratch / "nginx")
    ours = [processes()[name] for name in HOPS]
    rows = [HEADER, "|---|---|---|---|---|---|---|---|"]
    try:
        for mode, arguments in MODES.items():
            pairs = [
                (
                    burst(guest, 80, arguments, seconds, ours),
                    burst(guest, NGINX_PORT, arguments, seconds, peer),
                )
                for _ in range(rounds)
            ]
            rows.append(row(mode, pairs))
            print(rows[-1], flush=True)
    finally:
        subprocess.run(["kill", str(peer[0])], check=False)
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


def burst(guest: str, port: int, arguments: list[str], seconds: int, pids: list[int]) -> Burst:
    """Run wrk in the guest."""
    before = [cpu_seconds([pid]) for pid in pids]
    url = f"http://169.254.169.254:{port}{PATH}"
    said = within(guest, "wrk", "-t1", f"-d{seconds}", *arguments, url)
    answers = re.search(r"(\d+) requests in", said)
    if not answers or "Non-2xx" in said:
        sys.exit(f"wrk: {said}")
    count = int(answers[1])
    spent = (cpu_seconds([pid]) - b for pid, b in zip(pids, before, strict=True))
    return Burst(rate=count / seconds, cpu=tuple(s / count * 1e6 for s in spent))


def start_nginx(namespace: str, body: str, where: Path) -> list[int]:
    """Start nginx with one worker in the namespace. Return the pids of master and worker."""
    file = where / PATH.lstrip("/")
    file.parent.mkdir(parents=True)
    file.write_text(body)
    for directory in (file.parent, *file.parent.parents):
        if directory.is_relative_to(where):
            directory.chmod(0o755)
    config = where / "nginx.conf"
    config.write_text(CONFIG.format(where, NGINX_PORT))
    within(namespace, str(NGINX), "-c", str(config), "-p", str(where))
    until(lambda: (where / "pid").read_text().strip())
    master = int((where / "pid").read_text())
    children = Path(f"/proc/{master}/task/{master}/children")
    until(lambda: children.read_text().split())
    return [master, *map(int, children.read_text().split())]
