"""A DHCP client of raw frames, which shows the bytes of each option that it receives."""

import itertools
import socket
import struct
import time
from ipaddress import ip_address

from tests.lab import frames
from tests.lab.frames import BROADCAST, IPV4, UDP

DISCOVER, OFFER, REQUEST, ACK = 1, 2, 3, 5
ASKED = bytes((1, 3, 6, 26, 42, 51, 121, 249))
COOKIE = bytes((99, 130, 83, 99))
BROADCAST_FLAG = 0x8000
_ids = itertools.count(1)


def ask(
    raw: socket.socket,
    mac: str,
    kind: int = DISCOVER,
    address: str = "0.0.0.0",
    asked: bytes = ASKED,
    largest: int = 0,
) -> dict[int, bytes]:
    """Send a message until it is answered; return the answer's options by number.

    `address` is that of a client that renews (ciaddr). {} if there is no answer in 5 s.
    """
    xid = next(_ids)
    head = struct.pack(">BBBBIHH", 1, 1, 6, 0, xid, 0, BROADCAST_FLAG)
    body = head + ip_address(address).packed + bytes(12) + frames.mac(mac) + bytes(202) + COOKIE
    body += bytes((53, 1, kind, 55, len(asked))) + asked
    body += bytes((57, 2)) + largest.to_bytes(2, "big") if largest else b""
    body += b"\xff"
    packet = frames.ipv4(address, "255.255.255.255", UDP, frames.udp(68, 67, body))
    frame = frames.ether(BROADCAST, mac, IPV4, packet)
    end = time.monotonic() + 5
    while time.monotonic() < end:
        raw.send(frame)
        if found := _answer(raw, xid):
            return found
    return {}


def _answer(raw: socket.socket, xid: int) -> dict[int, bytes]:
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        try:
            data = raw.recv(65536)
        except TimeoutError:
            continue
        dhcp = data[42:]
        is_reply = data[12:14] == b"\x08\x00" and data[23] == UDP and dhcp[:1] == b"\x02"
        if is_reply and dhcp[4:8] == struct.pack(">I", xid):
            return _options(dhcp[240:])
    return {}


def _options(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while data and data[0] != 255:
        size = data[1]
        found[data[0]] = found.get(data[0], b"") + data[2 : 2 + size]
        data = data[2 + size :]
    return found


def routes(option: bytes) -> list[tuple[str, str]]:
    """Return the (destination, next hop) pairs of option 121 or 249 (RFC 3442)."""
    found = []
    while option:
        length, octets = option[0], (option[0] + 7) // 8
        prefix = option[1 : 1 + octets] + bytes(4 - octets)
        hop = option[1 + octets : 5 + octets]
        found.append((f"{ip_address(prefix)}/{length}", str(ip_address(hop))))
        option = option[5 + octets :]
    return found
