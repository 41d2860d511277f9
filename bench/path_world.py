"""The world of the part `path`: guests with addresses of their own, servers pinned to one core,
peers, and bursts of requests.

Guests share a namespace. Each has a device with a MAC and an address, and reaches the servers by
a destination of its own, whose route goes out by that device.
"""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab.haproxy import ENVIRONMENT, HAPROXY

from bench import nginx, service, wrk
from bench.observe import into, ip_batch, until, within
from bench.wrk import Burst

GUESTS, SERVERS = "path-guests", "path-servers"  # namespaces
VMS = 64
SERVER_CORE, GUEST_CORE = 0, 1
GATEWAY = "10.255.0.1"

FABRIC = f"""link add g0 netns {GUESTS} type veth peer name s0 netns {SERVERS}
"""
IN_SERVERS = f"""link set lo up
addr add {GATEWAY}/8 dev s0
link set s0 up
route add local 169.254.128.0/17 dev lo
"""
IN_GUESTS = """link set lo up
link set g0 up
"""
GUEST = """link add link g0 name m{n} address {mac} type macvlan mode private
addr add {address}/32 dev m{n}
link set m{n} up
neigh add {gateway} lladdr {servers} dev m{n} nud permanent
route add {to} via {gateway} dev m{n} onlink src {address}
"""
NEIGHBOUR = "neigh add {address} lladdr {mac} dev s0 nud permanent\n"
# Lean: Neutron's own configuration closes the connection upstream after each answer.
HAPROXY_CONFIG = """
global
    maxconn 9000
    nbthread 1
    pidfile {where}/haproxy.pid
defaults
    mode http
    option forwardfor
    http-reuse always
    timeout http-request 30s
    timeout connect 30s
    timeout client 600s
    timeout server 32s
    timeout http-keep-alive 600s
listen listener
    bind 0.0.0.0:{port} backlog 4096
    http-request del-header X-Neutron-Router-ID
    http-request set-header X-Neutron-Network-ID 00000000-aaaa-4aaa-8aaa-000000000001
    server metadata {upstream} maxconn 256
"""
SCRIPT = """
local paths, heads, at, threads = {{ {paths} }}, {{}}, 0, 0
function setup(thread)
  threads = threads + 1
  local name = string.format("169.254.%d.%d", 128 + math.floor(threads / 256), threads % 256)
  thread.addr = wrk.lookup(name, wrk.port)[1]
end
function init() for _, path in ipairs(paths) do heads[#heads + 1] = wrk.format("GET", path) end end
function request() at = at % #heads + 1; return heads[at] end
"""
MODES = {
    "keep-alive, 64 connections": ["-t64", "-c64"],
    "keep-alive, 1 connection": ["-t1", "-c1"],
    "a connection each, 64 at once": ["-t64", "-c64", "-H", "Connection: close"],
}


@dataclass(frozen=True, slots=True)
class Peer:
    """A server to measure: its port, and its processes."""

    name: str
    port: int
    pids: tuple[int, ...]
    said: str = ""  # the line that it printed when it listened


def make_namespaces(vms: int = VMS) -> None:
    """Make guests and servers."""
    for name in (GUESTS, SERVERS):
        subprocess.run(["ip", "netns", "add", name], check=True)
    ip_batch(FABRIC)
    ip_batch(IN_SERVERS, SERVERS)
    servers = within(SERVERS, "ip", "-br", "link", "show", "s0").split()[2]
    guests, neighbours = [IN_GUESTS], []
    for number in range(1, vms + 1):
        port = service.port(number)
        one = {"n": number, "mac": port.mac_address, "address": port.fixed_ips[0].ip_address}
        to = {"to": destination(number), "gateway": GATEWAY, "servers": servers}
        guests.append(GUEST.format(**one, **to))
        neighbours.append(NEIGHBOUR.format(**one))
    ip_batch("".join(guests), GUESTS)
    ip_batch("".join(neighbours), SERVERS)


def destination(number: int) -> str:
    """Return the address that stands for the metadata address for this VM."""
    return f"169.254.{128 + number // 256}.{number % 256}"


def python(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module."""
    return [sys.executable, "-m", module, *arguments]


def in_guests() -> list[str]:
    """Return the words before a command that runs in the guests' namespace, on their core."""
    return ["taskset", "-c", str(GUEST_CORE), *into(GUESTS)]


def in_servers(core: int = SERVER_CORE) -> list[str]:
    """Return the words before a command that runs in the servers' namespace, on one core."""
    return ["taskset", "-c", str(core), *into(SERVERS)]


class Running:
    """The processes of the part; `close` ends them."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self.split: Peer | None = None
        self._started: list[subprocess.Popen[str]] = []

    def server(self, name: str, port: int, *options: str) -> Peer:
        """Start a server of ours and wait until it listens."""
        where = f"--scratch={self._scratch}"
        command = python("bench.path_servers", name, f"--port={port}", where, *options)
        process = subprocess.Popen([*in_servers(), *command], stdout=subprocess.PIPE, text=True)
        self._started.append(process)
        assert process.stdout is not None
        line = "-"
        while line and not line.startswith("ready"):
            line = process.stdout.readline()
        if not line:
            sys.exit(f"bench: {name} did not start")
        return Peer(name, port, (process.pid,), line.removeprefix("ready").strip())

    def nginx(self, listen: str, content: str, core: int = SERVER_CORE) -> Peer:
        """Start nginx with one worker and wait until it runs."""
        where = self._scratch / f"nginx{len(self._started)}"
        where.mkdir()
        server = f"listen {listen} backlog=4096; {content}"
        process = nginx.start(where, server, in_servers(core))
        self._started.append(process)
        port = int(listen) if listen.isdigit() else 0
        return Peer("nginx", port, nginx.pids(process))

    def haproxy(self, port: int, upstream: str) -> Peer:
        """Start haproxy with one thread before a Unix socket."""
        config = self._scratch / "haproxy.cfg"
        text = HAPROXY_CONFIG.format(where=self._scratch, port=port, upstream=upstream)
        config.write_text(text)
        command = [*in_servers(), str(HAPROXY), "-db", "-f", str(config)]
        process = subprocess.Popen(command, env=ENVIRONMENT, text=True)
        self._started.append(process)
        until(lambda: f":{port} " in within(SERVERS, "ss", "-Hltn"))
        return Peer("haproxy", port, (process.pid,))

    def close(self) -> None:
        """End all processes."""
        for process in self._started:
            process.terminate()
        for process in self._started:
            process.wait(30)


def script(path: Path, paths: Sequence[str]) -> Path:
    """Write wrk's script: threads are VMs, which ask for the paths in turn."""
    path.write_text(SCRIPT.format(paths=", ".join(f'"{one}"' for one in paths)))
    return path


def burst(peer: Peer, mode: str, asking: Path, seconds: float) -> Burst:
    """Run wrk in the guests' namespace."""
    url = f"http://{destination(1)}:{peer.port}/"
    arguments = [*MODES[mode], "-s", str(asking), url]
    return wrk.burst(arguments, seconds, peer.pids, in_guests())
