"""The peer of the part `hosts`: a dnsmasq and a haproxy for each network, started as Neutron does.

Namespaces, devices and addresses are there before, made by `ip -batch`, and are not measured.
"""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from tests.lab.haproxy import ENVIRONMENT, HAPROXY, configuration

from bench import host_probes
from bench.observe import ip_batch, memory, until

PROGRAMS = ("haproxy", "dnsmasq")
FABRIC = """link add {inner} netns {name} type veth peer name {outer}
link set {outer} up
"""
INSIDE = """link set lo up
addr add 10.0.0.2/24 dev {inner}
addr add 169.254.169.254/32 dev {inner}
link set {inner} up
"""


def figures(count: int, rounds: int, progress: Callable[[str], None]) -> dict[str, str]:
    """Return the figures of this many networks."""
    with tempfile.TemporaryDirectory(prefix="a9fe-peer-") as scratch:
        names = [f"peer-{number}" for number in range(count + rounds)]
        fabric(names)
        began = time.monotonic()
        for name in names[:count]:
            start(name, Path(scratch))
        for name in names[:count]:
            until(lambda n=name: serves(n))
        built = time.monotonic() - began
        each = []
        for name in names[count:]:
            begin = time.monotonic()
            start(name, Path(scratch))
            until(lambda n=name: serves(n))
            each.append(time.monotonic() - begin)
        pids = [pid for program in PROGRAMS for pid in host_probes.pids(program)]
        haproxy, dnsmasq = (
            sum(memory(pid)[1] for pid in host_probes.pids(name)) for name in PROGRAMS
        )
        began = time.monotonic()
        clean(pids, names)
        cleaned = time.monotonic() - began
    found = {
        "build": f"{built:.1f} s, {built / count * 1000:.0f} ms each",
        "one network more": f"{median(each) * 1000:.0f} ms (longest {max(each) * 1000:.0f} ms)",
        "memory (PSS) of the processes": f"{haproxy:.0f} MiB",
        "memory (PSS) of dnsmasq": f"{dnsmasq:.0f} MiB",
        "clean": f"{cleaned:.1f} s",
    }
    found["one router more"] = found["one network more"]
    for what, value in found.items():
        progress(f"{count:,} haproxy and dnsmasq: {what}: {value}")
    return found


def fabric(names: list[str]) -> None:
    """Make the namespaces with a device and its addresses."""
    ip_batch("".join(f"netns add {name}\n" for name in names))
    devices = [{"name": n, "inner": f"in-{i}", "outer": f"out-{i}"} for i, n in enumerate(names)]
    ip_batch("".join(FABRIC.format(**device) for device in devices))
    for device in devices:
        ip_batch(INSIDE.format(**device), device["name"])


def start(name: str, scratch: Path) -> None:
    """Start both processes of a network; each becomes a daemon."""
    directory = scratch / name
    directory.mkdir()
    config = directory / "haproxy.cfg"
    as_daemon = f"pidfile {directory}/haproxy.pid\n    daemon"
    config.write_text(configuration(name, directory / "metadata_proxy", as_daemon))
    for program in ("hosts", "opts", "leases"):
        (directory / program).touch()
    execute = ["ip", "netns", "exec", name]
    subprocess.run([*execute, "dnsmasq", *arguments(directory)], check=True)
    haproxy = [*execute, str(HAPROXY), "-q", "-f", str(config)]
    subprocess.run(haproxy, check=True, env=ENVIRONMENT, stderr=subprocess.DEVNULL)


def arguments(directory: Path) -> list[str]:
    """Return dnsmasq's arguments as Neutron gives them."""
    return [
        "--no-hosts",
        "--no-resolv",
        f"--pid-file={directory}/pid",
        f"--dhcp-hostsfile={directory}/hosts",
        f"--dhcp-optsfile={directory}/opts",
        f"--dhcp-leasefile={directory}/leases",
        "--dhcp-match=set:ipxe,175",
        "--dhcp-authoritative",
        "--bind-dynamic",
        "--interface=in-*",
        "--dhcp-range=set:sub0,10.0.0.0,static,255.255.255.0,86400s",
        "--dhcp-lease-max=256",
        "--conf-file=/dev/null",
        "--domain=openstacklocal",
    ]


def serves(name: str) -> bool:
    """Whether both processes have their sockets."""
    found = host_probes.sockets(name)
    return 80 in found.tcp and 67 in found.udp


def clean(pids: list[int], names: list[str]) -> None:
    """End the processes and delete the namespaces."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not any(host_probes.pids(program) for program in PROGRAMS))
    ip_batch("".join(f"netns delete {name}\n" for name in names))
