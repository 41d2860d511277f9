"""A network without our code: a bridge, dnsmasq, and files as metadata."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from a9fe.linux.vms import guest, taps
from tests.kit.conditions import eventually
from tests.lab.places import MARK

BRIDGE = "brqhandmade-00"
SPACE = "qdhcp-handmade"
SERVER = "10.9.0.2"
GATEWAY = "10.9.0.1"
METADATA = {
    "latest/meta-data/instance-id": "i-00000001",
    "latest/meta-data/local-ipv4": "10.9.0.11",
    "latest/meta-data/hostname": "handmade",
    "latest/user-data": "#cloud-config",
    "openstack/latest/meta_data.json": '{"name": "handmade"}',
}


@dataclass(frozen=True, kw_only=True)
class Lease:
    """A client with a static lease."""

    mac: str
    address: str


def sh(command: str) -> str:
    """Run a shell command and return its stdout; fail with its stderr."""
    shell = ["/bin/sh", "-ec", command]
    done = subprocess.run(shell, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@contextmanager
def isolated_network(directory: Path, leases: list[Lease]) -> Iterator[None]:
    """Make the bridge BRIDGE with a DHCP server that sends option 121 and serves METADATA."""
    _make_files(directory, leases)
    sh(
        f"""
        ip netns add {SPACE}
        ip link add {BRIDGE} type bridge
        ip link set {BRIDGE} alias {MARK.text} up
        ip link add taphandmade type veth peer name ns-handmade netns {SPACE}
        ip link set taphandmade master {BRIDGE} up
        ip -n {SPACE} link set lo up
        ip -n {SPACE} link set ns-handmade up
        ip -n {SPACE} address add {SERVER}/24 dev ns-handmade
        ip -n {SPACE} address add 169.254.169.254/32 dev ns-handmade
        """
    )
    servers = [
        _spawn(
            *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root"),
            *("--no-hosts", "--no-resolv", "--pid-file=", "--interface=ns-handmade"),
            *("--bind-dynamic", "--except-interface=lo", "--dhcp-authoritative"),
            f"--dhcp-hostsfile={directory}/hosts",
            f"--dhcp-optsfile={directory}/opts",
            f"--dhcp-leasefile={directory}/leases",
            "--dhcp-range=set:lab,10.9.0.0,static,255.255.255.0,86400s",
        ),
        _spawn("busybox", "httpd", "-f", "-p", "169.254.169.254:80", "-h", f"{directory}/www"),
    ]
    try:
        eventually(_listening, what="dnsmasq and httpd listen")
        yield
    finally:
        for server in servers:
            server.kill()
            server.wait()
        sh(f"ip netns del {SPACE}; ip link del {BRIDGE}; ip link del taphandmade || true")


def _make_files(directory: Path, leases: list[Lease]) -> None:
    route = f"169.254.169.254/32,{SERVER},0.0.0.0/0,{GATEWAY}"
    options = {"option:router": GATEWAY, "option:classless-static-route": route, "249": route}
    lines = [f"tag:lab,{name},{value}\n" for name, value in options.items()]
    (directory / "opts").write_text("".join(lines))
    (directory / "hosts").write_text("".join(f"{x.mac},{x.address}\n" for x in leases))
    for path, text in METADATA.items():
        file = directory / "www" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def _spawn(*argv: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(["ip", "netns", "exec", SPACE, *argv], stdin=subprocess.DEVNULL)


def _listening() -> bool:
    shown = sh(f"nsenter --net=/run/netns/{SPACE} ss -Hlntu")
    return ":67 " in shown and "169.254.169.254:80" in shown


LEASES = [Lease(mac=f"fa:16:3e:00:00:{n:02x}", address=f"10.9.0.1{n}") for n in range(1, 7)]


def tap(number: int, bridge: str = BRIDGE) -> taps.Tap:
    return taps.Tap(name=f"tap00000000-0{number}", bridge=bridge, mtu=1450)


def stand_in(number: int, client: str = "none") -> guest.Guest:
    mac = LEASES[number - 1].mac
    return guest.Guest(name=f"g{number}", mac=mac, tap=tap(number), client=client)
