"""Release DHCPv4 leases of addresses that changed their port.

dnsmasq refuses a configured address to a client while another MAC has a lease of it. So when an
address goes to another MAC or to none, its lease is released as the client would (RFC 2131 section
4.4.6), from the namespace, as Neutron's agent does by dhcp_release.
"""

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from a9fe.linux.dhcp import lease_file
from a9fe.linux.kernel import namespace

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


def release(space: str, device: str, directory: str, moved: Mapping[str, str]) -> None:
    """Release the IPv4 leases of these addresses that other MACs have (lease_file.moved)."""
    found = [*_leases(directory, moved)]
    if found:
        namespace.call_inside(space, lambda: _send(device, found))


def _leases(directory: str, moved: Mapping[str, str]) -> Iterator[Lease]:
    for words in lease_file.rows(directory):
        is_ipv4 = len(words) == 5 and ":" not in words[2]
        if is_ipv4 and moved.get(words[2], words[1]) != words[1]:
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
