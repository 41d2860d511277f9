"""Ports that an agent reports as ACTIVE or DOWN."""

from dataclasses import replace

import pytest

from a9fe.model.resources import Port
from a9fe.plan import names, parts, port_status
from a9fe.plan.dhcp import namespaces as dhcp
from a9fe.plan.host import Bridge, HostPlan
from a9fe.plan.port_status import Wiring
from a9fe.plan.problems import ports_left_out
from a9fe.plan.routers import namespaces as l3
from a9fe.plan.settings import DhcpSettings, L3Settings
from tests.kit.fake_model import (
    HOST,
    FakeModel,
    bound,
    dhcp_port,
    interface,
    network,
    port,
    router,
    subnet,
)

NET = network(1)
SUBNET = subnet(1, NET, "10.1.0.0/24", "10.1.0.1")
OWN = dhcp_port(1, NET, (SUBNET, "10.1.0.2"))
VM = port(2, NET, (SUBNET, "10.1.0.5"))
ROUTER = router(1)
LEG = interface(3, ROUTER, NET, (SUBNET, "10.1.0.1"))
MODEL = FakeModel([NET, SUBNET, OWN, VM, ROUTER, LEG, bound("dhcp", NET), bound("l3", ROUTER)])
PLAN = dhcp.plan(MODEL, HOST, DhcpSettings(dhcp_confs="/d"))
TAP = names.outer_device(VM.id)
OUTER = names.outer_device(OWN.id)


def observed(*devices: str) -> HostPlan:
    on = Bridge(name=names.bridge(NET.id), mtu=1500, devices=frozenset(devices))
    return HostPlan(bridges=frozenset({on}))


def test_our_pairs_and_plugged_devices_are_in_place():
    assert port_status.wired(PLAN, observed(TAP), set()) == {OUTER, TAP}


def test_a_pair_in_a_failed_namespace_is_not_in_place():
    failed = {names.dhcp_namespace(NET.id)}
    assert port_status.wired(PLAN, observed(TAP, OUTER), failed) == {TAP}


@pytest.mark.parametrize(
    ("status", "devices", "expected"),
    [
        ("DOWN", {TAP}, port_status.PortStates(up=frozenset({VM.id}))),
        ("BUILD", {TAP}, port_status.PortStates(up=frozenset({VM.id}))),
        ("ACTIVE", {TAP}, port_status.PortStates()),
        ("ACTIVE", set(), port_status.PortStates(down=frozenset({VM.id}))),
        ("DOWN", set(), port_status.PortStates()),
    ],
)
def test_only_what_differs_is_reported(
    status: str, devices: set[str], expected: port_status.PortStates
):
    assert port_status.states([replace(VM, status=status)], Wiring(devices=devices)) == expected


def test_the_dhcp_agent_reports_its_own_ports_and_vms_of_its_host():
    elsewhere = port(8, NET, (SUBNET, "10.1.0.8"), host="node2")
    other = dhcp_port(9, NET, (SUBNET, "10.1.0.3"), host="node2")
    unbound = port(7, NET, (SUBNET, "10.1.0.7"), host="")
    model = FakeModel([*MODEL.resources.values(), elsewhere, other, unbound])
    assert {p.id for p in dhcp.ports(model, HOST, parts.network(NET.id))} == {
        OWN.id,
        VM.id,
        unbound.id,
    }
    both = port_status.PortStates(up=frozenset({VM.id, unbound.id}))
    apart = port_status.by_binding(both, dhcp.ports(model, HOST, parts.network(NET.id)))
    assert [one.up for one in apart] == [{VM.id}, {unbound.id}]


SPACE = names.dhcp_namespace(NET.id)


@pytest.mark.parametrize(
    "lacking",
    [
        Wiring(devices=set()),
        Wiring(devices={TAP}, failed={"port-security"}),
        Wiring(devices={TAP}, failed={SPACE}),
        Wiring(devices={TAP}, failed={f"{SPACE} dnsmasq"}),
        Wiring(devices={TAP}, failed={f"{SPACE} listener"}),
        Wiring(devices={TAP}, left_out={VM.id}),
        Wiring(devices={TAP}, unrouted={SUBNET.id}),
    ],
)
def test_a_vms_port_without_its_tap_filters_dhcp_or_way_does_not_come_up(lacking: Wiring):
    down, up = replace(VM, status="DOWN"), replace(VM, status="ACTIVE")
    assert port_status.states([down], lacking) == port_status.PortStates()
    if lacking.devices:
        running = port_status.states([up], lacking)
        assert running == port_status.PortStates(), "what runs stays ACTIVE"


def test_a_port_of_the_network_itself_needs_its_device_only():
    failed = Wiring(devices={OUTER}, failed={"port-security"}, unrouted={SUBNET.id})
    assert port_status.states([replace(OWN, status="DOWN")], failed).up == {OWN.id}


@pytest.mark.parametrize(
    ("leg", "expected"),
    [
        (replace(LEG, status="DOWN"), {SUBNET.id}),
        (replace(LEG, status="ACTIVE"), set()),
        (interface(3, ROUTER, NET, (SUBNET, "10.1.0.9")), set()),
    ],
)
def test_a_subnet_waits_for_the_router_on_its_gateway_address(leg: Port, expected: set[str]):
    model = FakeModel([*MODEL.resources.values(), leg])
    assert port_status.unrouted(model, NET.id) == expected


def test_a_port_that_is_left_out_of_dhcp_is_named():
    left_out = (f"port {VM.id}: bad MAC", f"port {OWN.id}, option 'x': bad", "subnet 1: bad")
    space = PLAN.namespaces[SPACE]
    assert space.dnsmasq is not None
    spoilt = replace(space, dnsmasq=replace(space.dnsmasq, left_out=left_out))
    assert ports_left_out(replace(PLAN, namespaces={SPACE: spoilt})) == {VM.id}


def test_the_l3_agent_reports_the_interfaces_of_its_routers_also_those_that_are_down():
    down = FakeModel([*MODEL.resources.values(), replace(ROUTER, admin_state_up=False)])
    assert [p.id for p in l3.ports(down, HOST, parts.router(ROUTER.id))] == [LEG.id]
    assert l3.plan(down, HOST, L3Settings()).namespaces == {}
