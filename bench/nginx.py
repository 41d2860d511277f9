"""nginx with one worker, the peer that serves the same bytes as files."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.observe import until

NGINX = Path(__file__).parents[1] / ".cache/nginx/usr/sbin/nginx"  # unpacked by `./run bench`
CONFIG = """
worker_processes 1; daemon off; pid {where}/pid; error_log {where}/error.log; user nobody nogroup;
events {{ worker_connections 16384; }}
http {{
  access_log off; keepalive_requests 10000000; keepalive_timeout 600; open_file_cache max=100;
  client_body_temp_path {where}/b; proxy_temp_path {where}/p; fastcgi_temp_path {where}/f;
  uwsgi_temp_path {where}/u; scgi_temp_path {where}/s;
  server {{ {server} }}
}}
"""


def start(where: Path, server: str, before: Sequence[str] = ()) -> "subprocess.Popen[str]":
    """Start it, with its files in the directory `where`, which its worker's user can search.

    `server`: the directives of its server block. `before`: words before the command.
    """
    config = where / "nginx.conf"
    config.write_text(CONFIG.format(where=where, server=server))
    command = [*before, str(NGINX), "-c", str(config), "-p", str(where)]
    return subprocess.Popen(command, text=True)


def pids(process: "subprocess.Popen[str]") -> tuple[int, ...]:
    """Wait until the worker runs. Return the pids of master and worker."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    until(lambda: children.read_text().split())
    return (process.pid, *map(int, children.read_text().split()))
