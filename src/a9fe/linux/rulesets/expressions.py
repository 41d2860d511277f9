"""nftables expressions of rules, as iptables-nft makes them, and their messages.

Each is a value; `write` and `read` convert to and from the attributes of a rule. All work on
register 1. An expression or an attribute value that iptables-nft does not make is read as None.
Source: linux/netfilter/nf_tables.h, nf_tables_compat.h.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from a9fe.linux.kernel.netlink import Attributes, attribute, attributes, nested, text

NAME, DATA = 1, 2  # of an expression
VALUE, VERDICT = 1, 2  # of data
REGISTER = 1
NETWORK, TRANSPORT = 1, 2  # bases of a payload
MARK, INPUT, OUTPUT, PROTOCOL = 3, 6, 7, 16  # keys of meta
DROP, ACCEPT, JUMP, RETURN = 0, 1, -3, -5  # verdicts


@dataclass(frozen=True, slots=True)
class Meta:
    """Load a property of the packet."""

    key: int


@dataclass(frozen=True, slots=True)
class Payload:
    """Load bytes of the packet."""

    base: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Bitwise:
    """Mask the register."""

    mask: bytes


@dataclass(frozen=True, slots=True)
class Compare:
    """Go on if the register equals the data, or does not."""

    data: bytes
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Range:
    """Go on if the register is from low to high, or is not."""

    low: bytes
    high: bytes
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Counter:
    """Count. Its counts are not read."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """End the rule. `chain` is set for JUMP."""

    code: int
    chain: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """A match of xtables."""

    name: str
    revision: int
    info: bytes


@dataclass(frozen=True, slots=True)
class Target:
    """A target of xtables."""

    name: str
    revision: int
    info: bytes


Expression = Meta | Payload | Bitwise | Compare | Range | Counter | Verdict | Match | Target


def write(expression: Expression) -> bytes:
    """The body of an element of NFTA_RULE_EXPRESSIONS."""
    name, data = _WRITERS[type(expression)](expression)
    return attribute(NAME, name) + nested(DATA, *data)


def read(body: bytes) -> Expression | None:
    """The expression of an element of NFTA_RULE_EXPRESSIONS; None if it is not understood."""
    has = attributes(body)
    reader = _READERS.get(text(has, NAME))
    try:
        return reader(attributes(has.get(DATA, b""))) if reader else None
    except (KeyError, struct.error):
        return None


def big_endian(kind: int, value: int) -> bytes:
    """An attribute of 32 bits in network order."""
    return attribute(kind, struct.pack(">i" if value < 0 else ">I", value))


def number(has: Attributes, kind: int) -> int:
    """The value of an attribute of 32 bits in network order. Raises KeyError or struct.error."""
    return int(struct.unpack(">I", has[kind])[0])


def _value(kind: int, data: bytes) -> bytes:
    return nested(kind, attribute(VALUE, data))


def _data(has: Attributes, kind: int) -> bytes:
    return attributes(has[kind])[VALUE]


def _verdict(one: Verdict) -> tuple[str, list[bytes]]:
    chain = attribute(2, one.chain) if one.chain else b""
    return "immediate", [
        big_endian(1, 0),
        nested(2, nested(VERDICT, big_endian(1, one.code), chain)),
    ]


_WRITERS: Mapping[type, Callable[..., tuple[str, list[bytes]]]] = {
    Meta: lambda e: ("meta", [big_endian(2, e.key), big_endian(1, REGISTER)]),
    Payload: lambda e: (
        "payload",
        [
            big_endian(1, REGISTER),
            big_endian(2, e.base),
            big_endian(3, e.offset),
            big_endian(4, e.length),
        ],
    ),
    Bitwise: lambda e: (
        "bitwise",
        [
            big_endian(1, REGISTER),
            big_endian(2, REGISTER),
            big_endian(3, len(e.mask)),
            _value(4, e.mask),
            _value(5, bytes(len(e.mask))),
        ],
    ),
    Compare: lambda e: (
        "cmp",
        [big_endian(1, REGISTER), big_endian(2, e.negated), _value(3, e.data)],
    ),
    Range: lambda e: (
        "range",
        [
            big_endian(1, REGISTER),
            big_endian(2, e.negated),
            _value(3, e.low),
            _value(4, e.high),
        ],
    ),
    Counter: lambda _: ("counter", [attribute(1, bytes(8)), attribute(2, bytes(8))]),
    Verdict: _verdict,
    Match: lambda e: ("match", _xtables(e)),
    Target: lambda e: ("target", _xtables(e)),
}


def _xtables(one: Match | Target) -> list[bytes]:
    return [attribute(1, one.name), big_endian(2, one.revision), attribute(3, one.info)]


def _read_bitwise(has: Attributes) -> Bitwise | None:
    mask = _data(has, 4)
    operation = number(has, 6) if 6 in has else 0
    plain = _data(has, 5) == bytes(len(mask)) and operation == 0
    return Bitwise(mask) if plain and _in_register(has, 1, 2) else None


def _read_verdict(has: Attributes) -> Verdict | None:
    if number(has, 1) != 0:
        return None
    verdict = attributes(attributes(has[2])[VERDICT])
    return Verdict(int(struct.unpack(">i", verdict[1])[0]), text(verdict, 2))


def _read_comparison(has: Attributes) -> Compare | None:
    operation = number(has, 2)
    known = operation in (0, 1) and _in_register(has, 1)
    return Compare(_data(has, 3), bool(operation)) if known else None


def _read_range(has: Attributes) -> Range | None:
    operation = number(has, 2)
    known = operation in (0, 1) and _in_register(has, 1)
    return Range(_data(has, 3), _data(has, 4), bool(operation)) if known else None


def _in_register(has: Attributes, *kinds: int) -> bool:
    return all(number(has, kind) == REGISTER for kind in kinds)


_READERS: Mapping[str, Callable[[Attributes], Expression | None]] = {
    "meta": lambda has: Meta(number(has, 2)) if _in_register(has, 1) else None,
    "payload": lambda has: (
        Payload(number(has, 2), number(has, 3), number(has, 4)) if _in_register(has, 1) else None
    ),
    "bitwise": _read_bitwise,
    "cmp": _read_comparison,
    "range": _read_range,
    "counter": lambda _: Counter(),
    "immediate": _read_verdict,
    "match": lambda has: Match(text(has, 1), number(has, 2), has[3]),
    "target": lambda has: Target(text(has, 1), number(has, 2), has[3]),
}
