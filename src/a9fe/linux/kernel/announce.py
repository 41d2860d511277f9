"""Announce an address at a new MAC: gratuitous ARP and unsolicited neighbour advertisements.

A guest's neighbour cache keeps a gateway's MAC for half a minute or more after the gateway moved.
So if an agent adds an address, it announces the device's addresses as Neutron's `arping -U` and
`arping -A` do: by an ARP request and an ARP reply, several times, because the first ones may be
lost before the bridge port forwards. A packet socket in the namespace sends the frames. Sources:
RFC 826, RFC 5227 section 3, RFC 4861 sections 4.4 and 7.2.6.
"""

import heapq
import socket
import struct
import threading
import time
from ipaddress import IPv6Address, ip_interface

import structlog

from a9fe.linux.kernel import namespace, rtnetlink
from a9fe.linux.kernel.checksum import internet_checksum
from a9fe.model.errors import A9feError

log = structlog.get_logger("a9fe.linux")

ROUNDS = (0.0, 0.3, 1.0, 2.0, 4.0)  # s after the address came up
BROADCAST = b"\xff" * 6
ALL_NODES = IPv6Address("ff02::1")
ALL_NODES_MAC = bytes.fromhex("333300000001")
ETH_ARP, ETH_IPV6 = 0x0806, 0x86DD
ARP = struct.Struct("!HHBBH6s4s6s4s")
ARP_REQUEST, ARP_REPLY = 1, 2
ICMPV6, HOP_LIMIT = 58, 255
NEIGHBOUR_ADVERTISEMENT = 136
ROUTER, OVERRIDE = 0x80000000, 0x20000000
TARGET_MAC = b"\x02\x01"  # option 2, 8 octets long


def frames(mac: str, address: str, *, router: bool) -> tuple[bytes, ...]:
    """Return the Ethernet frames that announce an IPv4 or IPv6 address at a MAC."""
    own, raw = bytes.fromhex(mac.replace(":", "")), ip_interface(address).ip.packed
    if len(raw) == 4:
        return tuple(_arp(own, raw, operation) for operation in (ARP_REQUEST, ARP_REPLY))
    return (_advertisement(own, raw, router=router),)


def _arp(mac: bytes, address: bytes, operation: int) -> bytes:
    target = BROADCAST if operation == ARP_REQUEST else mac  # as arping sets it
    body = ARP.pack(1, 0x0800, 6, 4, operation, mac, address, target, address)
    return BROADCAST + mac + struct.pack("!H", ETH_ARP) + body


def _advertisement(mac: bytes, address: bytes, *, router: bool) -> bytes:
    flags = OVERRIDE | (ROUTER if router else 0)
    rest = struct.pack("!I", flags) + address + TARGET_MAC + mac
    length = 4 + len(rest)
    pseudo = address + ALL_NODES.packed + struct.pack("!II", length, ICMPV6)
    first = struct.pack("!BBH", NEIGHBOUR_ADVERTISEMENT, 0, 0)
    total = internet_checksum(pseudo + first + rest)
    checksum = struct.pack("!BBH", NEIGHBOUR_ADVERTISEMENT, 0, total)
    header = struct.pack("!IHBB", 6 << 28, length, ICMPV6, HOP_LIMIT)
    ethernet = ALL_NODES_MAC + mac + struct.pack("!H", ETH_IPV6)
    return ethernet + header + address + ALL_NODES.packed + checksum + rest


class Announcer:
    """Announces devices in several rounds, in a thread that ends when nothing is due.

    Each round reads the device's addresses again, so that a moved address is not announced.
    """

    def __init__(self, rounds: tuple[float, ...] = ROUNDS) -> None:
        """`rounds`: seconds after `announce` at which to send."""
        self._rounds = rounds
        self._due: list[tuple[float, str, str]] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def announce(self, space: str, device: str) -> None:
        """Announce all addresses of a device in a namespace, now and in the later rounds."""
        now = time.monotonic()
        with self._changed:
            self._due = [entry for entry in self._due if entry[1:] != (space, device)]
            self._due += [(now + after, space, device) for after in self._rounds]
            heapq.heapify(self._due)
            self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="announce", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while (entry := self._next()) is not None:
            try:
                send(*entry)
            except (A9feError, OSError) as error:  # the device or namespace is gone
                log.debug("not announced", namespace=entry[0], device=entry[1], reason=str(error))

    def _next(self) -> tuple[str, str] | None:
        """Wait for the next due device; None if nothing is due, which ends the thread."""
        with self._changed:
            while self._due:
                wait = self._due[0][0] - time.monotonic()
                if wait <= 0:
                    _, space, device = heapq.heappop(self._due)
                    return space, device
                self._changed.wait(wait)
            self._thread = None
            return None


def send(space: str, device: str) -> None:
    """Announce the device's current addresses once. Raises NoSuchNamespace or OSError."""
    with namespace.inside(space):
        link = rtnetlink.find(device)
        if link is None or not link.up:
            return
        found = [a.cidr for a in rtnetlink.addresses() if a.index == link.index and a.usable]
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
            sock.bind((device, 0))
            for cidr in found:
                for frame in frames(link.mac, cidr, router=device.startswith("qr-")):
                    sock.send(frame)
