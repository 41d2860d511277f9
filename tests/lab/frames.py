"""Ethernet frames as bytes, as a hostile guest may send them."""

import struct
from ipaddress import ip_address

BROADCAST = "ff:ff:ff:ff:ff:ff"
ANY_MAC = "00:00:00:00:00:00"
ARP, IPV4, IPV6 = 0x0806, 0x0800, 0x86DD
MARK = b"token---"  # the sender replaces it by a token that identifies the frame
TCP, UDP, ICMPV6, HOP_BY_HOP, FRAGMENT, DESTINATION = 6, 17, 58, 0, 44, 60
SYN, RST, ACK = 2, 4, 16


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def ether(to: str, sender: str, kind: int, payload: bytes) -> bytes:
    return mac(to) + mac(sender) + struct.pack(">H", kind) + payload


def arp(operation: int, sender: str, address: str, target: str) -> bytes:
    head = struct.pack(">HHBBH", 1, IPV4, 6, 4, operation)
    addresses = (ip_address(address).packed, mac(ANY_MAC), ip_address(target).packed)
    return head + mac(sender) + b"".join(addresses)


def _sum(data: bytes) -> int:
    words = struct.unpack(f">{len(data + b'0') // 2}H", data + b"\0" * (len(data) % 2))
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(source: str, to: str, protocol: int, payload: bytes, fragment: int = 0) -> bytes:
    """Return a packet; `fragment` is the field of flags and offset (0x2000: more fragments)."""
    ends = ip_address(source).packed + ip_address(to).packed
    fields = (0x45, 0, 20 + len(payload), 7, fragment, 64, protocol)
    total = _sum(struct.pack(">BBHHHBBH", *fields, 0) + ends)
    return struct.pack(">BBHHHBBH", *fields, total) + ends + payload


def udp(source: int, to: int, payload: bytes = MARK) -> bytes:
    return struct.pack(">HHHH", source, to, 8 + len(payload), 0) + payload


def tcp(source: int, to: int, flags: int = SYN, number: int = 1, payload: bytes = MARK) -> bytes:
    """Return a segment with sequence number `number`; its checksum is 0."""
    return struct.pack(">HHIIBBHHH", source, to, number, 1, 5 << 4, flags, 8192, 0, 0) + payload


def summed(packet: bytes, at: int) -> bytes:
    """Return an IPv6 packet with its payload's checksum (RFC 8200 section 8.1), `at` there."""
    payload = packet[40:]
    whole = packet[8:40] + struct.pack(">IxxxB", len(payload), packet[6]) + payload
    total = struct.pack(">H", _sum(whole) or 0xFFFF)
    return packet[: 40 + at] + total + packet[42 + at :]


def dhcp(client: str) -> bytes:
    """Return the fixed part of a BOOTP request with the client's hardware address."""
    return (
        struct.pack(">BBBBIHHIIII", 1, 1, 6, 0, 1, 0, 0, 0, 0, 0, 0)
        + mac(client)
        + bytes(202)
        + MARK
    )


def ipv6(source: str, to: str, following: int, payload: bytes) -> bytes:
    head = struct.pack(">IHBB", 6 << 28, len(payload), following, 255)
    return head + ip_address(source).packed + ip_address(to).packed + payload


def icmpv6(kind: int, target: str = "::") -> bytes:
    """Return a neighbour discovery message; its checksum is 0 and it has no option."""
    return struct.pack(">BBHI", kind, 0, 0, 0) + ip_address(target).packed + MARK


def fragment6(following: int, payload: bytes, offset: int = 0, *, more: bool = True) -> bytes:
    """Return a fragment header and its payload; `offset` in units of 8 bytes."""
    return struct.pack(">BBHI", following, 0, offset << 3 | more, 7) + payload


def options6(following: int, payload: bytes) -> bytes:
    """Return a hop-by-hop or destination options header of padding only."""
    return struct.pack(">BBBB4x", following, 0, 1, 4) + payload
