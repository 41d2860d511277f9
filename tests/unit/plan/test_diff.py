"""Operations from plan and observation: each kind of change, and its place in the order."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from a9fe.model.resources import HostRoute, Resource
from a9fe.plan import names, sysctls
from a9fe.plan.dhcp import namespaces as dhcp
from a9fe.plan.diff import operations
from a9fe.plan.host import Bridge, HostPlan, NamespacePlan
from a9fe.plan.operations import AddAddress, DeleteBridge, Operation, PlugTap, SetIptables, scope
from a9fe.plan.routers import namespaces as l3
from a9fe.plan.settings import DhcpSettings, L3Settings
from tests.kit.fake_host import FakeHost
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
ISOLATED: list[Resource] = [NET, SUBNET, OWN, bound("dhcp", NET)]
ROUTED: list[Resource] = [NET, SUBNET, ROUTER, LEG, bound("l3", ROUTER)]
SETTINGS = DhcpSettings(dhcp_confs="/d")


def dhcp_plan(*resources: Resource, settings: DhcpSettings = SETTINGS) -> HostPlan:
    return dhcp.plan(FakeModel(resources), HOST, settings)


def l3_plan(*resources: Resource, settings: L3Settings | None = None) -> HostPlan:
    return l3.plan(FakeModel(resources), HOST, settings or L3Settings())


def settle(host: FakeHost, owner: str, desired: HostPlan) -> list[Operation]:
    """Apply the plan; return the operations. Afterwards the host is as planned."""
    done = operations(desired, host.observe(owner))
    for operation in done:
        host.apply(operation)
    assert host.needless == []
    return list(done)


def kinds(done: list[Operation]) -> list[str]:
    return [type(operation).__name__ for operation in done]


def test_a_dhcp_namespace_is_built_from_nothing_and_taken_away_again():
    host = FakeHost()
    assert kinds(settle(host, "dhcp", dhcp_plan(*ISOLATED))) == [
        "SetPortSecurity",
        "SetBridge",
        "AddNamespace",
        *["SetSysctl"] * len(sysctls.PATHS),
        "AddLink",
        "OpenListener",
        "AddAddress",
        "AddAddress",
        "SetRoute",
        "StartDnsmasq",
    ]
    assert kinds(settle(host, "dhcp", HostPlan())) == [
        "CloseListener",
        "StopDnsmasq",
        "DeleteLink",
        "DeleteNamespace",
        "DeleteBridge",
        "SetPortSecurity",
    ]
    assert (host.spaces, host.bridges) == ({}, {})


def test_the_rules_of_a_router_stand_before_forwarding_and_its_first_link():
    done = kinds(settle(FakeHost(), "l3", l3_plan(*ROUTED)))
    expected = ["SetIptables", "SetSysctl", "AddLink", "OpenListener", "AddAddress"]
    assert sorted(expected, key=done.index) == expected


CHANGES: dict[str, tuple[list[Resource], list[str]]] = {
    "nothing": (ISOLATED, []),
    "a port more": ([*ISOLATED, VM], ["SetPortSecurity", "ReloadDnsmasq"]),
    "another mtu": (
        [replace(NET, mtu=1400), *ISOLATED[1:]],
        ["SetBridge", "ChangeLink", "RestartDnsmasq"],
    ),
    "another mac": (
        [*ISOLATED, replace(OWN, mac_address="fa:16:3e:99:99:99")],
        ["ChangeLink", "ReloadDnsmasq"],
    ),
    "another address": (
        [*ISOLATED, dhcp_port(1, NET, (SUBNET, "10.1.0.3"))],
        ["AddAddress", "ReloadDnsmasq", "DeleteAddress"],
    ),
    "another gateway": (
        [*ISOLATED, replace(SUBNET, gateway_ip="10.1.0.254")],
        ["SetRoute", "ReloadDnsmasq"],
    ),
    "no gateway": (
        [*ISOLATED, replace(SUBNET, gateway_ip=None)],
        ["ReloadDnsmasq", "DeleteRoute"],
    ),
    "a router": ([*ISOLATED, LEG], ["ReloadDnsmasq", "DeleteAddress", "CloseListener"]),
    "no dhcp": (
        [*ISOLATED, replace(SUBNET, enable_dhcp=False)],
        ["StopDnsmasq", "DeleteRoute", "DeleteAddress", "CloseListener"],
    ),
    "another dhcp port": (
        [*ISOLATED[:2], dhcp_port(9, NET, (SUBNET, "10.1.0.2")), ISOLATED[3]],
        [
            "AddLink",
            "AddAddress",
            "AddAddress",
            "SetRoute",
            "RestartDnsmasq",
            "DeleteLink",
        ],
    ),
    "network down": (
        [replace(NET, admin_state_up=False), *ISOLATED[1:]],
        ["CloseListener", "StopDnsmasq", "DeleteLink", "DeleteNamespace"],
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_change_of_a_network_makes_only_the_needed_operations(case: str):
    host = FakeHost()
    settle(host, "dhcp", dhcp_plan(*ISOLATED))
    resources, expected = CHANGES[case]
    assert kinds(settle(host, "dhcp", dhcp_plan(*resources))) == expected
    assert operations(dhcp_plan(*resources), host.observe("dhcp")) == ()


SECOND = network(2)
ELSEWHERE = subnet(2, SECOND, "10.2.0.0/24", "10.2.0.1")
SECOND_LEG = interface(4, ROUTER, SECOND, (ELSEWHERE, "10.2.0.1"))
BY_LEG = replace(ROUTER, routes=(HostRoute(destination="10.8.0.0/16", nexthop="10.1.0.9"),))
ROUTER_CHANGES: dict[str, tuple[list[Resource], list[str]]] = {
    "an interface more": (
        [*ROUTED, SECOND, ELSEWHERE, SECOND_LEG],
        ["SetBridge", "AddLink", "OpenListener", "AddAddress"],
    ),
    "an interface less": (
        [NET, SUBNET, ROUTER, ROUTED[4]],
        ["CloseListener", "DeleteLink"],
    ),
    "an interface down": (
        [*ROUTED, replace(LEG, admin_state_up=False)],
        ["CloseListener", "DeleteLink"],
    ),
    "a route": ([*ROUTED, BY_LEG], ["SetRoute"]),
    "router down": (
        [*ROUTED, replace(ROUTER, admin_state_up=False)],
        ["CloseListener", "DeleteLink", "DeleteNamespace"],
    ),
    "taken from the host": (ROUTED[:4], ["CloseListener", "DeleteLink", "DeleteNamespace"]),
}


@pytest.mark.parametrize("case", ROUTER_CHANGES)
def test_a_change_of_a_router_makes_only_the_needed_operations(case: str):
    host = FakeHost()
    settle(host, "l3", l3_plan(*ROUTED))
    resources, expected = ROUTER_CHANGES[case]
    assert kinds(settle(host, "l3", l3_plan(*resources))) == expected


def test_a_proxy_switched_off_closes_its_listener_and_rewrites_the_rules():
    host = FakeHost()
    settle(host, "l3", l3_plan(*ROUTED))
    off = l3_plan(*ROUTED, settings=L3Settings(enable_metadata_proxy=False))
    assert kinds(settle(host, "l3", off)) == ["CloseListener", "SetIptables"]


def test_ipv6_rules_are_set_and_removed_alone():
    host = FakeHost()
    plan = l3_plan(*ROUTED)
    settle(host, "l3", plan)
    ((name, space),) = plan.namespaces.items()
    ipv6 = replace(plan, namespaces={name: replace(space, ip6tables="*mangle\nCOMMIT\n")})
    for desired, rules in ((ipv6, "*mangle\nCOMMIT\n"), (plan, "")):
        done = settle(host, "l3", desired)
        assert done == [SetIptables(namespace=name, rules=rules, ip_version=6)]


def test_a_port_that_moves_to_another_router_is_first_taken_from_the_old_one():
    host = FakeHost()
    second = router(2)
    settle(host, "l3", l3_plan(*ROUTED, second, bound("l3", second)))
    moved = replace(LEG, device_id=second.id)
    done = settle(host, "l3", l3_plan(*ROUTED, second, bound("l3", second), moved))
    assert kinds(done) == [
        "CloseListener",
        "DeleteLink",
        "AddLink",
        "OpenListener",
        "AddAddress",
    ]
    assert [scope(o) for o in done[1:3]] == [
        names.router_namespace(ROUTER.id),
        names.router_namespace(second.id),
    ]


def test_a_device_of_another_pair_is_replaced_with_all_that_was_on_it():
    host = FakeHost()
    settle(host, "dhcp", dhcp_plan(*ISOLATED))
    space = host.spaces[names.dhcp_namespace(NET.id)]
    inner = names.dhcp_device(OWN.id)
    space.links[inner] = replace(space.links[inner], outer="")
    done = kinds(settle(host, "dhcp", dhcp_plan(*ISOLATED)))
    assert done == ["DeleteLink", "AddLink", "AddAddress", "AddAddress", "SetRoute"]
    assert operations(dhcp_plan(*ISOLATED), host.observe("dhcp")) == ()


def test_lost_objects_are_made_again():
    host = FakeHost()
    settle(host, "dhcp", dhcp_plan(*ISOLATED))
    space = host.spaces[names.dhcp_namespace(NET.id)]
    space.dnsmasq = None
    space.listeners.clear()
    space.addresses.pop()
    done = settle(host, "dhcp", dhcp_plan(*ISOLATED))
    assert kinds(done) == ["OpenListener", "AddAddress", "StartDnsmasq"]


def test_an_address_that_is_not_usable_yet_is_asked_for_again_and_not_deleted():
    host = FakeHost()
    six = subnet(6, NET, "fd00::/64", "fd00::1", ip_version=6)
    desired = dhcp_plan(*ISOLATED, six)
    settle(host, "dhcp", desired)
    addresses = host.spaces[names.dhcp_namespace(NET.id)].addresses
    shared = next(a for a in addresses if a.cidr == "fe80::a9fe:a9fe/128")
    addresses[addresses.index(shared)] = replace(shared, usable=False)
    (again,) = operations(desired, host.observe("dhcp"))
    assert again == AddAddress(namespace=names.dhcp_namespace(NET.id), address=shared)
    assert scope(again) == f"{names.dhcp_namespace(NET.id)} fe80::a9fe:a9fe"
    assert kinds(settle(host, "dhcp", dhcp_plan(*ISOLATED)))[-2:] == ["DeleteAddress"] * 2


def test_a_bridge_with_a_vms_tap_stays():
    host = FakeHost()
    settle(host, "dhcp", dhcp_plan(*ISOLATED))
    host.plug(names.outer_device(VM.id), names.bridge(NET.id))
    settle(host, "dhcp", HostPlan())
    assert set(host.bridges) == {names.bridge(NET.id)}
    host.unplug(names.outer_device(VM.id))
    assert operations(HostPlan(), host.observe("dhcp")) == (
        DeleteBridge(name=names.bridge(NET.id)),
    )


def test_a_vms_tap_on_no_bridge_is_plugged_again_and_no_other_device():
    host = FakeHost()
    tap, bridge = names.outer_device(VM.id), names.bridge(NET.id)
    settle(host, "dhcp", dhcp_plan(*ISOLATED, VM))
    host.plug(tap, bridge)
    del host.bridges[bridge]
    host.taps["tap99999999-99"] = bridge
    done = settle(host, "dhcp", dhcp_plan(*ISOLATED, VM))
    assert PlugTap(tap=tap, bridge=bridge) in done
    assert kinds(done).count("PlugTap") == 1
    assert "PlugTap" not in kinds(settle(host, "dhcp", dhcp_plan(*ISOLATED, VM)))


def test_a_listener_that_serves_a_router_from_now_on_keeps_its_socket():
    """A metadata network: the DHCP namespace serves its first router."""
    host = FakeHost()
    settings = replace(SETTINGS, enable_metadata_network=True)
    inside = replace(SUBNET, cidr="169.254.169.0/24", gateway_ip=None)
    model = [NET, inside, dhcp_port(1, NET, (inside, "169.254.169.2")), bound("dhcp", NET)]
    settle(host, "dhcp", dhcp.plan(FakeModel(model), HOST, settings))
    more = [*model, interface(3, ROUTER, NET, (inside, "169.254.169.1"))]
    done = settle(host, "dhcp", dhcp.plan(FakeModel(more), HOST, settings))
    assert kinds(done) == ["OpenListener", "ReloadDnsmasq"]


def test_the_agent_of_the_last_link_deletes_the_bridge():
    host = FakeHost()
    settle(host, "dhcp", dhcp_plan(*ISOLATED))
    settle(host, "l3", l3_plan(*ROUTED))
    assert "DeleteBridge" not in kinds(settle(host, "dhcp", HostPlan()))
    assert kinds(settle(host, "l3", HostPlan()))[-1] == "DeleteBridge"


def test_the_other_agents_namespaces_are_left_alone():
    host = FakeHost()
    settle(host, "dhcp", dhcp_plan(*ISOLATED))
    before = host.observe("dhcp")
    settle(host, "l3", l3_plan(*ROUTED))
    settle(host, "l3", l3_plan(NET))
    assert host.observe("dhcp") == before


def test_devices_on_a_bridge_are_no_difference():
    bare = HostPlan(bridges=frozenset({Bridge(name="brq1", mtu=1500)}))
    busy = HostPlan(
        bridges=frozenset({Bridge(name="brq1", mtu=1500, devices=frozenset({"tap1"}))})
    )
    assert bare == busy
    assert operations(bare, busy) == ()


@pytest.mark.parametrize("make", [dhcp_plan, l3_plan])
def test_no_namespace_but_the_planned_ones_survives(make: Callable[..., HostPlan]):
    orphan = NamespacePlan(name=names.router_namespace(NET.id))
    done = operations(make(NET), HostPlan(namespaces={orphan.name: orphan}))
    assert "DeleteNamespace" in kinds(list(done))
