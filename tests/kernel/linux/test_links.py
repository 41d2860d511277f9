"""Links, addresses and routes as iproute2 shows them; what the kernel refuses is named."""

import json
import subprocess

import pytest

from a9fe.linux.kernel import links, namespace, rtnetlink
from a9fe.plan import ipv6
from a9fe.plan.host import Address, Bridge, Route, Veth
from tests.kit.conditions import eventually
from tests.lab.places import MARK

SPACE = "t-links"
BRIDGE = Bridge(name="brqaaaaaaaa-77", mtu=1450)
PAIR = Veth(inner="qr-1", outer="tap1", bridge=BRIDGE.name, mac="fa:16:3e:00:00:01", mtu=1400)


def run(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def shown(*argv):
    return json.loads(run("ip", "-d", "-json", *argv))


@pytest.fixture
def pair():
    links.set_bridge(BRIDGE, MARK)
    namespace.create(SPACE, MARK)
    links.add_veth(SPACE, PAIR, MARK)
    yield PAIR
    namespace.delete(SPACE, MARK)
    for name in (PAIR.outer, BRIDGE.name):
        links.delete_link(name, MARK)


def test_a_bridge_with_stp_on_is_reset(pair):
    run(
        "ip",
        "link",
        "set",
        BRIDGE.name,
        "type",
        "bridge",
        "forward_delay",
        "1500",
        "stp_state",
        "1",
    )
    links.set_bridge(BRIDGE, MARK)
    (found,) = shown("link", "show", BRIDGE.name)
    data = found["linkinfo"]["info_data"]
    assert (data["stp_state"], data["forward_delay"], found["mtu"]) == (0, 0, BRIDGE.mtu)


def test_a_pair_has_mac_mtu_bridge_and_mark_at_both_ends(pair):
    (outer,) = shown("link", "show", PAIR.outer)
    (inner,) = shown("-n", SPACE, "link", "show", PAIR.inner)
    assert outer["master"] == BRIDGE.name
    assert inner["address"] == PAIR.mac
    for end in (outer, inner):
        assert (end["mtu"], end["ifalias"], "UP" in end["flags"]) == (1400, MARK.text, True)


def test_routes_replace_each_other_and_are_removed(pair):
    links.add_address(SPACE, Address(device=PAIR.inner, cidr="10.1.0.1/24"))
    first = Route(destination="10.7.0.0/16", via="10.1.0.9", device=PAIR.inner)
    second = Route(destination="10.7.0.0/16", via="10.1.0.8", device=PAIR.inner)
    on_link = Route(destination="10.9.0.1/32", via="", device=PAIR.inner)
    for route in (first, second, on_link):
        links.set_route(SPACE, route)
    found = {r["dst"]: r for r in shown("-n", SPACE, "route", "show", "proto", "static")}
    assert found["10.7.0.0/16"]["gateway"] == "10.1.0.8"
    assert found["10.9.0.1"]["scope"] == "link"
    for route in (second, on_link, on_link):
        links.delete_route(SPACE, route)
    assert shown("-n", SPACE, "route", "show", "proto", "static") == []


def seen_addresses():
    with namespace.inside(SPACE):
        return {a.cidr: (a.tentative, a.duplicate) for a in rtnetlink.addresses()}


def test_only_shared_addresses_wait_for_duplicate_address_detection(pair):
    with namespace.inside(SPACE):
        namespace.write_sysctl(f"net/ipv6/conf/{PAIR.inner}/dad_transmits", "1")
    sure = Address(device=PAIR.inner, cidr="fd00::1/64")
    links.add_address(SPACE, sure)
    assert seen_addresses()[sure.cidr] == (False, False)
    asked = Address(device=PAIR.inner, cidr=ipv6.METADATA)
    links.add_address(SPACE, asked)
    assert seen_addresses()[asked.cidr] == (True, False)
    eventually(lambda: seen_addresses()[asked.cidr] == (False, False), what="detection has ended")
    for address in (sure, asked, asked):
        links.delete_address(SPACE, address)
    assert not {sure.cidr, asked.cidr} & seen_addresses().keys()


def test_an_address_that_another_device_has_is_a_duplicate(pair):
    run("ip", "link", "add", "tap2", "type", "veth", "peer", "name", "other", "netns", SPACE)
    run("ip", "link", "set", "tap2", "master", BRIDGE.name, "up")
    run("ip", "-n", SPACE, "link", "set", "other", "up")
    taken = Address(device=PAIR.inner, cidr=ipv6.METADATA)
    run("ip", "-n", SPACE, "address", "add", taken.cidr, "dev", "other", "nodad")
    links.add_address(SPACE, taken)

    def duplicates():
        with namespace.inside(SPACE):
            return [a.cidr for a in rtnetlink.addresses() if a.duplicate]

    eventually(lambda: duplicates() == [taken.cidr], what="the duplicate is seen")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda: links.set_route(
                SPACE, Route(destination="10.8.0.0/16", via="192.0.2.1", device=PAIR.inner)
            ),
            "10.8.0.0/16 in t-links: Network is unreachable (Nexthop has invalid gateway)",
        ),
        (
            lambda: links.set_bridge(Bridge(name=BRIDGE.name, mtu=70000), MARK),
            "brqaaaaaaaa-77: Invalid argument (mtu greater than device maximum)",
        ),
        (
            lambda: links.add_address(SPACE, Address(device="qr-9", cidr="10.1.0.1/24")),
            "device qr-9: does not exist",
        ),
    ],
)
def test_a_refusal_names_the_object_and_the_kernels_reason(pair, change, reason):
    with pytest.raises(links.LinkError) as caught:
        change()
    assert str(caught.value) == reason
