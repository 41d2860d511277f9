"""Release DHCPv4 leases of addresses that changed their port.

dnsmasq refuses a configured address to a client while another MAC has a lease of it. So when an
address goes to another MAC or to none, its lease is released as the client would (RFC 2131 section
4.4.6), from the namespace, as Neutron's agent does by dhcp_release.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from a9fe.linux.kernel import namespace
from a9fe.plan.dhcp.dnsmasq import LEASES_FILE

SERVER_PORT = 67
HEAD = bytes((1, 1, 6, 0))  # BOOTREQUEST, Ethernet, length of a MAC, no hops
COOKIE = bytes((99, 130, 83, 99))
TYPE, RELEASE, SERVER_ID, CLIENT_ID, END = 53, 7, 54, 61, 255
NO_CLIENT_ID = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A line of dnsmasq's file of leases. `client` is the client's id in hex, or "*"."""

    mac: str
    address: str
    client: str


def holders(hosts: str) -> dict[str, str]:
    """The MAC of each IPv4 address in a hosts file."""
    fields = (line.split(",") for line in hosts.splitlines())
    return {words[2]: words[0] for words in fields if len(words) > 2 and "[" not in words[2]}


def release(space: str, device: str, directory: str, before: str, after: str) -> None:
    """Release the leases of addresses whose MAC differs between two hosts files."""
    old, new = holders(before), holders(after)
    gone = {address for address, mac in old.items() if new.get(address) != mac}
    found = [*_leases(directory, gone, new)] if gone else []
    if found:
        namespace.call_inside(space, lambda: _send(device, found))


def _leases(directory: str, addresses: set[str], after: dict[str, str]) -> Iterator[Lease]:
    """The leases of these addresses that other MACs have."""
    try:
        lines = Path(directory, LEASES_FILE).read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        words = line.split()
        if len(words) == 5 and words[2] in addresses and after.get(words[2]) != words[1]:
            yield Lease(mac=words[1], address=words[2], client=words[4])


def message(lease: Lease, server: str) -> bytes:
    """Return the Release of a lease to the server with that address."""
    mac = bytes.fromhex(lease.mac.replace(":", ""))
    zeros = bytes(4)
    addresses = socket.inet_aton(lease.address) + 3 * zeros  # ciaddr alone
    options = bytes((TYPE, 1, RELEASE, SERVER_ID, 4)) + socket.inet_aton(server)
    if lease.client != NO_CLIENT_ID:
        client = bytes.fromhex(lease.client.replace(":", ""))
        options += bytes((CLIENT_ID, len(client))) + client
    head = HEAD + os.urandom(4) + zeros + addresses + mac.ljust(16, b"\0")
    return head + bytes(192) + COOKIE + options + bytes((END,))


def _send(device: str, leases: list[Lease]) -> None:
    for lease in leases:
        # An address that is in no subnet any more has no route: dnsmasq has dropped the lease.
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
            suppress(OSError, ValueError),
        ):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
            sock.connect((lease.address, SERVER_PORT))
            server = sock.getsockname()[0]
            sock.connect((server, SERVER_PORT))
            sock.send(message(lease, server))
