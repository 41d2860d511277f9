"""Routers and their interfaces."""

from typing import Any

import pytest

from tests.kit.server_world import UNKNOWN, World


def act(world: World, router: Any, action: str, **body: str) -> Any:
    return world.call("PUT", path(router, action), body)


def path(router: Any, action: str) -> str:
    return f"/v2.0/routers/{router['id']}/{action}_router_interface"


def test_by_subnet_the_router_takes_the_gateway_address(world: World):
    router = world.create("router", name="r")
    network, subnet = world.network()
    answer = act(world, router, "add", subnet_id=subnet["id"])
    port = world.get(f"/v2.0/ports/{answer['port_id']}")["port"]
    assert answer == {
        "id": router["id"],
        "tenant_id": "default",
        "project_id": "default",
        "port_id": port["id"],
        "network_id": network["id"],
        "subnet_id": subnet["id"],
        "subnet_ids": [subnet["id"]],
    }
    assert port["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.1.0.1"}]
    assert (port["device_id"], port["device_owner"]) == (router["id"], "network:router_interface")


def test_on_a_subnet_without_a_gateway_it_takes_a_free_address(world: World):
    router = world.create("router")
    _, subnet = world.network("10.3.0.0/24", gateway_ip=None, enable_dhcp=False)
    port_id = act(world, router, "add", subnet_id=subnet["id"])["port_id"]
    [fixed] = world.get(f"/v2.0/ports/{port_id}")["port"]["fixed_ips"]
    assert fixed == {"subnet_id": subnet["id"], "ip_address": "10.3.0.1"}


def test_by_port_the_router_takes_the_ports_address(world: World):
    router = world.create("router")
    network, subnet = world.network()
    port = world.create("port", network_id=network["id"], fixed_ips=[{"ip_address": "10.1.0.9"}])
    answer = act(world, router, "add", port_id=port["id"])
    assert (answer["port_id"], answer["subnet_id"]) == (port["id"], subnet["id"])
    found = world.error("PUT", path(router, "add"), {"port_id": port["id"]}, 409)
    assert found[0] == "PortInUse"


def test_ipv6_subnets_of_a_network_share_a_port(world: World):
    router = world.create("router")
    network, first = world.network("fd00:1::/64")
    second = world.subnet(network, "fd00:2::/64")
    v4 = world.subnet(network, "10.1.0.0/24")
    ports = [act(world, router, "add", subnet_id=s["id"])["port_id"] for s in (first, second, v4)]
    assert ports[0] == ports[1] != ports[2]
    act(world, router, "remove", subnet_id=first["id"])
    left = world.get(f"/v2.0/ports/{ports[0]}")["port"]["fixed_ips"]
    assert [f["ip_address"] for f in left] == ["fd00:2::1"]


@pytest.mark.parametrize("by", ["subnet_id", "port_id"])
def test_removed_by_subnet_or_port_the_port_is_gone(world: World, by: str):
    router = world.create("router")
    _, subnet = world.network()
    answer = act(world, router, "add", subnet_id=subnet["id"])
    removed = act(world, router, "remove", **{by: answer[by]})
    assert removed == answer
    world.error("GET", f"/v2.0/ports/{answer['port_id']}", None, 404)
    kind, _ = world.error("PUT", path(router, "remove"), {"subnet_id": subnet["id"]}, 404)
    assert kind == "RouterInterfaceNotFoundForSubnet"


def test_what_cannot_be_added(world: World):
    router = world.create("router")
    network, subnet = world.network()
    _, overlapping = world.network("10.1.0.128/25")
    act(world, router, "add", subnet_id=subnet["id"])
    bare = world.create("port", network_id=network["id"], fixed_ips=[])
    bad = [
        ({}, 400),
        ({"subnet_id": subnet["id"], "port_id": bare["id"]}, 400),
        ({"subnet_id": "x"}, 400),
        ({"subnet_id": 5}, 400),
        ({"network_id": network["id"]}, 400),
        ({"subnet_id": UNKNOWN}, 404),
        ({"subnet_id": subnet["id"]}, 400),
        ({"subnet_id": overlapping["id"]}, 400),
        ({"port_id": bare["id"]}, 400),
        ([], 400),
    ]
    for body, status in bad:
        world.error("PUT", path(router, "add"), body, status)


def test_a_taken_gateway_address_is_a_conflict(world: World):
    router = world.create("router")
    network, subnet = world.network()
    world.create("port", network_id=network["id"], fixed_ips=[{"ip_address": "10.1.0.1"}])
    found = world.error("PUT", path(router, "add"), {"subnet_id": subnet["id"]}, 409)
    assert found[0] == "IpAddressAlreadyAllocated"


def test_a_router_and_its_port_are_held_while_it_has_interfaces(world: World):
    router = world.create("router")
    network, subnet = world.network()
    port_id = act(world, router, "add", subnet_id=subnet["id"])["port_id"]
    refused = {
        f"/v2.0/routers/{router['id']}": "RouterInUse",
        f"/v2.0/ports/{port_id}": "ServicePortInUse",
        f"/v2.0/subnets/{subnet['id']}": "SubnetInUse",
        f"/v2.0/networks/{network['id']}": "NetworkInUse",
    }
    for held, kind in refused.items():
        assert world.error("DELETE", held, None, 409)[0] == kind
    gateway = {"subnet": {"gateway_ip": None}}
    found = world.error("PUT", f"/v2.0/subnets/{subnet['id']}", gateway, 409)
    assert found[0] == "GatewayIpInUse"
    act(world, router, "remove", subnet_id=subnet["id"])
    for held in (f"/v2.0/routers/{router['id']}", f"/v2.0/networks/{network['id']}"):
        world.call("DELETE", held, expect=204)


def external(world: World, **subnet: object) -> tuple[Any, Any]:
    network = world.create("network", name="ext", **{"router:external": "True"})
    return network, world.subnet(network, "203.0.113.0/24", enable_dhcp=False, **subnet)


def gateway(world: World, router: Any, info: object, expect: int = 200) -> Any:
    body = {"router": {"external_gateway_info": info}}
    return world.call("PUT", f"/v2.0/routers/{router['id']}", body, expect)


def test_a_gateway_is_a_port_on_the_external_network(world: World):
    router = world.create("router")
    assert router["external_gateway_info"] is None
    network, subnet = external(world)
    info = gateway(world, router, {"network_id": network["id"]})["router"]["external_gateway_info"]
    fixed = [{"subnet_id": subnet["id"], "ip_address": "203.0.113.2"}]
    assert info == {
        "network_id": network["id"],
        "enable_snat": True,
        "external_fixed_ips": fixed,
    }
    [port] = world.ports(device_id=router["id"])
    assert (port["device_owner"], port["fixed_ips"]) == ("network:router_gateway", fixed)
    assert (port["project_id"], port["security_groups"]) == ("", [])
    assert world.error("DELETE", f"/v2.0/ports/{port['id']}", None, 409)[0] == "ServicePortInUse"
    found = world.get("/v2.0/routers")["routers"][0]["external_gateway_info"]
    assert found == info
    held = f"/v2.0/networks/{network['id']}"
    assert world.error("DELETE", held, None, 409)[0] == "NetworkInUse"


@pytest.mark.parametrize("nothing", [{}, None])
def test_a_gateway_is_cleared_and_goes_with_its_router(world: World, nothing: object):
    network, _ = external(world)
    router = world.create("router", external_gateway_info={"network_id": network["id"]})
    assert router["external_gateway_info"]["network_id"] == network["id"]
    assert gateway(world, router, nothing)["router"]["external_gateway_info"] is None
    assert world.ports(device_id=router["id"]) == []
    gateway(world, router, {"network_id": network["id"], "enable_snat": "False"})
    world.call("DELETE", f"/v2.0/routers/{router['id']}", expect=204)
    assert world.ports() == []


def test_a_gateway_takes_the_address_that_is_asked_for(world: World):
    network, subnet = external(world)
    router = world.create("router")
    for address in ("203.0.113.9", "203.0.113.10"):
        fixed = {"subnet_id": subnet["id"], "ip_address": address}
        info = {"network_id": network["id"], "external_fixed_ips": [fixed]}
        shown = gateway(world, router, info)["router"]["external_gateway_info"]
        assert shown["external_fixed_ips"] == [fixed]
    assert len(world.ports(device_id=router["id"])) == 1


def test_what_is_no_gateway(world: World):
    router = world.create("router")
    inner, _ = world.network()
    bad = [
        ({"network_id": UNKNOWN}, 404),
        ({"network_id": inner["id"]}, 400),
        ({"network_id": "x"}, 400),
        ({"enable_snat": True}, 400),
        ({"network_id": inner["id"], "colour": 1}, 400),
        ("x", 400),
        ([], 400),
    ]
    path = f"/v2.0/routers/{router['id']}"
    for info, status in bad:
        world.error("PUT", path, {"router": {"external_gateway_info": info}}, status)


@pytest.mark.parametrize(
    ("destination", "status"),
    [
        ("10.1.0.5/32", 400),  # a neighbour's address
        ("10.1.0.128/25", 400),
        ("10.1.0.0/24", 200),  # the very subnet: recorded, and never built
        ("10.1.0.77/24", 200),  # host bits
        ("10.0.0.0/8", 200),  # the connected subnet goes before it
        ("0.0.0.0/0", 200),
        ("10.2.0.0/24", 200),
        ("fd00::/64", 200),
    ],
)
def test_no_route_leads_into_a_subnet_of_the_router(world: World, destination: str, status: int):
    router = world.create("router")
    _, first = world.network()
    act(world, router, "add", subnet_id=first["id"])
    one = f"/v2.0/routers/{router['id']}"
    body = {"router": {"routes": [{"destination": destination, "nexthop": "10.1.0.9"}]}}
    if status == 200:
        assert world.call("PUT", one, body)["router"]["routes"]
        return
    type_, message = world.error("PUT", one, body, 400)
    assert type_ == "InvalidRoutes"
    assert "Invalid format for routes" in message
    assert world.call("GET", one)["router"]["routes"] == []


@pytest.mark.parametrize("how", ["subnet", "port", "gateway"])
def test_no_interface_is_added_whose_subnet_a_route_leads_into(world: World, how: str):
    router = world.create("router")
    _, first = world.network()
    act(world, router, "add", subnet_id=first["id"])
    one = f"/v2.0/routers/{router['id']}"
    routes = [{"destination": "10.2.0.5/32", "nexthop": "10.1.0.9"}]
    world.call("PUT", one, {"router": {"routes": routes}})
    network, second = world.network("10.2.0.0/24")
    if how == "subnet":
        found = world.error("PUT", path(router, "add"), {"subnet_id": second["id"]}, 400)
    elif how == "port":
        port = world.create("port", network_id=network["id"])
        found = world.error("PUT", path(router, "add"), {"port_id": port["id"]}, 400)
    else:
        world.call(
            "PUT", f"/v2.0/networks/{network['id']}", {"network": {"router:external": True}}
        )
        info = {"external_gateway_info": {"network_id": network["id"]}}
        found = world.error("PUT", one, {"router": info}, 400)
    assert "the route to 10.2.0.5/32" in found[1]


def test_routes_are_kept_and_hold_their_interface(world: World):
    router = world.create("router")
    _, subnet = world.network()
    routes = [{"destination": "192.0.2.0/24", "nexthop": "10.1.0.9"}]
    one = f"/v2.0/routers/{router['id']}"
    body = {"router": {"routes": routes}}
    assert "routes.nexthop: " in world.error("PUT", one, body, 400)[1]
    act(world, router, "add", subnet_id=subnet["id"])
    assert world.call("PUT", one, body)["router"]["routes"] == routes
    found = world.error("PUT", path(router, "remove"), {"subnet_id": subnet["id"]}, 409)
    assert found[0] == "RouterInterfaceInUseByRoute"
    own = {"router": {"routes": [{**routes[0], "nexthop": "10.1.0.1"}]}}
    world.error("PUT", one, own, 400)
    world.call("PUT", one, {"router": {"routes": []}})
    act(world, router, "remove", subnet_id=subnet["id"])
