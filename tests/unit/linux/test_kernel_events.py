"""Which kernel messages cause an observation."""

import struct

import pytest

from a9fe.linux.kernel import rtnetlink
from a9fe.linux.kernel_events import (
    HOME,
    RTM_ADDRESS,
    RTM_LINK,
    RTM_ROUTE,
    RTM_SETTINGS,
    nft_event_concerns,
    route_event_concerns,
)
from a9fe.linux.observation import DHCP, L3

ELSEWHERE = 3


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def link(name: str, master: int = 0) -> bytes:
    on = attribute(10, struct.pack("=I", master)) if master else b""
    return rtnetlink.LINK.pack(0, 0, 1, 0, 0) + attribute(3, name.encode() + b"\0") + on


def address(label: str) -> bytes:
    return rtnetlink.ADDRESS.pack(2, 24, 0, 0, 1) + attribute(3, label.encode() + b"\0")


def route(table: int = 254, protocol: int = 3) -> bytes:
    return rtnetlink.ROUTE.pack(2, 24, 0, 0, table, protocol, 0, 1, 0)


@pytest.mark.parametrize(
    ("kind", "nsid", "body", "concerned"),
    [
        (RTM_LINK[0], HOME, link("tap0000000d-11"), "dhcp l3"),
        (RTM_LINK[1], HOME, link("brq0000000d-11"), "dhcp l3"),
        (RTM_LINK[0], HOME, link("vnet0", master=7), "dhcp l3"),
        (RTM_LINK[0], HOME, link("wlan0"), ""),
        (RTM_LINK[1], ELSEWHERE, link("qr-0000000d-11"), "l3"),
        (RTM_LINK[1], ELSEWHERE, link("ns-0000000d-11"), "dhcp"),
        (RTM_LINK[1], ELSEWHERE, link("eth0"), ""),
        (RTM_ADDRESS[1], ELSEWHERE, address("qr-0000000d-11"), "l3"),
        (RTM_ADDRESS[1], ELSEWHERE, address("eth0"), ""),
        (RTM_ADDRESS[1], HOME, address("eth0"), ""),
        (RTM_ROUTE[1], ELSEWHERE, route(), "dhcp l3"),
        (RTM_ROUTE[1], ELSEWHERE, route(table=255), ""),
        (RTM_ROUTE[1], ELSEWHERE, route(protocol=2), ""),
        (RTM_ROUTE[1], HOME, route(), ""),
        (RTM_SETTINGS[0], ELSEWHERE, b"", "dhcp l3"),
        (RTM_SETTINGS[0], HOME, b"", ""),
    ],
)
def test_rtnetlink(kind: int, nsid: int, body: bytes, concerned: str) -> None:
    found = [one.name for one in (DHCP, L3) if route_event_concerns(one, kind, nsid, body)]
    assert found == concerned.split()


def rules(family: int, table: str) -> bytes:
    return struct.pack("=BBH", family, 0, 0) + attribute(1, table.encode() + b"\0")


@pytest.mark.parametrize(
    ("kind", "nsid", "body", "concerned"),
    [
        (10 << 8 | 2, HOME, rules(7, "a9fe"), "dhcp l3"),
        (10 << 8 | 8, HOME, rules(2, "a9fe_host"), "dhcp l3"),
        (10 << 8 | 8, HOME, rules(2, "filter"), ""),
        (10 << 8 | 8, ELSEWHERE, rules(2, "nat"), "l3"),
        (10 << 8 | 15, HOME, rules(7, "a9fe"), ""),
        (10 << 8 | 15, ELSEWHERE, rules(0, ""), ""),
    ],
)
def test_nftables(kind: int, nsid: int, body: bytes, concerned: str) -> None:
    found = [one.name for one in (DHCP, L3) if nft_event_concerns(one, kind, nsid, body)]
    assert found == concerned.split()
