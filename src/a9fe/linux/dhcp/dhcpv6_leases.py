"""Release DHCPv6 leases of addresses that changed their port.

dnsmasq keeps a lease under the client's DUID, which says nothing certain about the MAC, and
refuses the address to another DUID until the lease ends. So when an address goes to another MAC or
to none, its lease is released as the client would (RFC 8415 section 18.2.7), from the namespace.
"""

import os
import socket
import struct
from collections.abc import Container, Iterator
from ipaddress import IPv6Address

from a9fe.linux.dhcp import lease_file
from a9fe.linux.kernel import namespace

SERVERS, SERVER_PORT = "ff02::1:2", 547
RELEASE = 8
CLIENT_ID, SERVER_ID, IA_NA, IA_ADDRESS, ELAPSED = 1, 2, 3, 5, 8


def release(space: str, device: str, directory: str, moved: Container[str]) -> None:
    """Release the IPv6 leases of these addresses (lease_file.moved)."""
    packets = [*_releases(directory, moved)]
    if packets:
        namespace.call_inside(space, lambda: _send(device, packets))


def _releases(directory: str, moved: Container[str]) -> Iterator[bytes]:
    """A message for each lease on these addresses in dnsmasq's file."""
    server = b""
    for words in lease_file.rows(directory):
        if len(words) == 2 and words[0] == "duid":
            server = _octets(words[1])
        elif len(words) == 5 and words[2] in moved and words[1].isdecimal():
            yield message(_octets(words[4]), server, int(words[1]), words[2])


def message(client: bytes, server: bytes, iaid: int, address: str) -> bytes:
    """Return the Release of one address; `client` and `server` are DUIDs."""
    leased = _option(IA_ADDRESS, IPv6Address(address).packed + bytes(8))
    return b"".join(
        (
            bytes((RELEASE,)),
            os.urandom(3),
            _option(CLIENT_ID, client),
            _option(SERVER_ID, server),
            _option(ELAPSED, bytes(2)),
            _option(IA_NA, struct.pack("!III", iaid, 0, 0) + leased),
        )
    )


def _option(number: int, value: bytes) -> bytes:
    return struct.pack("!HH", number, len(value)) + value


def _octets(text: str) -> bytes:
    try:
        return bytes.fromhex(text.replace(":", ""))
    except ValueError:
        return b""


def _send(device: str, packets: list[bytes]) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        there = (SERVERS, SERVER_PORT, 0, socket.if_nametoindex(device))
        for packet in packets:
            sock.sendto(packet, there)
