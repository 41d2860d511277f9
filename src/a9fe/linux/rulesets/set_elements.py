"""The elements of the filters' sets as the kernel has them: written and read by netlink.

A change of some elements costs those elements: `nft` would be a process for each change, and
would read whole sets. Source: linux/netfilter/nf_tables.h (set elements).
"""

import socket
from collections.abc import Callable, Iterator, Mapping, Set
from ipaddress import ip_network

from a9fe.linux.kernel import netlink, nfnetlink
from a9fe.linux.kernel.nfnetlink import BRIDGE
from a9fe.plan.filters.bridge_filter import SETS, Taps

NEW_ELEMENTS, GET_ELEMENTS, DELETE_ELEMENTS = 12, 13, 14  # NFT_MSG_*SETELEM
TABLE, SET, ELEMENTS = 1, 2, 3  # NFTA_SET_ELEM_LIST_*
ELEMENT = 1  # NFTA_LIST_ELEM
KEY, KEY_END = 1, 10  # NFTA_SET_ELEM_*
VALUE = 1  # NFTA_DATA_VALUE
DEVICE_NAME = 16  # bytes
PER_MESSAGE = 500  # the attribute of a list holds less than 64 KiB

Encoded = Mapping[str, frozenset[bytes]]  # elements by set


def encoded(taps: Taps) -> Encoded:
    """The elements of these taps. O(elements)."""
    found: dict[str, set[bytes]] = {}
    for device, elements in taps.items():
        for name, rest in elements:
            found.setdefault(name, set()).add(_element(name, device, rest))
    return {name: frozenset(elements) for name, elements in found.items()}


def loaded(table: str) -> Encoded:
    """All elements of a table of the bridge family. O(elements). Raises OSError."""
    read = ((name, frozenset(_read(table, name))) for name in SETS)
    return {name: elements for name, elements in read if elements}


def requests(table: str, old: Taps, new: Taps) -> Iterator[nfnetlink.Request]:
    """The requests that turn the taps `old` into the taps `new`. O(their elements)."""
    gone, added = encoded(old), encoded(new)
    for name in SETS:
        before, after = gone.get(name, frozenset()), added.get(name, frozenset())
        yield from _requests(DELETE_ELEMENTS, 0, table, name, before - after)
        yield from _requests(NEW_ELEMENTS, netlink.NLM_F_CREATE, table, name, after - before)


def _requests(
    kind: int, flags: int, table: str, name: str, elements: Set[bytes]
) -> Iterator[nfnetlink.Request]:
    where, listed = _where(table, name), [netlink.attribute(ELEMENT, each) for each in elements]
    for start in range(0, len(listed), PER_MESSAGE):
        some = listed[start : start + PER_MESSAGE]
        yield kind, flags, where + netlink.nested(ELEMENTS, *some)


def _element(name: str, device: str, rest: str) -> bytes:
    keys, values = SETS[name], rest.split(" . ") if rest else []
    head = device.encode().ljust(DEVICE_NAME, b"\0")
    bounds = [_BOUNDS[field](value) for field, value in zip(keys.fields, values, strict=True)]
    found = _key(KEY, head + b"".join(low for low, _ in bounds))
    if keys.is_interval:
        found += _key(KEY_END, head + b"".join(high for _, high in bounds))
    return found


def _key(kind: int, value: bytes) -> bytes:
    return netlink.attribute(kind, netlink.attribute(VALUE, value))


def _read(table: str, name: str) -> Iterator[bytes]:
    for message in nfnetlink.dump(BRIDGE, GET_ELEMENTS, _where(table, name)):
        for _, element in netlink.attribute_list(message.get(ELEMENTS, b"")):
            yield element


def _where(table: str, name: str) -> bytes:
    return netlink.attribute(TABLE, table) + netlink.attribute(SET, name)


def _mac(text: str) -> tuple[bytes, bytes]:
    value = bytes.fromhex(text.replace(":", "")) + b"\0\0"  # fields are padded to 4 bytes
    return value, value


def _ipv4(text: str) -> tuple[bytes, bytes]:
    return _addresses(socket.AF_INET, text)


def _ipv6(text: str) -> tuple[bytes, bytes]:
    return _addresses(socket.AF_INET6, text)


def _addresses(family: int, text: str) -> tuple[bytes, bytes]:
    if "/" in text:
        prefix = ip_network(text)
        return prefix.network_address.packed, prefix.broadcast_address.packed
    value = socket.inet_pton(family, text)
    return value, value


def _hardware(text: str) -> tuple[bytes, bytes]:
    value = int(text, 16).to_bytes(6, "big") + b"\0\0"
    return value, value


def _target(text: str) -> tuple[bytes, bytes]:
    first, _, last = text.partition("-")
    return int(first, 16).to_bytes(16, "big"), int(last or first, 16).to_bytes(16, "big")


_BOUNDS: dict[str, Callable[[str], tuple[bytes, bytes]]] = {
    "mac": _mac,
    "ipv4": _ipv4,
    "ipv6": _ipv6,
    "chaddr": _hardware,
    "target": _target,
}
"""The first and last value of each of bridge_filter.FIELDS, from its text."""
