"""Plans of whole hosts as text, in tests/golden/plan. `A9FE_UPDATE_GOLDEN=1` writes the files."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from a9fe.model.resources import DhcpOption, HostRoute, Resource
from a9fe.plan import render
from a9fe.plan.dhcp import namespaces as dhcp
from a9fe.plan.routers import namespaces as l3
from a9fe.plan.settings import DhcpSettings, L3Settings
from tests.kit.fake_model import (
    HOST,
    FakeModel,
    bound,
    dhcp_port,
    gateway,
    interface,
    network,
    port,
    router,
    subnet,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "plan"
UPDATE = os.environ.get("A9FE_UPDATE_GOLDEN") == "1"

NET = network(1, mtu=1450)
SUBNET = subnet(1, NET, "10.1.0.0/24", "10.1.0.1")
ROUTER = router(1)
VM = port(2, NET, (SUBNET, "10.1.0.5"))
OWN = dhcp_port(1, NET, (SUBNET, "10.1.0.2"))
ISOLATED = [NET, SUBNET, OWN, VM, bound("dhcp", NET)]
ROUTED = [*ISOLATED, ROUTER, interface(3, ROUTER, NET, (SUBNET, "10.1.0.1")), bound("l3", ROUTER)]

TWIN = network(2)
TWIN_SUBNET = subnet(2, TWIN, "10.1.0.0/24", "10.1.0.1")
TWIN_ROUTER = router(2)
TWINS = [
    *ROUTED,
    TWIN,
    TWIN_SUBNET,
    dhcp_port(11, TWIN, (TWIN_SUBNET, "10.1.0.2")),
    port(12, TWIN, (TWIN_SUBNET, "10.1.0.5")),
    TWIN_ROUTER,
    interface(13, TWIN_ROUTER, TWIN, (TWIN_SUBNET, "10.1.0.1")),
    bound("dhcp", TWIN),
    bound("l3", TWIN_ROUTER),
]

LONE = replace(SUBNET, gateway_ip=None)
SECOND = subnet(3, NET, "10.3.0.0/16", "10.3.0.1", created_at="2026-01-01T00:00:00Z")
MIXED = [
    replace(NET, mtu=9000),
    replace(SUBNET, host_routes=(HostRoute(destination="10.9.0.0/16", nexthop="10.1.0.9"),)),
    SECOND,
    dhcp_port(1, NET, (SUBNET, "10.1.0.2"), (SECOND, "10.3.0.2")),
    port(
        2,
        NET,
        (SUBNET, "10.1.0.5"),
        extra_dhcp_opts=(DhcpOption(opt_name="ntp-server", opt_value="10.1.0.4"),),
    ),
    replace(ROUTER, routes=(HostRoute(destination="10.8.0.0/16", nexthop="10.1.0.9"),)),
    interface(3, ROUTER, NET, (SUBNET, "10.1.0.1")),
    bound("l3", ROUTER),
    bound("dhcp", NET),
]
SIX = subnet(
    6,
    NET,
    "fd00:6::/64",
    "fd00:6::1",
    ip_version=6,
    ipv6_ra_mode="slaac",
    ipv6_address_mode="slaac",
)
OWN_SIX = dhcp_port(1, NET, (SUBNET, "10.1.0.2"), (SIX, "fd00:6::f816:3eff:fe00:1"))
DUAL = [NET, SUBNET, SIX, OWN_SIX, VM, bound("dhcp", NET)]
LEG_SIX = interface(4, ROUTER, NET, (SIX, "fd00:6::1"))
EXTERNAL = network(3, external=True, network_type="flat", physical_network="physnet1")
EXTERNAL_SUBNET = subnet(4, EXTERNAL, "203.0.113.0/24", "203.0.113.1")
WAY_OUT = [
    *ROUTED[:-3],
    replace(ROUTER, routes=(HostRoute(destination="10.8.0.0/16", nexthop="203.0.113.8"),)),
    *ROUTED[-2:],
    EXTERNAL,
    EXTERNAL_SUBNET,
    subnet(5, EXTERNAL, "198.51.100.0/24", "198.51.100.1"),
    gateway(21, ROUTER, EXTERNAL, (EXTERNAL_SUBNET, "203.0.113.10")),
]
OUTSIDE = [
    NET,
    replace(SUBNET, gateway_ip="10.200.0.1"),
    OWN,
    bound("dhcp", NET),
]

Plan = Callable[[FakeModel], str]


def dhcp_text(**options: object) -> Plan:
    settings = replace(DhcpSettings(dhcp_confs="/var/lib/a9fe/dhcp"), **options)  # type: ignore[arg-type]
    return lambda model: render.text(dhcp.plan(model, HOST, settings))


def l3_text(**options: object) -> Plan:
    settings = replace(L3Settings(), **options)  # type: ignore[arg-type]
    return lambda model: render.text(l3.plan(model, HOST, settings))


SCENARIOS: dict[str, tuple[list[Resource], Plan]] = {
    "isolated-dhcp": (ISOLATED, dhcp_text()),
    "isolated-not-wanted-dhcp": (ISOLATED, dhcp_text(enable_isolated_metadata=False)),
    "no-gateway-dhcp": ([NET, LONE, OWN, VM, bound("dhcp", NET)], dhcp_text()),
    "gateway-outside-dhcp": (OUTSIDE, dhcp_text()),
    "routed-dhcp": (ROUTED, dhcp_text()),
    "routed-forced-dhcp": (ROUTED, dhcp_text(force_metadata=True, ipv6_on_host=False)),
    "routed-l3": (ROUTED, l3_text()),
    "routed-no-proxy-l3": (ROUTED, l3_text(enable_metadata_proxy=False, ipv6_on_host=False)),
    "way-out-l3": (WAY_OUT, l3_text(bridge_mappings={"physnet1": "br-ex"})),
    "way-out-unmapped-l3": (WAY_OUT, l3_text()),
    "twins-dhcp": (TWINS, dhcp_text()),
    "twins-l3": (TWINS, l3_text()),
    "mixed-dhcp": (MIXED, dhcp_text()),
    "mixed-l3": (MIXED, l3_text()),
    "dual-isolated-dhcp": (DUAL, dhcp_text()),
    "dual-routed-l3": ([*DUAL, ROUTER, LEG_SIX, bound("l3", ROUTER)], l3_text()),
    "dual-routed-dhcp": ([*DUAL, ROUTER, LEG_SIX], dhcp_text(force_metadata=True)),
    "nothing-bound-here-dhcp": ([*TWINS[:2], OWN, bound("dhcp", NET, "node2")], dhcp_text()),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_plan_is_as_its_golden_file(name: str):
    resources, plan = SCENARIOS[name]
    text, path = plan(FakeModel(resources)), GOLDEN / f"{name}.txt"
    if UPDATE:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


def test_no_golden_file_is_left_over():
    assert {path.stem for path in GOLDEN.glob("*.txt")} == SCENARIOS.keys()


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_order_of_resources_does_not_matter(name: str):
    resources, plan = SCENARIOS[name]
    assert plan(FakeModel(reversed(resources))) == plan(FakeModel(resources))
