"""Port look-up: the table of port_lookup.py, over a view of ports."""

from dataclasses import replace

import pytest

from a9fe.metadata_agent.lookup_key import LookupKey, RouterInterface, parse_lookup_key
from a9fe.metadata_agent.port_lookup import identify
from a9fe.model.resources import ROUTER_INTERFACE_OWNERS, Port
from a9fe.wire.message import Request
from a9fe.wire.refusals import Refusal
from tests.kit.fake_ports import FakePorts, fresh, port

LOST_AFTER = 60.0
INTERFACE = "network:router_interface"
VM_A = port("a", "net-a", "10.0.0.5")
VM_B = port("b", "net-b", "10.0.0.5")
VIEW = FakePorts(
    VM_A,
    VM_B,
    port("a2", "net-a", "10.0.0.6", "10.0.0.7"),
    port("dhcp", "net-a", "10.0.0.2", device="dhcp-x", owner="network:dhcp"),
    port("bare", "net-a", "10.0.0.8", device=""),
    port("ra", "net-a", "10.0.0.1", device="r-a", owner=INTERFACE),
    port("rb", "net-b", "10.0.0.1", device="r-b", owner=INTERFACE),
    port("rab1", "net-a", "10.0.0.3", device="r-ab", owner=INTERFACE),
    port("rab2", "net-b", "10.0.0.3", device="r-ab", owner=INTERFACE),
    port("gw", "net-a", "10.0.0.9", device="r-gw", owner="network:router_gateway"),
    port("split", "net-a", "10.0.0.20", device="a\nX-Tenant-ID: b"),
    port("accent", "net-a", "10.0.0.21", device="\u00e9"),
    port("blank", "net-a", "10.0.0.22", device="a "),
    port("twin1", "net-c", "10.0.0.5"),
    port("twin2", "net-c", "10.0.0.5"),
)

TABLE = {
    "network": (LookupKey(guest_address="10.0.0.5", network_id="net-a"), VM_A),
    "other network, same address": (LookupKey(guest_address="10.0.0.5", network_id="net-b"), VM_B),
    "second address": (LookupKey(guest_address="10.0.0.7", network_id="net-a"), VIEW.ports[2]),
    "unknown address": (LookupKey(guest_address="10.0.0.99", network_id="net-a"), Refusal.NO_PORT),
    "unknown network": (LookupKey(guest_address="10.0.0.5", network_id="net-x"), Refusal.NO_PORT),
    "address of another network": (
        LookupKey(guest_address="10.0.0.6", network_id="net-b"),
        Refusal.NO_PORT,
    ),
    "two on one network": (
        LookupKey(guest_address="10.0.0.5", network_id="net-c"),
        Refusal.SEVERAL_PORTS,
    ),
    "DHCP port": (
        LookupKey(guest_address="10.0.0.2", network_id="net-a"),
        Refusal.NO_INSTANCE_ON_PORT,
    ),
    "router's port": (
        LookupKey(guest_address="10.0.0.1", network_id="net-a"),
        Refusal.NO_INSTANCE_ON_PORT,
    ),
    "no device": (
        LookupKey(guest_address="10.0.0.8", network_id="net-a"),
        Refusal.NO_INSTANCE_ON_PORT,
    ),
    "a line break": (
        LookupKey(guest_address="10.0.0.20", network_id="net-a"),
        Refusal.UNUSABLE_ID,
    ),
    "not ASCII": (LookupKey(guest_address="10.0.0.21", network_id="net-a"), Refusal.UNUSABLE_ID),
    "a blank at the end": (
        LookupKey(guest_address="10.0.0.22", network_id="net-a"),
        Refusal.UNUSABLE_ID,
    ),
    "router": (LookupKey(guest_address="10.0.0.5", router_id="r-a"), VM_A),
    "other router, same address": (LookupKey(guest_address="10.0.0.5", router_id="r-b"), VM_B),
    "router of two networks that overlap": (
        LookupKey(guest_address="10.0.0.5", router_id="r-ab"),
        Refusal.SEVERAL_PORTS,
    ),
    "router of two networks": (
        LookupKey(guest_address="10.0.0.6", router_id="r-ab"),
        VIEW.ports[2],
    ),
    "router without network": (
        LookupKey(guest_address="10.0.0.5", router_id="r-0"),
        Refusal.NO_PORT,
    ),
    "router with a gateway only": (
        LookupKey(guest_address="10.0.0.5", router_id="r-gw"),
        Refusal.NO_PORT,
    ),
    "an instance is no router": (
        LookupKey(guest_address="10.0.0.5", router_id="vm"),
        Refusal.NO_PORT,
    ),
}
CERTAIN = [fresh()]
UNCERTAIN = [
    (fresh(ever_synced=False, synced_now=False, lost_for=float("inf")), Refusal.NOT_SYNCED),
    (fresh(synced_now=False), Refusal.NOT_SYNCED),
    (fresh(synced_now=False, lost_for=LOST_AFTER), Refusal.NOT_SYNCED),
    (fresh(synced_now=False, lost_for=LOST_AFTER + 0.1), Refusal.SOURCE_LOST),
]


@pytest.mark.parametrize(("key", "expected"), TABLE.values(), ids=TABLE.keys())
def test_look_up_when_certain(key, expected):
    assert identify(VIEW, key, fresh(), LOST_AFTER) == expected


@pytest.mark.parametrize(("freshness", "refusal"), UNCERTAIN)
@pytest.mark.parametrize(("key", "expected"), TABLE.values(), ids=TABLE.keys())
def test_when_uncertain_ports_are_served_and_misses_are_503(key, expected, freshness, refusal):
    said = identify(VIEW, key, freshness, LOST_AFTER)
    assert said == (expected if isinstance(expected, Port) else refusal)


# The interface of the request, against the replica. r-ab has an interface on both networks, and
# each network has a port with 10.0.0.5.
AB_A = RouterInterface(port_id="rab1", network_id="net-a", local_address="10.0.0.3")
AB_B = RouterInterface(port_id="rab2", network_id="net-b", local_address="10.0.0.3")
INTERFACES = {
    "on one interface": ("r-ab", AB_A, VM_A),
    "on the other interface": ("r-ab", AB_B, VM_B),
    "an interface of another router": ("r-a", AB_A, Refusal.WIRE_DIFFERS),
    "a deleted interface": ("r-ab", replace(AB_A, port_id="gone"), Refusal.WIRE_DIFFERS),
    "wired to another network": ("r-ab", replace(AB_A, network_id="net-b"), Refusal.WIRE_DIFFERS),
    "no network": ("r-ab", replace(AB_A, network_id=""), Refusal.WIRE_DIFFERS),
    "another address": ("r-ab", replace(AB_A, local_address="10.0.0.4"), Refusal.WIRE_DIFFERS),
    "no address": ("r-ab", replace(AB_A, local_address=""), Refusal.WIRE_DIFFERS),
    "a port of a VM": (
        "vm",
        RouterInterface(port_id="a", network_id="net-a", local_address="10.0.0.5"),
        None,
    ),
    "its gateway": (
        "r-gw",
        RouterInterface(port_id="gw", network_id="net-a", local_address="10.0.0.9"),
        None,
    ),
}


@pytest.mark.parametrize("freshness", [*CERTAIN, *[fresh for fresh, _ in UNCERTAIN]])
@pytest.mark.parametrize(
    ("router", "interface", "expected"), INTERFACES.values(), ids=INTERFACES.keys()
)
def test_a_request_belongs_to_its_interfaces_network_or_none(
    router, interface, expected, freshness
):
    key = LookupKey(guest_address="10.0.0.5", router_id=router, interface=interface)
    expected = expected or Refusal.WIRE_DIFFERS
    assert identify(VIEW, key, freshness, LOST_AFTER) == expected


def test_an_address_of_the_routers_other_network_is_not_found():
    key = LookupKey(guest_address="10.0.0.6", router_id="r-ab", interface=AB_B)
    assert identify(VIEW, key, fresh(), LOST_AFTER) == Refusal.NO_PORT


@pytest.mark.parametrize(
    ("mac", "expected"),
    [
        ("", VM_A),  # unknown: the SYN was answered with a cookie
        ("fa:16:3e:00:00:01", VM_A),
        ("fa:16:3e:00:00:02", Refusal.WRONG_MAC),
        ("nonsense", Refusal.WRONG_MAC),
    ],
)
def test_a_connection_of_another_mac_is_not_the_ports(mac, expected):
    key = LookupKey(guest_address="10.0.0.5", network_id="net-a", guest_mac=mac)
    assert identify(VIEW, key, fresh(), LOST_AFTER) == expected


ROUTER_MAC, OTHER_MAC = "fa:16:3e:00:00:aa", "fa:16:3e:00:00:bb"
BEHIND = FakePorts(
    VM_A,
    replace(port("ra", "net-a", "10.0.0.1", device="r-a", owner=INTERFACE), mac_address=OTHER_MAC),
    replace(port("rm", "net-m", "m", device="r-a", owner=INTERFACE), mac_address=ROUTER_MAC),
)


@pytest.mark.parametrize(
    ("mac", "where", "expected"),
    [
        (ROUTER_MAC, {"router_id": "r-a"}, VM_A),  # the router forwards to its metadata network
        (VM_A.mac_address, {"router_id": "r-a"}, VM_A),
        ("fa:16:3e:00:00:cc", {"router_id": "r-a"}, Refusal.WRONG_MAC),
        (OTHER_MAC, {"network_id": "net-a"}, Refusal.WRONG_MAC),
        (
            OTHER_MAC,
            {
                "router_id": "r-a",
                "interface": RouterInterface(
                    port_id="ra", network_id="net-a", local_address="10.0.0.1"
                ),
            },
            Refusal.WRONG_MAC,
        ),
    ],
)
def test_a_router_forwards_requests_to_its_metadata_network_only(mac, where, expected):
    key = LookupKey(guest_address="10.0.0.5", guest_mac=mac, **where)
    assert identify(BEHIND, key, fresh(), LOST_AFTER) == expected


@pytest.mark.parametrize(
    ("connected_at", "expected"),
    [
        (None, VM_A),  # the connection was answered for this port before, or the proxy is not ours
        (99.9, Refusal.CONNECTION_TOO_OLD),
        (100.0, VM_A),
        (0.0, Refusal.CONNECTION_TOO_OLD),
    ],
)
def test_a_connection_older_than_the_port_is_not_the_ports(connected_at, expected):
    view = FakePorts(VM_A, since={VM_A.id: 100.0})
    key = LookupKey(guest_address="10.0.0.5", network_id="net-a", connected_at=connected_at)
    assert identify(view, key, fresh(), LOST_AFTER) == expected


@pytest.mark.parametrize(
    ("address", "network", "expected"),
    [
        ("fe80::f816:3eff:fe00:1", "net-b", VM_B),  # fa:16:3e:00:00:01, as Neutron finds it
        ("fe80::f816:3eff:fe00:2", "net-b", Refusal.NO_PORT),
        ("fe80::f816:3e00:0:1", "net-b", Refusal.NO_PORT),  # not made of a MAC
        ("2001:db8::f816:3eff:fe00:1", "net-b", Refusal.NO_PORT),
    ],
)
def test_a_link_local_address_identifies_the_port_by_its_mac(address, network, expected):
    view = FakePorts(VM_A, VM_B, port("rb", "net-b", "10.0.0.1", device="r-b", owner=INTERFACE))
    view.ports = (VM_A, VM_B, replace(view.ports[2], mac_address="fa:16:3e:00:00:99"))
    for where in ({"network_id": network}, {"router_id": "r-b"}):
        key = LookupKey(guest_address=address, **where)
        assert identify(view, key, fresh(), LOST_AFTER) == expected


OPAQUE, PRIVATE = "fe80::5c1e:77aa:9d:1", "fd00::9d:1"  # of no port, and not made of a MAC
MAC_B = "fa:16:3e:00:00:0b"
V6 = FakePorts(
    VM_A,
    replace(port("b6", "net-a", "fd00::b"), mac_address=MAC_B),
    replace(port("b7", "net-b", "fd00::b"), mac_address=MAC_B),
)
IPV6_SOURCES = {
    "opaque link-local": (OPAQUE, MAC_B, V6.ports[1]),
    "privacy": (PRIVATE, MAC_B, V6.ports[1]),
    "fixed IP": ("fd00::b", MAC_B, V6.ports[1]),
    "fixed IP of another port": ("fd00::b", VM_A.mac_address, Refusal.WRONG_MAC),
    "link-local address of another port": (
        "fe80::f816:3eff:fe00:b",
        VM_A.mac_address,
        Refusal.WRONG_MAC,
    ),
    "fixed IP, no MAC": ("fd00::b", "", V6.ports[1]),
    "opaque, no MAC": (OPAQUE, "", Refusal.MAC_UNKNOWN),
    "opaque, a MAC of no port": (OPAQUE, "fa:16:3e:00:00:0c", Refusal.NO_PORT),
    "IPv4 of no port": ("10.0.0.99", MAC_B, Refusal.NO_PORT),
}


@pytest.mark.parametrize(
    ("address", "mac", "expected"), IPV6_SOURCES.values(), ids=IPV6_SOURCES.keys()
)
def test_an_ipv6_address_of_no_port_identifies_by_mac(address, mac, expected):
    key = LookupKey(guest_address=address, network_id="net-a", guest_mac=mac, by_our_proxy=True)
    assert identify(V6, key, fresh(), LOST_AFTER) == expected


def test_another_proxy_sends_no_mac_and_an_opaque_address_is_a_miss_as_in_neutron():
    key = LookupKey(guest_address=OPAQUE, network_id="net-a")
    assert identify(V6, key, fresh(), LOST_AFTER) == Refusal.NO_PORT


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ("fe80::a9fe:a9fe", VM_A),
        ("fe80::f816:3eff:fe00:1", VM_A),  # where the kernel redirects to
        ("fe80::f816:3eff:fe00:2", Refusal.WIRE_DIFFERS),
        ("fd00::1", Refusal.WIRE_DIFFERS),
    ],
)
def test_a_router_interface_has_its_link_local_addresses(local, expected):
    interface = RouterInterface(port_id="ra", network_id="net-a", local_address=local)
    key = LookupKey(guest_address="10.0.0.5", router_id="r-a", interface=interface)
    assert identify(VIEW, key, fresh(), LOST_AFTER) == expected


@pytest.mark.parametrize("owner", sorted(ROUTER_INTERFACE_OWNERS))
def test_every_kind_of_router_interface_counts(owner):
    view = FakePorts(VM_A, port("r", "net-a", "10.0.0.1", device="r1", owner=owner))
    assert identify(view, LookupKey(guest_address="10.0.0.5", router_id="r1"), fresh(), 1) == VM_A


def test_a_router_twice_on_a_network_finds_the_port_once():
    view = FakePorts(
        VM_A,
        port("r1", "net-a", "10.0.0.1", device="r", owner=INTERFACE),
        port("r2", "net-a", "10.1.0.1", device="r", owner=INTERFACE),
    )
    assert identify(view, LookupKey(guest_address="10.0.0.5", router_id="r"), fresh(), 1) == VM_A


XFF, NET, ROUTER = b"x-forwarded-for", b"x-neutron-network-id", b"x-neutron-router-id"
OVN = b"x-ovn-network-id"
FIVE = (XFF, b"10.0.0.5")
HEADERS = {
    "network": ((FIVE, (NET, b"n")), LookupKey(guest_address="10.0.0.5", network_id="n")),
    "router": ((FIVE, (ROUTER, b"r")), LookupKey(guest_address="10.0.0.5", router_id="r")),
    "upper case": ((FIVE, (NET, b"AB-C")), LookupKey(guest_address="10.0.0.5", network_id="ab-c")),
    "our proxy's": (
        (FIVE, (NET, b"n"), (b"x-a9fe-hop", b"1")),
        LookupKey(guest_address="10.0.0.5", network_id="n", by_our_proxy=True),
    ),
    "OVN's": ((FIVE, (OVN, b"n")), LookupKey(guest_address="10.0.0.5", network_id="n")),
    "OVN's and Neutron's": ((FIVE, (OVN, b"n"), (NET, b"n")), Refusal.BOTH_IDS),
    "OVN's and a router": ((FIVE, (OVN, b"n"), (ROUTER, b"r")), Refusal.BOTH_IDS),
    "an interface": (
        (
            FIVE,
            (ROUTER, b"r"),
            (b"x-a9fe-interface-port", b"P"),
            (b"x-a9fe-network", b"n"),
            (b"x-a9fe-local-address", b"10.0.0.1"),
            (b"x-a9fe-mac", b"FA:16:3e:00:00:01"),
            (b"x-a9fe-connected-at", b"12345"),
        ),
        LookupKey(
            guest_address="10.0.0.5",
            router_id="r",
            interface=RouterInterface(port_id="p", network_id="n", local_address="10.0.0.1"),
            guest_mac="fa:16:3e:00:00:01",
            connected_at=12.345,
        ),
    ),
    "an interface without network and address": (
        (FIVE, (ROUTER, b"r"), (b"x-a9fe-interface-port", b""), (b"x-a9fe-connected-at", b"x")),
        LookupKey(
            guest_address="10.0.0.5",
            router_id="r",
            interface=RouterInterface(port_id="", network_id="", local_address=""),
            connected_at=0.0,
        ),
    ),
    "both": ((FIVE, (NET, b"n"), (ROUTER, b"r")), Refusal.BOTH_IDS),
    "two networks": ((FIVE, (NET, b"n"), (NET, b"m")), Refusal.BOTH_IDS),
    "none": ((FIVE,), Refusal.NO_ID),
    "empty": ((FIVE, (NET, b"")), Refusal.NO_ID),
    "no address": (((NET, b"n"),), Refusal.BAD_ADDRESS),
    "empty address": (((XFF, b""), (NET, b"n")), Refusal.BAD_ADDRESS),
    "a name": (((XFF, b"localhost"), (NET, b"n")), Refusal.BAD_ADDRESS),
    "with port": (((XFF, b"10.0.0.5:80"), (NET, b"n")), Refusal.BAD_ADDRESS),
    "leading zero": (((XFF, b"10.0.0.05"), (NET, b"n")), Refusal.BAD_ADDRESS),
    "no ASCII": (((XFF, b"\xff"), (NET, b"n")), Refusal.BAD_ADDRESS),
    "ends in a comma": (((XFF, b"10.0.0.5,"), (NET, b"n")), Refusal.BAD_ADDRESS),
    "mapped": (
        ((XFF, b"::ffff:10.0.0.5"), (NET, b"n")),
        LookupKey(guest_address="10.0.0.5", network_id="n"),
    ),
    "IPv6": (
        ((XFF, b"2001:DB8:0::1"), (NET, b"n")),
        LookupKey(guest_address="2001:db8::1", network_id="n"),
    ),
    "link-local with zone": (
        ((XFF, b"fe80::1%eth0"), (NET, b"n")),
        LookupKey(guest_address="fe80::1", network_id="n"),
    ),
    "haproxy behind a guest's own": (
        ((XFF, b"10.9.9.9"), FIVE, (NET, b"n")),
        LookupKey(guest_address="10.0.0.5", network_id="n"),
    ),
    "the same in one line": (
        ((XFF, b"10.9.9.9, 10.0.0.5"), (NET, b"n")),
        LookupKey(guest_address="10.0.0.5", network_id="n"),
    ),
}


@pytest.mark.parametrize(("headers", "expected"), HEADERS.values(), ids=HEADERS.keys())
def test_the_lookup_key_of_the_proxys_headers(headers, expected):
    assert parse_lookup_key(Request(method=b"GET", target=b"/", headers=headers)) == expected
