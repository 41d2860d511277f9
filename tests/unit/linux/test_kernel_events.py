"""The objects that kernel messages concern."""

import struct

import pytest

from a9fe.linux.kernel import rtnetlink
from a9fe.linux.kernel_events import (
    HOME,
    RTM_ADDRESS,
    RTM_LINK,
    RTM_ROUTE,
    RTM_SETTINGS,
    in_nft_event,
    in_route_event,
)
from a9fe.linux.observation import DHCP, L3
from a9fe.plan.operations import FILTERS

OURS, OTHER = 3, 4  # numbers of namespaces: one that was observed, and another one


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def link(name: str, master: int = 0) -> bytes:
    on = attribute(10, struct.pack("=I", master)) if master else b""
    return rtnetlink.LINK.pack(0, 0, 1, 0, 0) + attribute(3, name.encode() + b"\0") + on


def address(label: str) -> bytes:
    return rtnetlink.ADDRESS.pack(2, 24, 0, 0, 1) + attribute(3, label.encode() + b"\0")


def route(table: int = 254, protocol: int = 3) -> bytes:
    return rtnetlink.ROUTE.pack(2, 24, 0, 0, table, protocol, 0, 1, 0)


TAP, QR, NS = "tap0000000d-11", "qr-0000000d-11", "ns-0000000d-11"
SPACES = {3: "one of ours"}


def name_of(number: int) -> str:
    return SPACES.get(number, "")


@pytest.mark.parametrize(
    ("kind", "nsid", "body", "by_dhcp", "by_l3"),
    [
        (RTM_LINK[0], HOME, link(TAP), {TAP}, {TAP}),
        (RTM_LINK[1], HOME, link("brq0000000d-11"), {"brq0000000d-11"}, {"brq0000000d-11"}),
        (RTM_LINK[0], HOME, link("vnet0", master=1), set(), set()),
        (RTM_LINK[0], HOME, link("wlan0"), set(), set()),
        (RTM_LINK[1], OURS, link(QR), set(), {QR}),
        (RTM_LINK[1], OTHER, link(NS), {NS}, set()),
        (RTM_LINK[1], OURS, link("eth0"), set(), set()),
        (RTM_ADDRESS[1], OURS, address(QR), set(), {"one of ours"}),
        (RTM_ADDRESS[1], OURS, address("eth0"), set(), set()),
        (RTM_ADDRESS[1], OTHER, address(QR), set(), set()),
        (RTM_ADDRESS[1], HOME, address("eth0"), set(), set()),
        (RTM_ROUTE[1], OURS, route(), {"one of ours"}, {"one of ours"}),
        (RTM_ROUTE[1], OURS, route(table=255), set(), set()),
        (RTM_ROUTE[1], OURS, route(protocol=2), set(), set()),
        (RTM_ROUTE[1], HOME, route(), set(), set()),
        (RTM_SETTINGS[0], OURS, b"", {"one of ours"}, {"one of ours"}),
        (RTM_SETTINGS[0], HOME, b"", set(), set()),
    ],
)
def test_rtnetlink(kind: int, nsid: int, body: bytes, by_dhcp: set[str], by_l3: set[str]) -> None:
    assert in_route_event(DHCP, kind, nsid, body, name_of) == by_dhcp
    assert in_route_event(L3, kind, nsid, body, name_of) == by_l3


def rules(family: int, table: str) -> bytes:
    return struct.pack("=BBH", family, 0, 0) + attribute(1, table.encode() + b"\0")


@pytest.mark.parametrize(
    ("kind", "nsid", "body", "by_dhcp", "by_l3"),
    [
        (10 << 8 | 2, HOME, rules(7, "a9fe"), {FILTERS}, {FILTERS}),
        (10 << 8 | 8, HOME, rules(2, "a9fe_host"), {FILTERS}, {FILTERS}),
        (10 << 8 | 8, HOME, rules(2, "filter"), set(), set()),
        (10 << 8 | 8, OURS, rules(2, "nat"), set(), {"one of ours"}),
        (10 << 8 | 8, OTHER, rules(2, "nat"), set(), set()),
        (10 << 8 | 15, HOME, rules(7, "a9fe"), set(), set()),
        (10 << 8 | 15, OURS, rules(0, ""), set(), set()),
    ],
)
def test_nftables(kind: int, nsid: int, body: bytes, by_dhcp: set[str], by_l3: set[str]) -> None:
    assert in_nft_event(DHCP, kind, nsid, body, name_of) == by_dhcp
    assert in_nft_event(L3, kind, nsid, body, name_of) == by_l3
