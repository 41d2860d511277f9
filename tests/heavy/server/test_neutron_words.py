"""Errors as Neutron's clients expect them: status, error type, and the text that they match."""

from typing import Any

import pytest

from tests.kit.server_world import UNKNOWN, World


def refused(world: World, method: str, path: str, body: object, expect: tuple[int, str, str]):
    status, kind, words = expect
    found = world.error(method, path, body, status)
    assert found[0] == kind
    assert words in found[1]


def test_subnets_that_overlap(world: World):
    network, _ = world.network("10.1.0.0/24")
    body = {"network_id": network["id"], "cidr": "10.1.0.0/25", "ip_version": 4}
    expect = (400, "InvalidInput", "overlaps with another subnet")
    refused(world, "POST", "/v2.0/subnets", {"subnet": body}, expect)


def test_what_is_in_use(world: World):
    network, subnet = world.network()
    port = world.create("port", network_id=network["id"])
    group = port["security_groups"][0]
    ports = "There are one or more ports still in use on the network"
    refused(world, "DELETE", f"/v2.0/networks/{network['id']}", None, (409, "NetworkInUse", ports))
    held = "One or more ports have an IP allocation from this subnet"
    refused(world, "DELETE", f"/v2.0/subnets/{subnet['id']}", None, (409, "SubnetInUse", held))
    in_use = (409, "SecurityGroupInUse", f"Security Group {group} in use")
    refused(world, "DELETE", f"/v2.0/security-groups/{group}", None, in_use)
    again = {"network_id": network["id"], "mac_address": port["mac_address"]}
    mac = (409, "MacAddressInUse", f"The mac address {port['mac_address']} is in use")
    refused(world, "POST", "/v2.0/ports", {"port": again}, mac)
    fixed = {"network_id": network["id"], "fixed_ips": port["fixed_ips"]}
    taken = (409, "IpAddressAlreadyAllocated", "already allocated in subnet")
    refused(world, "POST", "/v2.0/ports", {"port": fixed}, taken)


NOWHERE = [
    ("networks", "NetworkNotFound", f"Network {UNKNOWN} could not be found"),
    ("subnets", "SubnetNotFound", f"Subnet {UNKNOWN} could not be found"),
    ("ports", "PortNotFound", f"Port {UNKNOWN} could not be found"),
    ("routers", "RouterNotFound", f"Router {UNKNOWN} could not be found"),
    ("security-groups", "SecurityGroupNotFound", f"Security group {UNKNOWN} does not exist"),
]


@pytest.mark.parametrize(("path", "kind", "words"), NOWHERE)
def test_what_is_not_there(world: World, path: str, kind: str, words: str):
    refused(world, "GET", f"/v2.0/{path}/{UNKNOWN}", None, (404, kind, words))


RULES = [
    ({"protocol": "tcp", "port_range_min": -16, "port_range_max": 80}, 400,
     "SecurityGroupInvalidPortValue", "Invalid value for port -16"),
    ({"protocol": "tcp", "port_range_min": 80, "port_range_max": 65536}, 400,
     "SecurityGroupInvalidPortValue", "Invalid value for port 65536"),
    ({"protocol": "udp", "port_range_min": 80, "port_range_max": 65}, 400,
     "SecurityGroupInvalidPortRange", "port_range_min must be <= port_range_max"),
    ({"protocol": "icmp", "port_range_min": 1, "port_range_max": 256}, 400,
     "SecurityGroupInvalidIcmpValue", "Invalid value for ICMP code (port_range_max) 256"),
    ({"protocol": "icmp", "port_range_max": 25}, 400,
     "SecurityGroupMissingIcmpType", "ICMP code (port-range-max) 25 is provided"),
    ({"port_range_min": 80, "port_range_max": 80}, 400,
     "SecurityGroupProtocolRequiredWithPorts", "Must also specify protocol if port range"),
    ({"protocol": "gre", "port_range_min": 80, "port_range_max": 80}, 400,
     "SecurityGroupInvalidProtocolForPort", "Ports cannot be specified for protocol gre"),
    ({"remote_ip_prefix": "fd00::/64"}, 400,
     "SecurityGroupRuleParameterConflict", "Conflicting value ethertype IPv4 for CIDR fd00::/64"),
    ({"protocol": "ipv6-icmp"}, 400,
     "SecurityGroupEthertypeConflictWithProtocol", "Invalid ethertype IPv4 for protocol"),
    ({"protocol": 44}, 400,
     "SecurityGroupEthertypeConflictWithProtocol", "Invalid ethertype IPv4 for protocol 44"),
    ({"remote_group_id": UNKNOWN}, 404, "SecurityGroupNotFound", UNKNOWN),
    ({"remote_group_id": "bad_group_id"}, 404, "SecurityGroupNotFound", "bad_group_id"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "status", "kind", "words"), RULES)
def test_rules_of_security_groups(world: World, rule: Any, status: int, kind: str, words: str):
    group = world.call("POST", "/v2.0/security-groups", {"security_group": {"name": "g"}}, 201)
    body = {"security_group_id": group["security_group"]["id"], "direction": "ingress", **rule}
    expect = (status, kind, words)
    refused(world, "POST", "/v2.0/security-group-rules", {"security_group_rule": body}, expect)


def group(world: World, **values: object) -> str:
    body = {"security_group": {"name": "g", **values}}
    made = world.call("POST", "/v2.0/security-groups", body, 201)["security_group"]
    return str(made["id"])


def test_stateful_and_stateless_groups_are_not_mixed(world: World):
    one, other = group(world), group(world, stateful=False)
    network, _ = world.network()
    both = {"network_id": network["id"], "security_groups": [one, other]}
    mixed = (409, "SecurityGroupConflict", "stateful")
    refused(world, "POST", "/v2.0/ports", {"port": both}, mixed)
    port = world.create("port", network_id=network["id"], security_groups=[one])
    update = {"port": {"security_groups": [one, other]}}
    refused(world, "PUT", f"/v2.0/ports/{port['id']}", update, mixed)
    twice = {"port": {"security_groups": [one, one]}}
    duplicate = (400, "InvalidInput", "Duplicate items in the list")
    refused(world, "PUT", f"/v2.0/ports/{port['id']}", twice, duplicate)
    body = {"security_group": {"stateful": False}}
    used = (409, "SecurityGroupInUse", one)
    refused(world, "PUT", f"/v2.0/security-groups/{one}", body, used)
    changed = {"security_group": {"stateful": True}}
    assert world.call("PUT", f"/v2.0/security-groups/{other}", changed)


PAIR = {"ip_address": "10.9.0.1"}


def test_port_security_is_off_only_without_groups_and_pairs(world: World):
    network, _ = world.network()
    port = world.create("port", network_id=network["id"], allowed_address_pairs=[PAIR])
    path = f"/v2.0/ports/{port['id']}"
    off = {"port_security_enabled": False}
    grouped = (409, "PortSecurityPortHasSecurityGroup", "Port has security group associated")
    refused(world, "PUT", path, {"port": off}, grouped)
    paired = (409, "AddressPairAndPortSecurityRequired", "allowed address pairs on a port")
    refused(world, "PUT", path, {"port": {**off, "security_groups": []}}, paired)
    bare = {**off, "security_groups": [], "allowed_address_pairs": []}
    assert not world.call("PUT", path, {"port": bare})["port"]["port_security_enabled"]
    refused(world, "PUT", path, {"port": {"allowed_address_pairs": [PAIR]}}, paired)
    kind = "PortSecurityAndIPRequiredForSecurityGroups"
    unsafe = {"security_groups": port["security_groups"]}
    refused(world, "PUT", path, {"port": unsafe}, (400, kind, "Port security must be enabled"))
    for more, expect in (({"allowed_address_pairs": [PAIR]}, paired), (unsafe, (400, kind, ""))):
        body = {"network_id": network["id"], **off, **more}
        refused(world, "POST", "/v2.0/ports", {"port": body}, expect)
    on = {"port_security_enabled": True, **unsafe}
    assert world.call("PUT", path, {"port": on})["port"]["security_groups"]


def test_a_network_that_is_too_narrow_for_ip(world: World):
    network = world.create("network", mtu=1279)
    body = {"network_id": network["id"], "cidr": "fd00::/64", "ip_version": 6}
    narrow = (409, "NetworkMTUSubnetConflict", "1279")
    refused(world, "POST", "/v2.0/subnets", {"subnet": body}, narrow)
    world.subnet(network, "10.1.0.0/24")
    path = f"/v2.0/networks/{network['id']}"
    refused(world, "PUT", path, {"network": {"mtu": 67}}, (409, "NetworkMTUSubnetConflict", "67"))
    wide = (400, "InvalidInput", "Requested MTU is too big, maximum is 1500")
    refused(world, "PUT", path, {"network": {"mtu": 1501}}, wide)


def test_a_limit_below_what_is_used_is_refused_unless_forced(world: World):
    for name in ("a", "b"):
        world.create("network", name=name)
    path = "/v2.0/quotas/default"
    words = "must be greater than or equal to already used 2"
    for more, expect in (
        ({}, (400, "HTTPBadRequest", words)),
        ({"check_limit": True}, (400, "HTTPBadRequest", words)),
        ({"force": False}, (409, "QuotaLimitBelowUse", words)),
    ):
        refused(world, "PUT", path, {"quota": {"network": 1, **more}}, expect)
    for quota in ({"network": 1, "force": True}, {"network": -1}, {"network": 2}):
        kept = world.call("PUT", path, {"quota": quota})["quota"]
        assert kept["network"] == quota["network"]


def test_a_group_needs_room_for_its_rules(world: World):
    quota = {"quota": {"security_group_rule": 0, "force": True}}
    world.call("PUT", "/v2.0/quotas/default", quota)
    body = {"security_group": {"name": "g"}}
    refused(world, "POST", "/v2.0/security-groups", body, (409, "OverQuota", "Quota exceeded"))


def test_null_clears_a_list(world: World):
    router = world.create("router")
    _, subnet = world.network(dns_nameservers=["192.0.2.1"])
    add = {"subnet_id": subnet["id"]}
    world.call("PUT", f"/v2.0/routers/{router['id']}/add_router_interface", add)
    path = f"/v2.0/routers/{router['id']}"
    routes = [{"destination": "10.9.0.0/24", "nexthop": "10.1.0.2"}]
    world.call("PUT", path, {"router": {"routes": routes}})
    needed = (409, "RouterInterfaceInUseByRoute", "required by one or more routes")
    refused(world, "PUT", f"{path}/remove_router_interface", add, needed)
    assert world.call("PUT", path, {"router": {"routes": None}})["router"]["routes"] == []
    world.call("PUT", f"{path}/remove_router_interface", add)
    body = {"subnet": {"dns_nameservers": None, "host_routes": None}}
    cleared = world.call("PUT", f"/v2.0/subnets/{subnet['id']}", body)["subnet"]
    assert (cleared["dns_nameservers"], cleared["host_routes"]) == ([], [])


def revision(world: World, path: str) -> int:
    [found] = world.get(path).values()
    return int(found["revision_number"])


def test_a_parent_s_revision_rises_with_its_children(world: World):
    network = world.create("network")
    router = world.create("router")
    groups = f"/v2.0/security-groups/{group(world)}"
    rule = {"security_group_id": groups.rpartition("/")[2], "direction": "egress",
            "protocol": "tcp"}  # fmt: skip
    paths = [f"/v2.0/networks/{network['id']}", groups, f"/v2.0/routers/{router['id']}"]
    seen = [revision(world, path) for path in paths]

    def risen(position: int) -> None:
        now = [revision(world, path) for path in paths]
        assert [a > b for a, b in zip(now, seen, strict=True)] == [
            i == position for i in range(len(paths))
        ]
        seen[:] = now

    subnet = world.subnet(network, "10.1.0.0/24")
    risen(0)
    world.call("PUT", f"/v2.0/subnets/{subnet['id']}", {"subnet": {"name": "x"}})
    risen(0)
    made = world.call("POST", "/v2.0/security-group-rules", {"security_group_rule": rule}, 201)
    risen(1)
    world.call("DELETE", f"/v2.0/security-group-rules/{made['security_group_rule']['id']}",
               expect=204)  # fmt: skip
    risen(1)
    for action in ("add", "remove"):
        body = {"subnet_id": subnet["id"]}
        world.call("PUT", f"/v2.0/routers/{router['id']}/{action}_router_interface", body)
        risen(2)
    world.call("DELETE", f"/v2.0/subnets/{subnet['id']}", expect=204)
    risen(0)


def test_several_at_once_in_either_form(world: World):
    plain = [{"name": "a"}, {"name": "b"}]
    for form in (plain, [{"security_group": one} for one in plain]):
        made = world.call("POST", "/v2.0/security-groups", {"security_groups": form}, 201)
        assert [g["name"] for g in made["security_groups"]] == ["a", "b"]


def test_subnets_by_whether_their_network_is_shared(world: World):
    shared = world.create("network", shared=True)
    one = world.subnet(shared, "10.1.0.0/24")
    _, other = world.network("10.2.0.0/24")
    found = {
        text: [s["id"] for s in world.get(f"/v2.0/subnets?shared={text}")["subnets"]]
        for text in ("True", "false")
    }
    assert found == {"True": [one["id"]], "false": [other["id"]]}
    assert "shared" not in one


def test_a_port_that_is_switched_off_is_down(world: World):
    world.report(start=True)
    network, _ = world.network()
    [port] = world.dhcp_ports(network)
    path = f"/v2.0/ports/{port['id']}"
    statuses = []
    for up in (True, False, True):
        world.call("PUT", path, {"port": {"admin_state_up": up}})
        statuses.append(world.get(path)["port"]["status"])
        world.report(ports_up=[port["id"]])
        statuses.append(world.get(path)["port"]["status"])
    assert statuses == ["DOWN", "ACTIVE", "DOWN", "DOWN", "DOWN", "ACTIVE"]
