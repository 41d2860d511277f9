"""External gateways of routers: device, addresses, routes and rules."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from a9fe.model.resources import HostRoute, Resource
from a9fe.plan import names, parts, port_status
from a9fe.plan.diff import operations
from a9fe.plan.host import Address, Bridge, HostPlan, NamespacePlan, Uplink
from a9fe.plan.operations import AddAddress, DeleteAddress, SetIptables, uplink_scope
from a9fe.plan.routers import namespaces as l3
from a9fe.plan.settings import L3Settings
from tests.kit.fake_model import (
    HOST,
    FakeModel,
    floating_ip,
    gateway,
    interface,
    network,
    port,
    router,
    subnet,
)
from tests.kit.provider_network import EXTERNAL, GATEWAY, NET, OUTSIDE, ROUTER, SUBNET
from tests.kit.provider_network import PROVIDER_MODEL as MODEL

QG = names.gateway_device(GATEWAY.id)
BRIDGE = names.bridge(EXTERNAL.id)
MAPPED = L3Settings(bridge_mappings={"physnet1": "br-ex"})


def host_plan(*changed: Resource, settings: L3Settings = MAPPED) -> HostPlan:
    return l3.plan(FakeModel([*MODEL, *changed]), HOST, settings)


def planned(*changed: Resource) -> NamespacePlan:
    """The router's namespace, with these resources added or in place of those with their ids."""
    return host_plan(*changed).namespaces[names.router_namespace(ROUTER.id)]


def routes(plan: NamespacePlan) -> set[tuple[str, str, str]]:
    return {(route.destination, route.via, route.device) for route in plan.routes}


def on_gateway(plan: NamespacePlan) -> set[str]:
    return {address.cidr for address in plan.addresses if address.device == QG}


def nat(plan: NamespacePlan) -> list[str]:
    table = plan.iptables.partition("*nat\n")[2].partition("COMMIT")[0]
    return [line for line in table.splitlines() if line.startswith("-A") and "9697" not in line]


SNAT = f"-A POSTROUTING -o {QG} -j SNAT --to-source 203.0.113.10"
DEFAULT = ("0.0.0.0/0", "203.0.113.1", QG)


def test_a_gateway_is_a_device_with_an_address_a_default_route_and_snat():
    plan = planned()
    (link,) = (link for link in plan.links if link.inner == QG)
    assert (link.outer, link.bridge) == (names.outer_device(GATEWAY.id), BRIDGE)
    assert on_gateway(plan) == {"203.0.113.10/24"}
    assert routes(plan) == {DEFAULT}
    assert nat(plan) == [SNAT]
    assert {listener.device for listener in plan.listeners} == {
        names.router_device(i.id) for i in l3.interfaces(FakeModel(MODEL), ROUTER.id)
    }, "no metadata on the external side"


def test_a_router_without_a_gateway_has_nothing_of_it():
    for gone in (replace(GATEWAY, admin_state_up=False), replace(GATEWAY, device_id="")):
        plan = planned(gone)
        assert on_gateway(plan) == set()
        assert routes(plan) == set()
        assert "qg-" not in plan.iptables


def test_without_snat_addresses_stay_as_they_are():
    plan = planned(replace(ROUTER, enable_snat=False))
    assert nat(plan) == []
    assert f"-A FORWARD -i {QG} -o {QG} -j DROP" in plan.iptables


OTHER = subnet(4, EXTERNAL, "198.51.100.0/24", "198.51.100.1", created_at="2026-01-02T00:00:00Z")
CLASH = subnet(5, EXTERNAL, "10.1.0.128/25", None, created_at="2026-01-03T00:00:00Z")
EXTRA = (HostRoute(destination="10.8.0.0/16", nexthop="203.0.113.8"),)
OVER = (HostRoute(destination="0.0.0.0/0", nexthop="10.1.0.9"),)
QR = names.router_device(interface(1, ROUTER, NET).id)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ([replace(OUTSIDE, gateway_ip=None)], set()),
        ([replace(OUTSIDE, gateway_ip="203.0.113.10")], set()),
        (
            [replace(OUTSIDE, gateway_ip="192.0.2.1")],
            {("192.0.2.1/32", "", QG), ("0.0.0.0/0", "192.0.2.1", QG)},
        ),
        ([OTHER], {DEFAULT, ("198.51.100.0/24", "", QG)}),
        ([OTHER, CLASH], {DEFAULT, ("198.51.100.0/24", "", QG)}),
        (
            [
                OTHER,
                gateway(4, ROUTER, EXTERNAL, (OTHER, "198.51.100.9"), (OUTSIDE, "203.0.113.10")),
            ],
            {("0.0.0.0/0", "198.51.100.1", QG)},
        ),
        ([replace(ROUTER, routes=EXTRA)], {DEFAULT, ("10.8.0.0/16", "203.0.113.8", QG)}),
        ([replace(ROUTER, routes=OVER)], {("0.0.0.0/0", "10.1.0.9", QR)}),
    ],
)
def test_routes_by_the_gateway(changed: Iterable[Resource], expected: set[tuple[str, str, str]]):
    assert routes(planned(*changed)) == expected


def test_snat_has_the_gateways_first_address():
    both = gateway(4, ROUTER, EXTERNAL, (OTHER, "198.51.100.9"), (OUTSIDE, "203.0.113.10"))
    plan = planned(OTHER, both)
    assert on_gateway(plan) == {"198.51.100.9/24", "203.0.113.10/24"}
    assert nat(plan) == [f"-A POSTROUTING -o {QG} -j SNAT --to-source 198.51.100.9"]


VM = port(9, NET, (SUBNET, "10.1.0.5"))


def test_floating_ips_are_addresses_of_the_gateway_translated_both_ways():
    plan = planned(floating_ip(1, EXTERNAL, "203.0.113.77", ROUTER, VM))
    assert on_gateway(plan) == {"203.0.113.10/24", "203.0.113.77/32"}
    assert routes(plan) == {DEFAULT}
    hairpin = "-m conntrack --ctstate DNAT -j SNAT --to-source"
    assert nat(plan) == [
        "-A PREROUTING -d 203.0.113.77/32 -j DNAT --to-destination 10.1.0.5",
        "-A OUTPUT -d 203.0.113.77/32 -j DNAT --to-destination 10.1.0.5",
        f"-A POSTROUTING -s 10.1.0.5/32 -o {QG} -j SNAT --to-source 203.0.113.77",
        f"-A POSTROUTING -s 10.1.0.5/32 {hairpin} 203.0.113.77",
        SNAT,
        f"-A POSTROUTING -s 10.1.0.0/24 {hairpin} 203.0.113.10",
        f"-A POSTROUTING -s 10.2.0.0/24 {hairpin} 203.0.113.10",
    ]


def test_floating_ips_need_a_fixed_ip_the_router_and_its_external_network():
    others = [
        floating_ip(1, EXTERNAL, "203.0.113.77", ROUTER, VM, fixed_ip_address=None),
        floating_ip(2, EXTERNAL, "203.0.113.78", router(2), VM),
        floating_ip(3, network(7), "203.0.113.79", ROUTER, VM),
    ]
    assert planned(*others) == planned()


def test_the_order_of_floating_ips_does_not_matter():
    other = port(8, NET, (SUBNET, "10.1.0.6"))
    both = [
        floating_ip(1, EXTERNAL, "203.0.113.77", ROUTER, VM),
        floating_ip(2, EXTERNAL, "203.0.113.78", ROUTER, other),
    ]
    assert planned(*both) == planned(*both[::-1])


def test_a_floating_ip_that_moves_is_taken_off_and_put_back_around_its_rules():
    before = host_plan(floating_ip(1, EXTERNAL, "203.0.113.77", ROUTER, VM))
    other = port(8, NET, (SUBNET, "10.1.0.6"))
    after = host_plan(floating_ip(1, EXTERNAL, "203.0.113.77", ROUTER, other))
    moved = Address(device=QG, cidr="203.0.113.77/32")
    space = names.router_namespace(ROUTER.id)
    took, rules, put = operations(after, before)
    assert took == DeleteAddress(namespace=space, address=moved)
    assert isinstance(rules, SetIptables)
    assert put == AddAddress(namespace=space, address=moved)


@pytest.mark.parametrize(
    ("settings", "device"), [(MAPPED, "br-ex"), (L3Settings(bridge_mappings={}), "")]
)
def test_a_gateways_network_needs_its_uplink(settings: L3Settings, device: str):
    assert host_plan(settings=settings).uplinks == {Uplink(bridge=BRIDGE, device=device)}
    unused = replace(GATEWAY, device_owner="", device_id="")
    found = host_plan(unused, settings=settings).uplinks
    assert found == ({Uplink(bridge=BRIDGE, device=device)} if device else set())


@pytest.mark.parametrize(
    ("status", "failed", "up", "down"),
    [
        ("DOWN", set(), {GATEWAY.id}, set()),
        ("ACTIVE", set(), set(), set()),
        ("DOWN", {uplink_scope(BRIDGE)}, set(), set()),
        ("ACTIVE", {uplink_scope(BRIDGE)}, set(), {GATEWAY.id}),
    ],
)
def test_a_gateways_port_is_active_while_it_has_its_uplink(
    status: str, failed: set[str], up: set[str], down: set[str]
):
    outer = names.outer_device(GATEWAY.id)
    seen = Bridge(name=BRIDGE, mtu=1500, devices=frozenset({outer}))
    devices = port_status.wired(host_plan(), HostPlan(bridges=frozenset({seen})), failed)
    found = port_status.states(
        [replace(GATEWAY, status=status)], port_status.Wiring(devices=devices, failed=failed)
    )
    assert (found.up, found.down) == (up, down)


def test_a_gateways_status_is_reported_with_its_network_which_has_the_uplink():
    of_router = l3.ports(FakeModel(MODEL), HOST, parts.router(ROUTER.id))
    assert GATEWAY not in of_router
    assert l3.ports(FakeModel(MODEL), HOST, parts.network(EXTERNAL.id)) == (GATEWAY,)
    assert l3.ports(FakeModel(MODEL), HOST, parts.network(NET.id)) == ()
    assert l3.ports(FakeModel(MODEL), "node2", parts.network(EXTERNAL.id)) == ()
