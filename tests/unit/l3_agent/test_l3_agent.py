"""The L3 agent's role: options reach the plan, the agent's report."""

from dataclasses import replace
from pathlib import Path

import pytest

from a9fe.host_agent.totals import Totals
from a9fe.l3_agent.main import make_role
from a9fe.model.resources import HostRoute
from a9fe.plan import names, parts
from a9fe.runtime.config import Config, load
from tests.kit.fake_model import HOST, FakeModel, bound, interface, network, router, subnet

NET = network(1)
SUBNET = subnet(1, NET, "10.1.0.0/24", "10.1.0.1")
ROUTER = router(1)
LEG = interface(3, ROUTER, NET, (SUBNET, "10.1.0.1"))
MODEL = FakeModel([NET, SUBNET, ROUTER, LEG, bound("l3", ROUTER), router(2)])
PART = parts.router(ROUTER.id)
SPACE = names.router_namespace(ROUTER.id)


def config(tmp_path: Path, **flags: str) -> Config:
    return load({"host": HOST, "state_path": str(tmp_path), **flags})


def test_only_routers_bound_here_have_a_namespace(tmp_path: Path):
    assert set(make_role(config(tmp_path)).plan(MODEL, PART).namespaces) == {SPACE}
    assert make_role(config(tmp_path, host="node2")).plan(MODEL, PART).namespaces == {}


@pytest.mark.parametrize(
    ("flag", "value", "rule"),
    [
        ("metadata_port", "9700", "REDIRECT --to-ports 9700"),
        ("metadata_access_mark", "0x3", "--set-xmark 0x3/0xffff"),
    ],
)
def test_options_reach_the_rules(tmp_path: Path, flag: str, value: str, rule: str):
    plan = make_role(config(tmp_path, **{flag: value})).plan(MODEL, PART)
    assert rule in plan.namespaces[SPACE].iptables


def test_without_proxy_nothing_listens(tmp_path: Path):
    plan = make_role(config(tmp_path, enable_metadata_proxy="false")).plan(MODEL, PART)
    assert plan.namespaces[SPACE].listeners == frozenset()
    assert "REDIRECT" not in plan.namespaces[SPACE].iptables


def test_a_listener_names_the_router_and_its_interface(tmp_path: Path):
    (listener,) = make_role(config(tmp_path)).plan(MODEL, PART).namespaces[SPACE].listeners
    assert (listener.kind, listener.id) == ("router", ROUTER.id)
    assert listener.key == f"{SPACE}/0.0.0.0:9697%{listener.device}"
    assert (listener.device, listener.port_id, listener.network_id) == (
        names.router_device(LEG.id),
        LEG.id,
        LEG.network_id,
    )


def test_a_route_into_a_connected_subnet_is_not_built(tmp_path: Path):
    """Such a route is from an older server, or was added before the subnet."""
    routes = tuple(
        HostRoute(destination=d, nexthop="10.1.0.9")
        for d in ("10.1.0.5/32", "10.1.0.0/24", "10.0.0.0/8", "10.9.0.0/24")
    )
    model = FakeModel([*MODEL.resources.values(), replace(ROUTER, routes=routes)])
    built = make_role(config(tmp_path)).plan(model, PART).namespaces[SPACE].routes
    assert {route.destination for route in built} == {"10.0.0.0/8", "10.9.0.0/24"}


def test_configurations_in_the_agents_report(tmp_path: Path):
    role = make_role(config(tmp_path))
    assert (role.agent_type, role.binary) == ("L3 agent", "neutron-l3-agent")
    assert role.settings == {"agent_mode": "legacy"}
    totals = Totals(role.settings)
    for part in role.parts(MODEL):
        totals.set(part, role.counts(MODEL, part))
    said = totals.configurations()
    assert (said["routers"], said["interfaces"]) == (1, 1)
    assert (said["ex_gw_ports"], said["floating_ips"]) == (0, 0)
