"""Check a VM's path to its metadata on this host. Changes nothing.

In a DHCP namespace the last step over IPv4 connects to the listener. The other listeners are bound
to their device, so the check ends with address, redirect rule and socket.
"""

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from a9fe.linux.dhcp import dnsmasq
from a9fe.linux.kernel import namespace, rtnetlink
from a9fe.linux.processes import process, programs
from a9fe.linux.rulesets import iptables
from a9fe.model.errors import A9feError
from a9fe.model.resources import METADATA_IPV4, METADATA_IPV6
from a9fe.plan import names
from a9fe.plan.dhcp.dnsmasq import HOSTS_FILE

TIMEOUT = 3.0  # s for each step of a connection
TCP_LISTEN = "0A"  # state of a socket in /proc/net/tcp
REQUEST = b"GET / HTTP/1.1\r\nHost: 169.254.169.254\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a VM's port reaches metadata: via the router interface or DHCP port `port_id`.

    `space` is its namespace, `device` its device there with the address `gateway`; the listener
    is on port `listen`. `redirected`: an iptables rule redirects to it. `dhcp` is the directory of
    the network's dnsmasq, "" if the address has no lease. All are of one IP version.
    """

    vm_port_id: str
    mac: str
    address: str
    network_id: str
    port_id: str
    space: str
    device: str
    gateway: str
    listen: int
    redirected: bool
    dhcp: str

    @property
    def is_ipv6(self) -> bool:
        """Whether the VM reads metadata at the IPv6 address."""
        return ":" in self.address

    @property
    def metadata(self) -> str:
        """The metadata address."""
        return METADATA_IPV6 if self.is_ipv6 else METADATA_IPV4


def lacking(way: Way) -> str:
    """Return the first missing part of the path, for the operator; "" if it is complete."""
    for step in (_wires, _dhcp, _filters, _inside):
        try:
            reason = next(step(way), "")
        except (A9feError, OSError) as error:
            reason = str(error)
        if reason:
            return reason
    return ""


def _wires(way: Way) -> Iterator[str]:
    """Check the bridge, the outer end of our pair, and the VM's tap if it exists."""
    links = {link.name: link for link in namespace.in_thread(rtnetlink.links)}
    bridge = links.get(names.bridge(way.network_id))
    if bridge is None or not bridge.up:
        yield f"bridge {names.bridge(way.network_id)} is missing or down"
        return
    ours, tap = names.outer_device(way.port_id), names.outer_device(way.vm_port_id)
    for name in (ours, tap):
        link = links.get(name)
        if link is None and name == tap:
            continue  # the VM is not booted yet
        if link is None or not link.up or link.master != bridge.index:
            yield f"{name} is not on bridge {bridge.name}, or is down"


def _dhcp(way: Way) -> Iterator[str]:
    if not way.dhcp:
        return
    pid = dnsmasq.DAEMON.pid_of(way.dhcp)
    space = names.dhcp_namespace(way.network_id)
    inode = namespace.inode(space)
    if pid is None or not inode or process.network_namespace(pid) != inode:
        yield f"dnsmasq of network {way.network_id} is not running in {space}"
        return
    entries = Path(way.dhcp, HOSTS_FILE).read_text().lower().splitlines()
    leased = f"[{way.address}]" if way.is_ipv6 else way.address
    if not any({way.mac.lower(), leased} <= set(line.split(",")) for line in entries):
        yield f"DHCP has no entry for {way.mac} with {way.address} yet"


def _filters(way: Way) -> Iterator[str]:
    tap = names.outer_device(way.vm_port_id)
    if f'"{tap}"' not in programs.run(("nft", "list", "ruleset", "bridge")):
        yield f"{tap} is not in the bridge filters yet"


def _inside(way: Way) -> Iterator[str]:
    if not namespace.exists(way.space):
        yield f"namespace {way.space} is missing"
        return
    wanted = {way.gateway}
    if way.is_ipv6 or not way.redirected:
        wanted.add(way.metadata)
    found = namespace.call_inside(way.space, lambda: _addresses(way.device))
    missing = sorted(wanted - found)
    if missing:
        yield f"{way.device} in {way.space} has no address {missing[0]}, or is down"
    if way.redirected and not _redirects(way):
        yield f"{way.space} does not redirect {way.metadata}:80 to port {way.listen}"
    if not namespace.call_inside(way.space, lambda: _listens(way)):
        yield f"no listener on port {way.listen} in {way.space}"
    if not way.redirected and not way.is_ipv6:
        yield from _probe(way)


def _addresses(device: str) -> set[str]:
    """The addresses of a device; empty if it is down or missing.

    With one that is another device's on the network (plan.ipv6), but not one looked for still.
    """
    index = next((link.index for link in rtnetlink.links() if link.name == device and link.up), 0)
    there = (a for a in rtnetlink.addresses() if index and a.index == index)
    return {a.cidr.partition("/")[0] for a in there if a.usable or a.duplicate}


def _redirects(way: Way) -> bool:
    rules = namespace.call_inside(way.space, lambda: iptables.read(6 if way.is_ipv6 else 4))
    return any(
        way.metadata in rule and rule.rstrip().endswith(f"REDIRECT --to-ports {way.listen}")
        for rule in rules.splitlines()
    )


def _listens(way: Way) -> bool:
    sockets = Path("/proc/thread-self/net", "tcp6" if way.is_ipv6 else "tcp")
    for line in sockets.read_text().splitlines()[1:]:
        words = line.split()
        if words[3] == TCP_LISTEN and int(words[1].rpartition(":")[2], 16) == way.listen:
            return True
    return False


def _probe(way: Way) -> Iterator[str]:
    """Connect to the listener in the namespace; the proxy must answer with any status."""

    def connected() -> socket.socket:
        return socket.create_connection((METADATA_IPV4, way.listen), TIMEOUT)

    try:
        with namespace.call_inside(way.space, connected) as sock:
            sock.sendall(REQUEST)
            if not sock.recv(16).startswith(b"HTTP/1."):
                yield f"the listener in {way.space} does not answer HTTP"
    except OSError as error:
        reason = error.strerror or os.strerror(error.errno or 0) if error.errno else str(error)
        yield f"the listener in {way.space} does not answer: {reason}"
