"""The part `hosts`: host agents by the number of networks, beside haproxy and dnsmasq.

Every figure is observed from outside: sockets of a namespace in /proc/net, dnsmasq's files, sets
of nftables, CPU time and memory in /proc. Each size has an `a9fe up` and a database of its own.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx

from bench import host_peers, host_probes
from bench.observe import A9FE, cpu_seconds, memory, processes, until

SIZES = (10, 100, 200, 1_000)
ROUTERS = 200
PORTS = 10  # VMs' ports of a network
AGENTS = ("l3-agent", "dhcp-agent")
URL = "http://127.0.0.1:9696"
DEADLINE = 900.0  # s
IDLE = 60  # s: two resyncs
UNLIMITED = {f"A9FE_QUOTA_{name}": "-1" for name in ("NETWORK", "SUBNET", "PORT", "ROUTER")}
Figures = dict[str, str]

# Figures of commit 3d7cab8 on the same machine: by this file, those of 1,000 networks by an
# earlier one, with networks without ports and less other work on the machine.
BEFORE: dict[str, Figures] = {
    "10 networks": {
        "build": "1.8 s, 179 ms each",
        "of it requests": "1.4 s",
        "one network more": "250 ms",
        "one port more": "93 ms",
        "restart of both agents, until quiet": "3.9 s",
        "kill -9 of the DHCP agent, until quiet": "3.2 s",
        "idle CPU of the agents": "l3-agent 0.02%, dhcp-agent 0.06%",
        "memory (PSS) of the processes": "317 MiB",
        "memory (PSS) of dnsmasq": "8 MiB",
        "clean": "3.5 s",
    },
    "200 networks": {
        "build": "83.1 s, 416 ms each",
        "of it requests": "35.0 s",
        "one network more": "4808 ms",
        "one port more": "867 ms",
        "restart of both agents, until quiet": "3.2 s",
        "kill -9 of the DHCP agent, until quiet": "2.6 s",
        "idle CPU of the agents": "l3-agent 0.02%, dhcp-agent 0.52%",
        "memory (PSS) of the processes": "365 MiB",
        "memory (PSS) of dnsmasq": "110 MiB",
        "clean": "13.5 s",
    },
    "1,000 networks": {
        "build": "86 s, 86 ms each",
        "one network more": "9-58 s",
        "kill -9 of the DHCP agent, until quiet": "2.2 s",
        "clean": "48 s",
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What a host has: networks with PORTS ports each, and as many routers or none."""

    networks: int
    routed: bool = False

    @property
    def name(self) -> str:
        return f"{self.networks:,} {'routers' if self.routed else 'networks'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A network with its subnet and VMs' ports (id and MAC), and a router ("" for none)."""

    network: str
    subnet: str
    ports: tuple[tuple[str, str], ...]
    router: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """An `a9fe up` under measurement."""

    size: Size
    state: Path
    api: httpx.Client
    idle: float  # s
    rounds: int

    def create(self, path: str, **values: object) -> str:
        """Create a resource; return its id."""
        answer = self.api.post(f"/v2.0/{path}s", json={path: values}).raise_for_status()
        return str(answer.json()[path]["id"])

    def network(self) -> Made:
        """Create a network with a subnet and the ports of VMs, and its router."""
        network = self.create("network", name="bench")
        subnet = self.create("subnet", network_id=network, cidr="10.0.0.0/24", ip_version=4)
        router = self.routed(subnet) if self.size.routed else ""
        ports = self.ports(network, PORTS)
        return Made(network=network, subnet=subnet, ports=ports, router=router)

    def routed(self, subnet: str) -> str:
        """Create a router with an interface on the subnet."""
        router = self.create("router", name="bench")
        path = f"/v2.0/routers/{router}/add_router_interface"
        self.api.put(path, json={"subnet_id": subnet}).raise_for_status()
        return router

    def ports(self, network: str, count: int) -> tuple[tuple[str, str], ...]:
        """Create ports of VMs on this host in one request."""
        one = {
            "network_id": network,
            "device_owner": "compute:nova",
            "binding:host_id": socket.gethostname(),
        }
        answer = self.api.post("/v2.0/ports", json={"ports": [one] * count}).raise_for_status()
        return tuple((port["id"], port["mac_address"]) for port in answer.json()["ports"])

    def is_served(self, made: Made) -> bool:
        """Whether dnsmasq and the listener are there; not the filters."""
        dhcp = host_probes.sockets(f"qdhcp-{made.network}")
        if not dhcp.udp >= {67}:
            return False
        if made.router:
            return 9697 in host_probes.sockets(f"qrouter-{made.router}").tcp
        return 80 in dhcp.tcp

    def has_lease(self, network: str, mac: str) -> bool:
        """Whether dnsmasq's file has the port's line."""
        return mac in (self.state / "dhcp" / network / "host").read_text()


def progress(what: str) -> None:
    """Print what was measured."""
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


def page(networks: list[int], routers: int, idle: float, rounds: int) -> list[str]:
    """Return the part as Markdown. `idle`: seconds of the idle window; `rounds`: of one more."""
    sizes = [Size(networks=count) for count in networks]
    sizes += [Size(networks=routers, routed=True)] if routers else []
    lines = [
        "## Host agents by the number of networks",
        "",
        f"Each network has a subnet and {PORTS} ports of VMs; each router has one such network.",
        "Build: one client makes three requests a network (five with a router), one after the",
        "other, until dnsmasq, listener and filters of the last one are there. One more: from the",
        "answer to the subnet (with a router: its interface), a port requested at once after it;",
        f"medians of {rounds}. Quiet: agents use less than 4 % of a core. Before: commit 3d7cab8.",
        "The peer is only the processes: a dnsmasq and a haproxy for each network by",
        "`ip netns exec`, in namespaces that have their devices and addresses already.",
    ]
    for size in sizes:
        figures = of_size(size, idle, rounds)
        peer = host_peers.figures(size.networks, rounds, progress)
        lines += ["", f"### {size.name}", "", *table(figures, BEFORE.get(size.name, {}), peer)]
    return lines


def table(figures: Figures, before: Figures, peer: Figures) -> list[str]:
    """Return the rows of one size."""
    rows = [
        f"| {what} | {value} | {before.get(what, '')} | {peer.get(what, '')} |"
        for what, value in figures.items()
    ]
    return ["| | a9fe | before | haproxy and dnsmasq |", "|---|---|---|---|", *rows]


def of_size(size: Size, idle: float, rounds: int) -> Figures:
    """Measure one size."""
    with tempfile.TemporaryDirectory(prefix="a9fe-bench-") as name:
        scratch = Path(name)
        scratch.chmod(0o755)
        state = scratch / "state"
        found: Figures = {}
        with (scratch / "up.log").open("wb") as log:
            command = [A9FE, "up", "--state-path", str(state)]
            up = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **UNLIMITED})
            try:
                with httpx.Client(base_url=URL, timeout=60) as api:
                    until(lambda: set(AGENTS) <= set(processes()) and alive(api))
                    house = House(size=size, state=state, api=api, idle=idle, rounds=rounds)
                    for what, value in running(house):
                        progress(f"{size.name}: {what}: {value}")
                        found[what] = value
            finally:
                up.send_signal(signal.SIGTERM)
                up.wait(60)
        began = time.monotonic()
        subprocess.run(
            [A9FE, "clean", "--state-path", str(state)], check=True, capture_output=True
        )
        found["clean"] = seconds(time.monotonic() - began)
        progress(f"{size.name}: clean: {found['clean']}")
        left = [space for space in host_probes.namespaces() if space.startswith("q")]
        return found if not left else {**found, "left by clean": str(len(left))}


def alive(api: httpx.Client) -> bool:
    """Whether the server knows both agents."""
    try:
        agents = api.get("/v2.0/agents").raise_for_status().json()["agents"]
    except httpx.HTTPError:
        return False
    return {"neutron-l3-agent", "neutron-dhcp-agent"} <= {a["binary"] for a in agents}


def running(house: House) -> Iterator[tuple[str, str]]:
    """Yield the figures of a running system: name, text."""
    began = time.monotonic()
    made = [house.network() for _ in range(house.size.networks)]
    requests = time.monotonic() - began
    for one in made:
        until(lambda m=one: house.is_served(m), DEADLINE, 0.02)
    table = host_probes.filter_table()
    for device in (host_probes.tap(port) for one in made for port, _ in one.ports):
        until(lambda d=device: host_probes.is_known(d, table), DEADLINE, 0.02)
    built = time.monotonic() - began
    yield "build", f"{seconds(built)}, {built / len(made) * 1000:.0f} ms each"
    yield "of it requests", seconds(requests)
    settle(DEADLINE)
    yield f"one {'router' if house.size.routed else 'network'} more", more(house, one_network)
    yield "one port more", more(house, lambda h: one_port(h, made[0].network))
    yield "restart of both agents, until quiet", seconds(restarted(AGENTS, signal.SIGTERM))
    yield "kill -9 of the DHCP agent, until quiet", seconds(restarted(AGENTS[1:], signal.SIGKILL))
    settle(DEADLINE)
    yield "idle CPU of the agents", idle_cpu(house.idle)
    ours = [memory(pid)[1] for name, pid in processes().items()]
    yield "memory (PSS) of the processes", f"{sum(ours):.0f} MiB"
    dnsmasqs = [memory(pid)[1] for pid in host_probes.pids("dnsmasq")]
    yield "memory (PSS) of dnsmasq", f"{sum(dnsmasqs):.0f} MiB"


def more(house: House, measure: Callable[[House], float]) -> str:
    """Return the median and the longest of some rounds; wait between them until it is quiet."""
    found = []
    for _ in range(house.rounds):
        found.append(measure(house))
        settle(DEADLINE)
    return f"{milliseconds(median(found))} (longest {milliseconds(max(found))})"


def one_network(house: House) -> float:
    """Return the seconds from the subnet's (interface's) answer until a new network is served."""
    table = host_probes.filter_table()
    network = house.create("network", name="more")
    subnet = house.create("subnet", network_id=network, cidr="10.0.0.0/24", ip_version=4)
    router = house.routed(subnet) if house.size.routed else ""
    began = time.monotonic()
    ports = house.ports(network, 1)
    made = Made(network=network, subnet=subnet, ports=ports, router=router)
    until(lambda: house.is_served(made), DEADLINE, 0.002)
    until(lambda: host_probes.is_known(host_probes.tap(ports[0][0]), table), DEADLINE, 0.002)
    return time.monotonic() - began


def one_port(house: House, network: str) -> float:
    """Return the seconds from a port's answer until it has its lease and filter."""
    table = host_probes.filter_table()
    port, mac = house.ports(network, 1)[0]
    began = time.monotonic()
    until(lambda: house.has_lease(network, mac), DEADLINE, 0.002)
    until(lambda: host_probes.is_known(host_probes.tap(port), table), DEADLINE, 0.002)
    return time.monotonic() - began


def restarted(names: tuple[str, ...], how: int) -> float:
    """End these processes; return the seconds until their successors are quiet."""
    settle(DEADLINE)
    before = processes()
    began = time.monotonic()
    for name in names:
        os.kill(before[name], how)
    until(lambda: all(processes().get(n, before[n]) != before[n] for n in names), DEADLINE)
    return settle(DEADLINE) - began


def settle(deadline: float, window: float = 0.5, share: float = 0.04) -> float:
    """Wait until both agents use less than `share` of a core; return since when (monotonic)."""
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        pids = [processes().get(name, 0) for name in AGENTS]
        since = time.monotonic()
        try:
            before = cpu_seconds(pids)
            time.sleep(window)
            if cpu_seconds(pids) - before < window * share:
                return since
        except OSError:
            continue
    sys.exit("bench: the agents do not become quiet")


def idle_cpu(window: float) -> str:
    """Return the CPU of each agent over the window, in per cent of a core."""
    pids = [processes()[name] for name in AGENTS]
    before = [cpu_seconds([pid]) for pid in pids]
    time.sleep(window)
    spent = [cpu_seconds([pid]) - b for pid, b in zip(pids, before, strict=True)]
    cells = (f"{n} {s / window:.2%}" for n, s in zip(AGENTS, spent, strict=True))
    return ", ".join(cells)


def seconds(value: float) -> str:
    """Return seconds as text."""
    return f"{value:.1f} s"


def milliseconds(value: float) -> str:
    """Return seconds as text in ms."""
    return f"{value * 1000:.0f} ms"
