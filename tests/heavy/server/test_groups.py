"""Security groups and quotas."""

from pathlib import Path
from typing import Any

import pytest

from tests.kit.server_world import UNKNOWN, World, server_config


def group(world: World, **values: object) -> Any:
    body = {"security_group": {"name": "g", **values}}
    return world.call("POST", "/v2.0/security-groups", body, 201)["security_group"]


def test_a_project_has_a_default_group_with_four_rules(world: World):
    [default] = world.get("/v2.0/security-groups")["security_groups"]
    assert (default["name"], default["project_id"]) == ("default", "default")
    rules = {
        (r["direction"], r["ethertype"], r["remote_group_id"])
        for r in default["security_group_rules"]
    }
    ours = default["id"]
    assert rules == {
        ("egress", "IPv4", None), ("egress", "IPv6", None),
        ("ingress", "IPv4", ours), ("ingress", "IPv6", ours),
    }  # fmt: skip
    assert len(world.get("/v2.0/security-groups")["security_groups"]) == 1


def test_vm_ports_are_in_the_default_group_and_networks_own_are_not(world: World):
    world.report(start=True)
    network, _ = world.network()
    port = world.create("port", network_id=network["id"])
    [default] = world.get("/v2.0/security-groups")["security_groups"]
    assert port["security_groups"] == [default["id"]]
    [dhcp] = world.dhcp_ports(network)
    assert dhcp["security_groups"] == []
    mine = group(world)
    path = f"/v2.0/ports/{port['id']}"
    world.call("PUT", path, {"port": {"security_groups": [mine["id"]]}})
    assert world.get(path)["port"]["security_groups"] == [mine["id"]]
    held = f"/v2.0/security-groups/{mine['id']}"
    assert world.error("DELETE", held, None, 409)[0] == "SecurityGroupInUse"
    world.call("PUT", path, {"port": {"security_groups": []}})
    world.call("DELETE", held, expect=204)
    unknown = {"port": {"security_groups": [UNKNOWN]}}
    assert world.error("PUT", path, unknown, 404)[0] == "SecurityGroupNotFound"


def test_the_default_group_is_one(world: World):
    body = {"security_group": {"name": "Default"}}
    kind = world.error("POST", "/v2.0/security-groups", body, 409)[0]
    assert kind == "SecurityGroupDefaultAlreadyExists"
    [default] = world.get("/v2.0/security-groups")["security_groups"]
    path = f"/v2.0/security-groups/{default['id']}"
    rename = {"security_group": {"name": "other"}}
    assert world.error("PUT", path, rename, 409)[0] == "SecurityGroupCannotUpdateDefault"


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"protocol": "tcp", "port_range_min": "22", "port_range_max": "22"}, 201),
        ({"protocol": "tcp", "port_range_min": 23, "port_range_max": 22}, 400),
        ({"port_range_min": 22, "port_range_max": 22}, 400),
        ({"protocol": "icmp", "port_range_min": 8}, 201),
        ({"protocol": "icmp", "port_range_min": 256}, 400),
        ({"protocol": "nope"}, 400),
        ({"protocol": 47}, 201),
        ({"protocol": 256}, 400),
        ({"ethertype": "ipv6", "remote_ip_prefix": "fd00::/8"}, 201),
        ({"remote_ip_prefix": "fd00::/8"}, 400),
        ({"remote_ip_prefix": "10.0.0.1"}, 201),
        ({"remote_ip_prefix": "x"}, 400),
        ({"remote_group_id": UNKNOWN}, 404),
        ({"direction": "sideways"}, 400),
        ({"port_range_min": -1}, 400),
        ({"colour": 1}, 400),
    ],
)
def test_rules(world: World, values: dict, status: int):
    mine = group(world)
    rule = {"security_group_id": mine["id"], "direction": "ingress", **values}
    path, body = "/v2.0/security-group-rules", {"security_group_rule": rule}
    if status != 201:
        world.error("POST", path, body, status)
        return
    made = world.call("POST", path, body, 201)["security_group_rule"]
    assert world.error("POST", path, body, 409)[0] == "SecurityGroupRuleExists"
    whole = world.get(f"/v2.0/security-groups/{mine['id']}")["security_group"]
    assert made["id"] in {r["id"] for r in whole["security_group_rules"]}
    world.call("DELETE", f"{path}/{made['id']}", expect=204)
    world.error("GET", f"{path}/{made['id']}", None, 404)


def test_quotas_are_shown_set_and_enforced(tmp_path: Path):
    world = World(tmp_path, server_config(quota_network=2))
    assert world.get("/v2.0/quotas/tenant")["tenant"]["tenant_id"] == "default"
    assert world.get("/v2.0/quotas/default")["quota"]["network"] == 2
    world.create("network")
    several = {"networks": [{"name": "a"}, {"name": "b"}]}
    assert world.error("POST", "/v2.0/networks", several, 409)[0] == "OverQuota"
    world.create("network")
    assert world.error("POST", "/v2.0/networks", {"network": {}}, 409)[0] == "OverQuota"
    raised = world.call("PUT", "/v2.0/quotas/default", {"quota": {"network": "3"}})["quota"]
    assert (raised["network"], raised["project_id"]) == (3, "default")
    world.create("network")
    details = world.get("/v2.0/quotas/default/details")["quota"]["network"]
    assert details == {"limit": 3, "used": 3, "reserved": 0}
    assert [q["project_id"] for q in world.get("/v2.0/quotas")["quotas"]] == ["default"]
    for bad in ({"network": -2}, {"network": "x"}, {"colour": 1}, [], 5):
        world.error("PUT", "/v2.0/quotas/default", {"quota": bad}, 400)
    world.call("DELETE", "/v2.0/quotas/default", expect=204)
    assert world.get("/v2.0/quotas/default")["quota"]["network"] == 2
    world.error("DELETE", "/v2.0/quotas/default", None, 404)
    world.close()


def test_availability_zones_are_those_of_agents(world: World):
    world.report(start=True)
    network, _ = world.network()
    shown = world.get("/v2.0/availability_zones")["availability_zones"]
    assert shown == [{"name": "nova", "resource": "network", "state": "available"}]
    assert world.get(f"/v2.0/networks/{network['id']}")["network"]["availability_zones"] == [
        "nova"
    ]


def test_provider_attributes_are_recorded(world: World):
    wanted = {
        "provider:network_type": "vlan",
        "provider:physical_network": "phys1",
        "provider:segmentation_id": "77",
    }
    network = world.create("network", **wanted)
    assert network["provider:segmentation_id"] == 77
    assert world.create("network", **{"provider:network_type": "vxlan"})["mtu"] == 1450
    for bad in (
        {"provider:network_type": "vlan"},
        {"provider:network_type": "tin"},
        {**wanted, "provider:segmentation_id": 5000},
        {"provider:physical_network": "phys1"},
    ):
        world.error("POST", "/v2.0/networks", {"network": bad}, 400)
