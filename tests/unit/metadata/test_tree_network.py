"""network_data.json: complete for each network card, and valid against the schema."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator, FormatChecker

from a9fe.metadata import tree
from a9fe.metadata.instance_view import InstanceView
from a9fe.model.resources import HostRoute, Network, Subnet
from tests.golden.metadata.scenarios import (
    SCENARIOS,
    bare,
    network,
    one_card,
    port,
    several_cards,
    subnet,
    view,
)

SCHEMA = Path(__file__).parents[2] / "golden" / "metadata" / "network_data.schema.json"
VALIDATOR = Draft7Validator(
    json.loads(SCHEMA.read_text()), format_checker=FormatChecker(["ipv4", "ipv6"])
)
LAN = network(1)


def document(of: InstanceView) -> dict[str, Any]:
    rendered = tree.render(of, "/openstack/latest/network_data.json")
    assert rendered is not None
    found: dict[str, Any] = json.loads(rendered.body)
    VALIDATOR.validate(as_published(found))
    return found


NOVAS_OWN = {"ipv6_dhcpv6-stateful": "ipv6_dhcp", "ipv6_dhcpv6-stateless": "ipv6_slaac"}
"""Types that Nova writes but its published schema lacks, and a substitute from the schema."""


def as_published(found: dict[str, Any]) -> dict[str, Any]:
    """Return the document with the network types of the schema, its only difference."""
    networks = [
        {**entry, "type": NOVAS_OWN.get(entry["type"], entry["type"])}
        for entry in found["networks"]
    ]
    return {**found, "networks": networks}


def on(subnet_of: Subnet, address: str, *, lan: Network = LAN) -> InstanceView:
    card = port(1, lan, (subnet_of, address))
    return view(bare().instance, (card,), (lan,), (subnet_of,))


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_is_valid(name: str):
    document(SCENARIOS[name]())


def test_the_schema_refuses_novas_document_without_ports():
    assert not VALIDATOR.is_valid({})
    assert document(bare()) == {"links": [], "networks": [], "services": []}


def test_the_schema_lacks_the_dhcpv6_modes():
    found = document(several_cards())
    found["networks"][4]["type"] = "ipv6_dhcpv6-stateful"
    assert not VALIDATOR.is_valid(found)


def test_a_link_is_the_card_as_the_guest_sees_it():
    card = one_card().ports[0]
    assert document(one_card())["links"] == [
        {
            "id": f"tap{card.id[:11]}",
            "vif_id": card.id,
            "type": "bridge",
            "mtu": 1450,
            "ethernet_mac_address": card.mac_address,
        }
    ]


def test_every_card_has_a_link_in_order_and_every_network_one_of_them():
    of = several_cards()
    found = document(of)
    assert [link["vif_id"] for link in found["links"]] == [card.id for card in of.ports]
    links = {link["id"] for link in found["links"]}
    assert all(entry["link"] in links for entry in found["networks"])
    assert [entry["id"] for entry in found["networks"]] == [f"network{n}" for n in range(5)]


def test_a_dhcp_network_has_no_addresses():
    found = document(one_card())
    assert [entry.keys() for entry in found["networks"]] == [{"id", "type", "link", "network_id"}]
    assert found["networks"][0]["type"] == "ipv4_dhcp"
    assert [service["address"] for service in found["services"]] == ["9.9.9.9", "10.1.0.2"]


def test_a_static_network_has_everything():
    of = on(
        subnet(
            1,
            LAN,
            "10.0.0.0/22",
            enable_dhcp=False,
            gateway_ip="10.0.0.1",
            dns_nameservers=("10.0.0.53",),
            host_routes=(HostRoute(destination="172.16.0.0/12", nexthop="10.0.0.2"),),
        ),
        "10.0.0.5",
    )
    found = document(of)["networks"][0]
    assert found["type"] == "ipv4"
    assert (found["ip_address"], found["netmask"]) == ("10.0.0.5", "255.255.252.0")
    assert found["routes"] == [
        {"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.0.1"},
        {"network": "172.16.0.0", "netmask": "255.240.0.0", "gateway": "10.0.0.2"},
    ]
    assert found["services"] == [{"type": "dns", "address": "10.0.0.53"}]


def test_without_gateway_there_is_no_default_route():
    of = on(subnet(1, LAN, "10.0.0.0/24", enable_dhcp=False), "10.0.0.5")
    assert document(of)["networks"][0]["routes"] == []


@pytest.mark.parametrize(
    ("mode", "enable_dhcp", "expected"),
    [
        (None, True, "ipv6"),
        (None, False, "ipv6"),
        ("slaac", True, "ipv6_slaac"),
        ("dhcpv6-stateless", True, "ipv6_dhcpv6-stateless"),
        ("dhcpv6-stateful", True, "ipv6_dhcpv6-stateful"),
        ("dhcpv6-stateful", False, "ipv6"),
    ],
)
def test_each_mode_of_ipv6_has_its_type(mode: str | None, *, enable_dhcp: bool, expected: str):
    v6 = subnet(
        1,
        LAN,
        "2001:db8::/64",
        ip_version=6,
        gateway_ip="2001:db8::1",
        ipv6_address_mode=mode,
        enable_dhcp=enable_dhcp,
    )
    found = document(on(v6, "2001:db8::5"))["networks"][0]
    assert found["type"] == expected
    assert (found["ip_address"], found["netmask"]) == ("2001:db8::5", "ffff:ffff:ffff:ffff::")
    assert found["routes"] == [{"network": "::", "netmask": "::", "gateway": "2001:db8::1"}]
    assert found["services"] == []


def test_only_the_first_address_of_each_family_has_a_network():
    v4, more4 = subnet(1, LAN, "10.0.0.0/24"), subnet(2, LAN, "10.9.0.0/24")
    card = port(1, LAN, (v4, "10.0.0.5"), (v4, "10.0.0.6"), (more4, "10.9.0.5"))
    of = view(bare().instance, (card,), (LAN,), (v4, more4))
    assert len(document(of)["networks"]) == 1


def test_each_dns_server_is_named_once_and_unspecified_ones_never():
    one = subnet(1, LAN, "10.0.0.0/24", dns_nameservers=("1.1.1.1", "8.8.8.8"))
    two = subnet(2, LAN, "10.9.0.0/24", dns_nameservers=("1.1.1.1", "0.0.0.0"))
    card = port(1, LAN, (one, "10.0.0.5"), (two, "10.9.0.5"))
    of = view(bare().instance, (card,), (LAN,), (one, two))
    addresses = [service["address"] for service in document(of)["services"]]
    assert addresses == ["1.1.1.1", "8.8.8.8"]


def test_a_card_without_address_has_only_a_link():
    of = view(bare().instance, (port(1, LAN),), (LAN,), ())
    found = document(of)
    assert (len(found["links"]), found["networks"]) == (1, [])


addresses4 = st.ip_addresses(v=4).map(str)
subnets4 = st.builds(
    subnet,
    st.just(1),
    st.just(LAN),
    st.integers(0, 32).map(lambda length: f"10.0.0.0/{length}"),
    enable_dhcp=st.booleans(),
    gateway_ip=st.none() | addresses4,
    dns_nameservers=st.lists(addresses4 | st.ip_addresses(v=6).map(str), max_size=3).map(tuple),
    host_routes=st.lists(
        st.builds(HostRoute, destination=st.just("10.0.0.0/8"), nexthop=addresses4), max_size=2
    ).map(tuple),
)
subnets6 = st.builds(
    subnet,
    st.just(2),
    st.just(LAN),
    st.integers(0, 128).map(lambda length: f"2001:db8::/{length}"),
    ip_version=st.just(6),
    enable_dhcp=st.booleans(),
    gateway_ip=st.none() | st.just("fe80::1"),
    ipv6_address_mode=st.sampled_from([None, "slaac", "dhcpv6-stateless", "dhcpv6-stateful"]),
)


@given(subnets4, subnets6, st.integers(0, 65535), st.lists(st.sampled_from([4, 6]), max_size=3))
@settings(max_examples=100)
def test_any_port_gives_a_valid_document(v4: Subnet, v6: Subnet, mtu: int, held: list):
    lan = replace(LAN, mtu=mtu)
    fixed: Mapping[int, tuple[Subnet, str]] = {4: (v4, "10.0.0.5"), 6: (v6, "2001:db8::5")}
    card = port(1, lan, *(fixed[version] for version in held))
    found = document(view(bare().instance, (card,), (lan,), (v4, v6)))
    assert len(found["networks"]) == len(set(held))
