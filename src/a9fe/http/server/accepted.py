"""Facts of an accepted TCP connection, from the kernel: addresses, the client's MAC, its age.

The MAC is the source of the Ethernet frame that carried the SYN (TCP_SAVE_SYN, Linux 5.10), so it
needs no privilege and no lookup. The kernel saves no SYN if it answered with a SYN cookie (its
queue of half-open connections was full) or if the link has no Ethernet headers. The MAC is then
unknown, and callers must decide without it.
"""

import socket
import struct
import time
from contextlib import suppress
from typing import NamedTuple

from a9fe.wire.message import without_mapping

TCP_SAVE_SYN = 27  # linux/tcp.h; the socket module lacks both
TCP_SAVED_SYN = 28
FROM_ETHERNET = 2  # save from the Ethernet header on, not from the IP header
SAVED_BYTES = 1024  # the limit of Python's getsockopt; headers have 54 to 134 bytes
TICK = 0.01  # s: the coarsest unit of the kernel's timestamps (HZ=100)

_ETHERNET_HEADER = 14
_SOURCE_MAC = slice(6, 12)
_SOURCE_IPV4 = slice(_ETHERNET_HEADER + 12, _ETHERNET_HEADER + 16)  # RFC 791
_SOURCE_IPV6 = slice(_ETHERNET_HEADER + 8, _ETHERNET_HEADER + 24)  # RFC 8200
_ETHERTYPE = slice(12, 14)
_IPV4, _IPV6 = b"\x08\x00", b"\x86\xdd"
_NO_MAC = bytes(6)  # on the loopback device
_LAST_DATA_SENT = struct.Struct("=44xI")  # tcpi_last_data_sent: after 8 bytes and nine integers


class Accepted(NamedTuple):
    """Facts of one connection. On a Unix socket all are empty.

    `client_address` and `local_address` are text without zone, as the kernel gives them.
    `client_mac` is lower case with colons, "" if unknown. `connected_at` is the end of the
    handshake, or up to 10 ms before it, in seconds of CLOCK_MONOTONIC; 0.0 if unknown.
    """

    client_address: str = ""
    client_mac: str = ""
    local_address: str = ""
    connected_at: float = 0.0


UNKNOWN = Accepted()  # on a Unix socket, or of a client that has gone


def save_syn(sock: socket.socket) -> None:
    """Have the kernel keep the SYN of each connection to a listening TCP socket.

    Connections already in its queue have no saved SYN. A kernel without the option is no error.
    """
    if sock.family != socket.AF_UNIX:
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, TCP_SAVE_SYN, FROM_ETHERNET)


def facts_of(sock: socket.socket, client_address: str, local_address: str) -> Accepted:
    """Return the facts of a new TCP connection, before anything is sent on it.

    `client_address` as `accept` returned it; `local_address` "" asks the kernel for it.
    """
    if not local_address:
        try:
            local_address = sock.getsockname()[0].partition("%")[0]
        except OSError:  # the client has gone already
            return UNKNOWN
    client_address = client_address.partition("%")[0]
    return Accepted(
        client_address, _mac_of(sock, client_address), local_address, _connected_at(sock)
    )


def _mac_of(sock: socket.socket, client_address: str) -> str:
    """Return the client's MAC, once: the kernel frees the SYN when it is read."""
    try:
        syn = sock.getsockopt(socket.IPPROTO_TCP, TCP_SAVED_SYN, SAVED_BYTES)
    except OSError:
        return ""
    return source_mac(syn, client_address)


def source_mac(syn: bytes, client_address: str) -> str:
    """Return the source MAC of a saved SYN (from the Ethernet header on).

    "" unless its source is `client_address`: then the header has not the expected length.
    """
    plain = without_mapping(client_address)
    if ":" in plain:
        family, source, ethertype = socket.AF_INET6, _SOURCE_IPV6, _IPV6
    else:
        family, source, ethertype = socket.AF_INET, _SOURCE_IPV4, _IPV4
    mac = syn[_SOURCE_MAC]
    if syn[_ETHERTYPE] != ethertype or syn[source] != socket.inet_pton(family, plain):
        return ""
    return "" if mac == _NO_MAC else mac.hex(":")


def _connected_at(sock: socket.socket) -> float:
    """Return when the handshake ended, the time in the kernel's queue included.

    While we have sent no data, tcpi_last_data_sent counts from the handshake, and the client
    cannot change it.
    """
    milliseconds: int
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_DATA_SENT.size)
        (milliseconds,) = _LAST_DATA_SENT.unpack(info)
    except (OSError, struct.error):
        return 0.0
    return time.monotonic() - milliseconds / 1000 - TICK
