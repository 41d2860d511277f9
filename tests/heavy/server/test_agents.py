"""Agents' reports and bindings: DHCP ports follow bindings and subnets."""

import uuid
from pathlib import Path
from typing import Any

import pytest

from a9fe.model.resources import Binding
from tests.kit.fake_clock import START
from tests.kit.server_world import UNKNOWN, World, server_config

BINDING_PATHS = {"dhcp": "dhcp-networks", "l3": "l3-routers"}


def hosts(world: World, network: Any) -> set[str]:
    found = world.get(f"/v2.0/networks/{network['id']}/dhcp-agents")["agents"]
    return {agent["host"] for agent in found}


def addresses(port: Any) -> list[str]:
    return [fixed["ip_address"] for fixed in port["fixed_ips"]]


def test_a_report_makes_one_agent_and_keeps_it_alive(world: World):
    agent_id = world.report(start=True, configurations={"a": 1})
    world.clock.at = START + 60
    assert world.report(configurations={"a": 1}) == agent_id
    [agent] = world.get("/v2.0/agents")["agents"]
    assert (agent["alive"], agent["configurations"], agent["host"]) == (True, {"a": 1}, "h1")
    assert agent["started_at"] < agent["heartbeat_timestamp"]
    world.clock.at = START + 60 + 76
    assert world.get(f"/v2.0/agents/{agent_id}")["agent"]["alive"] is False
    assert [a["id"] for a in world.get("/v2.0/agents?alive=False")["agents"]] == [agent_id]


def test_a_heartbeat_is_no_change(world: World):
    world.report(start=True)
    before = world.revision()
    world.clock.at += 30
    world.report(ports_up=None)
    assert world.revision() == before


@pytest.mark.parametrize(
    "more",
    [{"host": ""}, {"host": 5}, {"start": "x"}, {"ports_up": ["x"]}, {"configurations": []}],
)
def test_a_bad_report(world: World, more: dict):
    body = {"agent_type": "DHCP agent", "binary": "x", "host": "h1", **more}
    assert next(iter(more)) in world.error("POST", "/a9fe/v1/agents/report", body, 400)[1]


def test_a_subnet_with_dhcp_binds_its_network_and_makes_the_dhcp_port(world: World):
    world.report(start=True, host="h1.example.org")
    network, subnet = world.network()
    assert hosts(world, network) == {"h1.example.org"}
    [port] = world.dhcp_ports(network)
    short = uuid.uuid5(uuid.NAMESPACE_DNS, "h1")
    assert port["device_id"] == f"dhcp{short}-{network['id']}"
    assert (port["binding:host_id"], port["project_id"]) == ("h1.example.org", "default")
    assert port["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.1.0.2"}]


def test_a_network_without_dhcp_is_not_served(world: World):
    world.report(start=True)
    network, _ = world.network(enable_dhcp=False)
    assert hosts(world, network) == set()
    assert world.dhcp_ports(network) == []


def test_the_dhcp_port_follows_the_subnets(world: World):
    world.report(start=True)
    network, first = world.network("10.1.0.0/24")
    second = world.subnet(network, "10.2.0.0/24")
    world.subnet(network, "10.3.0.0/24", enable_dhcp=False)
    [port] = world.dhcp_ports(network)
    assert addresses(port) == ["10.1.0.2", "10.2.0.2"]

    one = f"/v2.0/subnets/{second['id']}"
    world.call("PUT", one, {"subnet": {"enable_dhcp": False}})
    assert addresses(world.dhcp_ports(network)[0]) == ["10.1.0.2"]
    world.call("PUT", one, {"subnet": {"enable_dhcp": True}})
    world.call("DELETE", f"/v2.0/subnets/{first['id']}", expect=204)
    [same] = world.dhcp_ports(network)
    assert (same["id"], addresses(same)) == (port["id"], ["10.2.0.2"])
    world.call("DELETE", one, expect=204)
    assert world.dhcp_ports(network) == []
    world.subnet(network, "10.4.0.0/24")
    assert addresses(world.dhcp_ports(network)[0]) == ["10.4.0.2"]


def test_an_ipv6_subnet_with_slaac_gives_the_dhcp_port_its_own_address(world: World):
    world.report(start=True)
    network, _ = world.network("fd00:1::/64", ipv6_address_mode="slaac")
    [port] = world.dhcp_ports(network)
    assert port["fixed_ips"][0]["ip_address"].startswith("fd00:1::f8")


def test_a_full_subnet_leaves_the_dhcp_port_without_an_address_there(world: World):
    network, _ = world.network("10.1.0.0/30")
    world.create("port", network_id=network["id"])
    world.report(start=True)
    assert world.dhcp_ports(network)[0]["fixed_ips"] == []


def test_networks_go_to_the_living_agent_with_the_fewest(world: World):
    world.report(host="dead")
    world.clock.at += 100
    world.report(host="h1")
    world.report(host="h2")
    networks = [world.network()[0] for _ in range(4)]
    served = [hosts(world, network) for network in networks]
    assert served == [{"h1"}, {"h2"}, {"h1"}, {"h2"}]


def test_several_agents_serve_a_network_when_asked(tmp_path: Path):
    world = World(tmp_path, server_config(dhcp_agents_per_network=2))
    world.report(host="h1")
    world.report(host="h2")
    network, _ = world.network()
    assert hosts(world, network) == {"h1", "h2"}
    assert len(world.dhcp_ports(network)) == 2
    world.close()


def test_an_agent_that_starts_or_returns_gets_unserved_networks_and_routers(world: World):
    early, _ = world.network()
    router = world.create("router")
    world.report(start=True)
    world.report("L3 agent", start=True)
    assert hosts(world, early) == {"h1"}
    assert world.get(f"/v2.0/routers/{router['id']}/l3-agents")["agents"][0]["host"] == "h1"
    world.clock.at += 100
    meanwhile, _ = world.network()
    assert hosts(world, meanwhile) == set()
    world.report()
    assert hosts(world, meanwhile) == {"h1"}


def test_removed_and_added_again_the_network_keeps_its_dhcp_port(world: World):
    agent_id = world.report(start=True)
    network, _ = world.network()
    [port] = world.dhcp_ports(network)
    path = f"/v2.0/agents/{agent_id}/dhcp-networks"
    world.call("DELETE", f"{path}/{network['id']}", expect=204)
    [reserved] = world.dhcp_ports(network)
    assert (reserved["device_id"], reserved["binding:host_id"]) == ("reserved_dhcp_port", "")
    world.report()
    assert hosts(world, network) == set()
    assert world.call("POST", path, {"network_id": network["id"]}, 201) is None
    [again] = world.dhcp_ports(network)
    for name in ("id", "fixed_ips", "mac_address", "device_id", "binding:host_id"):
        assert again[name] == port[name]
    assert [n["id"] for n in world.get(path)["networks"]] == [network["id"]]


def test_a_deleted_dhcp_port_comes_back_while_it_is_needed(world: World):
    world.report(start=True)
    network, _ = world.network()
    world.call("DELETE", f"/v2.0/ports/{world.dhcp_ports(network)[0]['id']}", expect=204)
    assert addresses(world.dhcp_ports(network)[0]) == ["10.1.0.2"]


def test_refused_bindings(world: World):
    dhcp, l3 = world.report(start=True), world.report("L3 agent", start=True)
    network, _ = world.network()
    router = world.create("router")
    networks, routers = f"/v2.0/agents/{dhcp}/dhcp-networks", f"/v2.0/agents/{l3}/l3-routers"
    to_network, to_router = {"network_id": network["id"]}, {"router_id": router["id"]}
    wrong = f"/v2.0/agents/{l3}/dhcp-networks"
    cases = [
        ("POST", networks, to_network, 409, "NetworkHostedByDHCPAgent"),
        ("POST", wrong, to_network, 409, "InvalidDHCPAgent"),
        ("POST", networks, {"network_id": UNKNOWN}, 404, "NetworkNotFound"),
        ("POST", networks, {"network_id": "x"}, 400, "InvalidInput"),
        ("POST", networks, {}, 400, "HTTPBadRequest"),
        ("POST", f"/v2.0/agents/{UNKNOWN}/dhcp-networks", to_network, 404, "AgentNotFound"),
        ("DELETE", f"{wrong}/{network['id']}", None, 409, "NetworkNotHostedByDhcpAgent"),
        ("POST", routers, to_router, 409, "RouterHostedByL3Agent"),
        ("POST", f"/v2.0/agents/{dhcp}/l3-routers", to_router, 409, "InvalidL3Agent"),
        ("DELETE", f"{routers}/{UNKNOWN}", None, 404, "RouterNotFound"),
    ]
    for method, path, body, status, kind in cases:
        assert world.error(method, path, body, status)[0] == kind


def test_a_routers_ports_are_on_its_agents_host(world: World):
    agent_id = world.report("L3 agent", start=True)
    router = world.create("router")
    _, subnet = world.network()
    body = {"subnet_id": subnet["id"]}
    added = world.call("PUT", f"/v2.0/routers/{router['id']}/add_router_interface", body)
    port = f"/v2.0/ports/{added['port_id']}"
    assert world.get(port)["port"]["binding:host_id"] == "h1"
    path = f"/v2.0/agents/{agent_id}/l3-routers"
    world.call("DELETE", f"{path}/{router['id']}", expect=204)
    assert world.get(port)["port"]["binding:host_id"] == ""
    world.call("POST", path, {"router_id": router["id"]}, 201)
    assert world.get(port)["port"]["binding:host_id"] == "h1"


def test_a_disabled_agent_gets_nothing_and_a_deleted_one_frees_all(world: World):
    agent_id = world.report(start=True)
    network, _ = world.network()
    path = f"/v2.0/agents/{agent_id}"
    body = {"agent": {"admin_state_up": False, "description": "x"}}
    assert world.call("PUT", path, body)["agent"]["admin_state_up"] is False
    other, _ = world.network()
    assert hosts(world, other) == set()
    world.error("PUT", path, {"agent": {"host": "h2"}}, 400)
    world.call("DELETE", path, expect=204)
    assert hosts(world, network) == set()
    assert world.dhcp_ports(network)[0]["device_id"] == "reserved_dhcp_port"
    world.error("POST", "/v2.0/agents", {"agent": {}}, 405)


def set_up(world: World, agent_id: str, *, up: bool) -> None:
    body = {"agent": {"admin_state_up": up}}
    world.call("PUT", f"/v2.0/agents/{agent_id}", body)


def serving_hosts(world: World) -> set[str]:
    """Return the hosts of all bindings, by which the feeds are limited."""
    with world.store.read() as session:
        return {binding.host for binding in session.find(Binding)}


def test_a_disabled_agent_serves_nothing_and_stays_bound(world: World):
    agents = [world.report(kind, start=True) for kind in ("DHCP agent", "L3 agent")]
    network, _ = world.network()
    router = world.create("router")
    [port] = world.dhcp_ports(network)
    for agent_id in agents:
        set_up(world, agent_id, up=False)
    assert serving_hosts(world) == {""}
    assert hosts(world, network) == {"h1"}
    assert world.get(f"/v2.0/agents/{agents[1]}/l3-routers")["routers"][0]["id"] == router["id"]
    second = world.subnet(network, "10.2.0.0/24")
    later, _ = world.network("10.3.0.0/24")
    assert world.dhcp_ports(network)[0]["id"] == port["id"]
    assert hosts(world, later) == set()
    body = {"subnet_id": second["id"]}
    path = f"/v2.0/routers/{router['id']}/add_router_interface"
    added = world.call("PUT", path, body)["port_id"]
    assert world.get(f"/v2.0/ports/{added}")["port"]["binding:host_id"] == "h1"
    for agent_id in agents:
        set_up(world, agent_id, up=True)
    assert serving_hosts(world) == {"h1"}
    assert hosts(world, later) == {"h1"}
    [same] = world.dhcp_ports(network)
    assert (same["id"], same["device_id"]) == (port["id"], port["device_id"])


def test_a_dhcp_port_that_went_while_its_agent_was_disabled_is_made_on_enabling(world: World):
    agent_id = world.report(start=True)
    network, subnet = world.network()
    set_up(world, agent_id, up=False)
    path = f"/v2.0/subnets/{subnet['id']}"
    for flag in (False, True):
        world.call("PUT", path, {"subnet": {"enable_dhcp": flag}})
    assert world.dhcp_ports(network) == []
    set_up(world, agent_id, up=True)
    assert world.dhcp_ports(network)[0]["binding:host_id"] == "h1"
    before = world.revision()
    set_up(world, agent_id, up=True)
    assert world.revision() == before
