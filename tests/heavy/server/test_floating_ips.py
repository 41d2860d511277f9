"""Floating IPs: recorded, and checked as Neutron checks them."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.kit.guarded_world import Guarded
from tests.kit.server_world import UNKNOWN, World


@dataclass(frozen=True, kw_only=True)
class Site:
    """A network behind a router with a gateway, and a port on it."""

    external: Any
    router: Any
    network: Any
    subnet: Any
    port: Any


def outside(world: World, cidr: str = "203.0.113.0/24") -> Any:
    external = world.create("network", name="ext", **{"router:external": True})
    world.subnet(external, cidr, enable_dhcp=False)
    return external


def routed(world: World, external: Any, cidr: str = "10.1.0.0/24") -> tuple[Any, Any, Any]:
    info = {"network_id": external["id"]}
    router = world.create("router", external_gateway_info=info)
    network, subnet = world.network(cidr)
    path = f"/v2.0/routers/{router['id']}/add_router_interface"
    world.call("PUT", path, {"subnet_id": subnet["id"]})
    return router, network, subnet


@pytest.fixture
def site(world: World) -> Site:
    external = outside(world)
    router, network, subnet = routed(world, external)
    port = world.create("port", network_id=network["id"])
    return Site(external=external, router=router, network=network, subnet=subnet, port=port)


def path(floating: Any) -> str:
    return f"/v2.0/floatingips/{floating['id']}"


def put(world: World, floating: Any, **values: object) -> Any:
    return world.call("PUT", path(floating), {"floatingip": values})["floatingip"]


def make(world: World, site: Site, **values: object) -> Any:
    return world.create("floatingip", floating_network_id=site.external["id"], **values)


def test_a_floating_ip_without_a_port(world: World, site: Site):
    made = make(world, site, description="d")
    assert made["floating_ip_address"] == "203.0.113.3"  # .2 is the gateway's
    nowhere = ("port_id", "fixed_ip_address", "router_id", "port_details")
    assert [made[name] for name in nowhere] == [None] * 4
    assert (made["status"], made["description"], made["tags"]) == ("DOWN", "d", [])
    [port] = world.ports(device_owner="network:floatingip")
    assert (port["device_id"], port["project_id"], port["status"]) == (made["id"], "", "N/A")
    found = world.get("/v2.0/floatingips?floating_ip_address=203.0.113.3")["floatingips"]
    assert [f["id"] for f in found] == [made["id"]]
    held = world.error("DELETE", f"/v2.0/ports/{port['id']}", None, 409)
    assert held[0] == "ServicePortInUse"
    world.call("DELETE", path(made), expect=204)
    assert world.ports(device_owner="network:floatingip") == []


def test_a_floating_ip_is_associated_and_dissociated(world: World, site: Site):
    made = make(world, site)
    linked = put(world, made, port_id=site.port["id"])
    address = site.port["fixed_ips"][0]["ip_address"]
    assert linked["fixed_ip_address"] == address
    assert linked["router_id"] == site.router["id"]
    assert linked["port_details"]["network_id"] == site.network["id"]
    assert linked["revision_number"] > made["revision_number"]
    assert put(world, made, description="kept")["port_id"] == site.port["id"]
    assert put(world, made)["port_id"] is None
    assert put(world, made, port_id=site.port["id"])["port_id"] == site.port["id"]
    assert put(world, made, port_id=None)["router_id"] is None
    again = make(world, site, port_id=site.port["id"], fixed_ip_address=address)
    assert again["fixed_ip_address"] == address


def test_it_is_active_while_it_is_associated_and_the_routers_gateway_is_active(
    world: World, site: Site
):
    agent = world.report("L3 agent", "h1")
    [gateway] = world.ports(device_owner="network:router_gateway")
    made = make(world, site, port_id=site.port["id"])
    unused = make(world, site)

    def status(of: Any) -> str:
        return str(world.get(path(of))["floatingip"]["status"])

    def listed() -> list[str]:
        found = world.get("/v2.0/floatingips?status=ACTIVE")["floatingips"]
        return [floating["id"] for floating in found]

    assert status(made) == "DOWN"
    world.report("L3 agent", "h1", ports_up=[gateway["id"]])
    assert (status(made), status(unused), listed()) == ("ACTIVE", "DOWN", [made["id"]])
    assert put(world, made)["status"] == "DOWN"
    assert put(world, made, port_id=site.port["id"])["status"] == "ACTIVE"
    world.report("L3 agent", "h1", ports_down=[gateway["id"]])
    assert status(made) == "DOWN"
    world.report("L3 agent", "h1", ports_up=[gateway["id"]])
    router = f"/v2.0/agents/{agent}/l3-routers/{site.router['id']}"
    world.call("DELETE", router, expect=204)
    assert status(made) == "DOWN", "its router is on no host"


def test_one_for_a_fixed_address_and_external_network(world: World, site: Site):
    make(world, site, port_id=site.port["id"])
    body = {"floatingip": {"port_id": site.port["id"]}}
    second = make(world, site)
    kind = world.error("PUT", path(second), body, 409)[0]
    assert kind == "FloatingIPPortAlreadyAssociated"


def test_the_port_goes_and_the_address_stays(world: World, site: Site):
    made = make(world, site, port_id=site.port["id"])
    world.call("DELETE", f"/v2.0/ports/{site.port['id']}", expect=204)
    found = world.get(path(made))["floatingip"]
    assert (found["port_id"], found["router_id"]) == (None, None)


def test_an_instance_goes_and_the_address_stays(world: World, site: Site):
    body = {"instance": {"name": "vm", "networks": [{"uuid": site.network["id"]}]}}
    instance = world.call("POST", "/a9fe/v1/instances", body, 201)["instance"]
    made = make(world, site, port_id=instance["ports"][0]["id"])
    world.call("DELETE", f"/a9fe/v1/instances/{instance['id']}", expect=204)
    assert world.get(path(made))["floatingip"]["port_id"] is None


def test_resources_that_a_floating_ip_needs_are_not_deleted(world: World, site: Site):
    make(world, site, port_id=site.port["id"])
    interface = {"subnet_id": site.subnet["id"]}
    router = f"/v2.0/routers/{site.router['id']}"
    gateway = {"router": {"external_gateway_info": {}}}
    moved = {"port": {"fixed_ips": [{"ip_address": "10.1.0.99"}]}}
    held = [
        ("PUT", f"{router}/remove_router_interface", interface, 409,
         "RouterInterfaceInUseByFloatingIP"),
        ("PUT", router, gateway, 409, "RouterExternalGatewayInUseByFloatingIp"),
        ("PUT", f"/v2.0/ports/{site.port['id']}", moved, 400, "BadRequest"),
        ("DELETE", f"/v2.0/networks/{site.external['id']}", None, 409, "NetworkInUse"),
    ]  # fmt: skip
    for method, where, body, status, kind in held:
        assert world.error(method, where, body, status)[0] == kind


def test_an_external_network_is_deleted_with_its_dissociated_floating_ips(world: World):
    external = outside(world)
    made = world.create("floatingip", floating_network_id=external["id"])
    world.call("DELETE", f"/v2.0/networks/{external['id']}", expect=204)
    assert world.error("GET", path(made), None, 404)[0] == "FloatingIPNotFound"


def test_the_router_with_the_gateway_address_is_taken(world: World, site: Site):
    other = world.create("router", external_gateway_info={"network_id": site.external["id"]})
    beside = world.create("port", network_id=site.network["id"])
    where = f"/v2.0/routers/{other['id']}/add_router_interface"
    world.call("PUT", where, {"port_id": beside["id"]})
    assert make(world, site, port_id=site.port["id"])["router_id"] == site.router["id"]


def test_what_is_refused(world: World, site: Site):
    inside, external = site.network["id"], site.external["id"]
    plain, _ = world.network("10.2.0.0/24")
    far = world.create("port", network_id=plain["id"])
    bare = world.create("port", network_id=inside, fixed_ips=[])
    pair = [{"subnet_id": site.subnet["id"]}] * 2
    both = world.create("port", network_id=inside, fixed_ips=pair)
    interface = world.ports(device_owner="network:router_interface")[0]
    refusals = [
        ({"floating_network_id": inside}, 400, "BadRequest"),
        ({"floating_network_id": UNKNOWN}, 404, "NetworkNotFound"),
        ({"floating_ip_address": "10.9.9.9"}, 400, "InvalidInput"),
        ({"floating_ip_address": "203.0.113.2"}, 409, "IpAddressAlreadyAllocated"),
        ({"subnet_id": site.subnet["id"]}, 400, "InvalidInput"),
        ({"port_id": UNKNOWN}, 404, "PortNotFound"),
        ({"port_id": far["id"]}, 404, "ExternalGatewayForFloatingIPNotFound"),
        ({"port_id": bare["id"]}, 400, "BadRequest"),
        ({"port_id": both["id"]}, 400, "BadRequest"),
        ({"port_id": interface["id"]}, 400, "BadRequest"),
        ({"port_id": site.port["id"], "fixed_ip_address": "10.1.0.77"}, 400, "BadRequest"),
        ({"fixed_ip_address": "10.1.0.2"}, 400, "BadRequest"),
        ({"router_id": site.router["id"]}, 400, "InvalidInput"),
    ]
    for more, status, kind in refusals:
        body = {"floatingip": {"floating_network_id": external, **more}}
        assert world.error("POST", "/v2.0/floatingips", body, status)[0] == kind, more


def test_a_members_floating_ips(tmp_path: Any):
    world = Guarded(tmp_path)
    world.be("admin")
    external = outside(world)
    world.be("mine")
    router, network, _ = routed(world, external)
    port = world.create("port", network_id=network["id"])
    made = world.create("floatingip", floating_network_id=external["id"], port_id=port["id"])
    assert (made["project_id"], made["router_id"]) == ("mine", router["id"])
    body = {"floating_network_id": external["id"], "floating_ip_address": "203.0.113.50"}
    assert world.status("POST", "/v2.0/floatingips", {"floatingip": body}) == 403
    world.be("theirs")
    assert world.status("GET", path(made)) == 404
    assert world.get("/v2.0/floatingips")["floatingips"] == []
    own = world.create("floatingip", floating_network_id=external["id"])
    taken = {"floatingip": {"port_id": port["id"]}}
    assert world.status("PUT", path(own), taken) == 404
    world.close()
