"""The structures of xtables' matches and targets that plans use, and their text in iptables-save.

All numbers are in the host's order, ports and addresses in network order. Sizes are those that
iptables-nft sends: multiples of 8. Sources: linux/netfilter/xt_conntrack.h, nf_nat.h, xt_mark.h,
linux/netfilter_ipv6/ip6_tables.h.
"""

import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

NUMBER = struct.Struct("=I")
MARK = struct.Struct("=II")
ICMP6 = struct.Struct("=BBBB4x")
CONNTRACK = struct.Struct("=146xHHH16x")  # the tests that are made, negated, states
STATE_TEST = 1
# In the order in which iptables-save prints them.
STATES = {
    "INVALID": 1 << 0,
    "NEW": 1 << 3,
    "RELATED": 1 << 2,
    "ESTABLISHED": 1 << 1,
    "UNTRACKED": 1 << 8,
    "SNAT": 1 << 6,
    "DNAT": 1 << 7,
}
RANGES = struct.Struct("=II4s4s2s2s4x")  # a count, flags, addresses, ports: IPv4 only
RANGE = struct.Struct("=I16s16s2s2s")  # flags, addresses, ports
RANGE_2 = struct.Struct("=I16s16s2s2s8x")
MAP_ADDRESSES, MAP_PORTS = 1, 2
NO_PORT = bytes(2)


def port(text: str) -> bytes:
    """A port. Raises ValueError or OverflowError."""
    return int(text).to_bytes(2, "big")


def read_port(raw: bytes) -> str:
    """The text of a port."""
    return str(int.from_bytes(raw, "big"))


def address(raw: bytes) -> str:
    """The text of an address in the form of the C library, which iptables-save prints."""
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)


def mark(text: str) -> tuple[int, int]:
    """Value and mask of "0x1/0xffff" or "0x1". Raises ValueError."""
    value, _, mask = text.partition("/")
    return int(value, 16), int(mask, 16) if mask else 0xFFFFFFFF


def states(text: str, *, negated: bool) -> bytes:
    """A conntrack match by state. Raises KeyError."""
    bits = sum(STATES[name] for name in set(text.split(",")))
    return CONNTRACK.pack(STATE_TEST, STATE_TEST if negated else 0, bits)


def read_states(info: bytes) -> tuple[str, bool]:
    """The states, and whether they are negated. Raises struct.error's ValueError."""
    _, negated, bits = _unpack(CONNTRACK, info)
    return ",".join(name for name, bit in STATES.items() if bits & bit), bool(negated)


def icmp6(text: str, *, negated: bool) -> bytes:
    """An ICMPv6 match by type or "type/code"."""
    kind, _, code = text.partition("/")
    low, high = (int(code), int(code)) if code else (0, 255)
    return ICMP6.pack(_byte(int(kind)), _byte(low), _byte(high), negated)


def read_icmp6(info: bytes) -> tuple[str, bool]:
    """The type and code, and whether they are negated."""
    kind, low, high, negated = _unpack(ICMP6, info)
    return (str(kind) if (low, high) == (0, 255) else f"{kind}/{low}"), bool(negated)


def _byte(value: int) -> int:
    if not 0 <= value <= 255:
        raise ValueError(value)
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetForm:
    """A target: its option, its revision by IP version, and its structure from and to text."""

    option: str
    revisions: Mapping[int, int]
    write: Callable[[str, int], bytes]
    read: Callable[[bytes, int], str]


def _write_mark(text: str, _: int) -> bytes:
    value, mask = mark(text)
    if max(value, mask) > 0xFFFFFFFF or min(value, mask) < 0:
        raise ValueError(text)
    return MARK.pack(value, mask)


def _read_mark(info: bytes, _: int) -> str:
    value, mask = _unpack(MARK, info)
    return f"{value:#x}/{mask:#x}"


@dataclass(frozen=True, slots=True)
class _Nat:
    """An address and ports that replace others."""

    flags: int = 0
    address: bytes = b""
    low: bytes = NO_PORT
    high: bytes = NO_PORT

    def pack(self, ip_version: int) -> bytes:
        """For SNAT, REDIRECT and MASQUERADE."""
        rest = (self.flags, self.address, self.address, self.low, self.high)
        return RANGES.pack(1, *rest) if ip_version == 4 else RANGE.pack(*rest)

    def pack_2(self) -> bytes:
        """For DNAT."""
        return RANGE_2.pack(self.flags, self.address, self.address, self.low, self.high)


def _unpack_nat(info: bytes, ip_version: int) -> _Nat:
    found = _unpack(RANGES, info)[1:] if ip_version == 4 else _unpack(RANGE, info)
    flags, address, _, low, high = found
    return _Nat(flags, address, low, high)


def _unpack_nat_2(info: bytes, ip_version: int) -> _Nat:
    flags, address, _, low, high = _unpack(RANGE_2, info)
    return _Nat(flags, address[:4] if ip_version == 4 else address, low, high)


def _ports(text: str) -> _Nat:
    low, _, high = text.partition("-")
    return _Nat(MAP_PORTS, b"", port(low), port(high or low))


def _ports_text(nat: _Nat) -> str:
    low, high = read_port(nat.low), read_port(nat.high)
    return low if low == high else f"{low}-{high}"


def _place(text: str, ip_version: int) -> _Nat:
    """An address, "address:port" or "[address]:port"; a port may be "low-high"."""
    if ip_version == 6 and text.startswith("["):
        own, _, ports = text[1:].partition("]:")
    elif ip_version == 4:
        own, _, ports = text.partition(":")
    else:
        own, ports = text, ""
    raw = ip_address(own).packed
    if len(raw) != (4 if ip_version == 4 else 16):
        raise ValueError(text)
    if not ports:
        return _Nat(MAP_ADDRESSES, raw)
    found = _ports(ports)
    return _Nat(MAP_ADDRESSES | MAP_PORTS, raw, found.low, found.high)


def _place_text(nat: _Nat) -> str:
    own = address(nat.address)
    if not nat.flags & MAP_PORTS:
        return own
    shown = f"[{own}]" if ":" in own else own
    return f"{shown}:{_ports_text(nat)}"


def _unpack(form: struct.Struct, info: bytes) -> tuple[Any, ...]:
    if len(info) != form.size:
        raise ValueError(info)
    return form.unpack(info)


TARGETS = {
    "MARK": TargetForm(
        option="--set-xmark", revisions={4: 2, 6: 2}, write=_write_mark, read=_read_mark
    ),
    "REDIRECT": TargetForm(
        option="--to-ports",
        revisions={4: 0, 6: 0},
        write=lambda text, ip: _ports(text).pack(ip),
        read=lambda info, ip: _ports_text(_unpack_nat(info, ip)),
    ),
    "SNAT": TargetForm(
        option="--to-source",
        revisions={4: 0, 6: 1},
        write=lambda text, ip: _place(text, ip).pack(ip),
        read=lambda info, ip: _place_text(_unpack_nat(info, ip)),
    ),
    "DNAT": TargetForm(
        option="--to-destination",
        revisions={4: 2, 6: 2},
        write=lambda text, ip: _place(text, ip).pack_2(),
        read=lambda info, ip: _place_text(_unpack_nat_2(info, ip)),
    ),
    "MASQUERADE": TargetForm(
        option="",
        revisions={4: 0, 6: 0},
        write=lambda _, ip: _Nat().pack(ip),
        read=lambda _, __: "",
    ),
}
