"""Neutron's API: fields, defaults, lists, updates, deletes and refusals."""

import pytest

from a9fe.model.rules.scheduling import timestamp
from tests.kit.fake_clock import START
from tests.kit.server_world import UNKNOWN, World

PORT_FIELDS = {
    "admin_state_up", "allowed_address_pairs", "binding:host_id", "binding:profile",
    "binding:vif_details", "binding:vif_type", "binding:vnic_type", "created_at", "description",
    "device_id", "device_owner", "dns_assignment", "dns_name", "extra_dhcp_opts", "fixed_ips",
    "id", "ip_allocation", "mac_address", "name", "network_id", "port_security_enabled",
    "project_id", "revision_number", "security_groups", "status", "tags", "tenant_id",
    "updated_at",
}  # fmt: skip


def test_the_versions_document(world: World):
    version = world.get("/")["versions"][0]
    assert (version["id"], version["status"]) == ("v2.0", "CURRENT")
    assert version["links"][0]["rel"] == "self"


def test_extensions_are_listed_and_shown(world: World):
    aliases = {e["alias"] for e in world.get("/v2.0/extensions")["extensions"]}
    assert {"router", "agent", "dhcp_agent_scheduler", "binding"} <= aliases
    assert world.get("/v2.0/extensions/router")["extension"]["alias"] == "router"
    kind, _ = world.error("GET", "/v2.0/extensions/nope", None, 404)
    assert kind == "ExtensionNotFound"


def test_a_network_with_its_defaults(world: World):
    network = world.create("network", name="lab")
    assert network["mtu"] == 1500
    assert network["status"] == "ACTIVE"
    assert network["subnets"] == []
    assert network["router:external"] is False
    assert network["project_id"] == network["tenant_id"] == "default"
    assert (network["revision_number"], network["created_at"]) == (1, timestamp(START))
    subnet = world.subnet(network, "10.1.0.0/24")
    assert world.get(f"/v2.0/networks/{network['id']}")["network"]["subnets"] == [subnet["id"]]


def test_a_subnet_with_its_defaults(world: World):
    _, subnet = world.network("10.1.0.9/24")
    assert subnet["cidr"] == "10.1.0.0/24"
    assert subnet["gateway_ip"] == "10.1.0.1"
    assert subnet["allocation_pools"] == [{"start": "10.1.0.2", "end": "10.1.0.254"}]
    assert subnet["enable_dhcp"] is True
    assert (subnet["dns_nameservers"], subnet["host_routes"]) == ([], [])


def test_a_port_has_neutrons_fields(world: World):
    network, subnet = world.network()
    port = world.create("port", network_id=network["id"])
    assert port.keys() >= PORT_FIELDS
    assert port["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.1.0.2"}]
    assert port["mac_address"].startswith("fa:16:3e:")
    assert port["status"] == "DOWN"
    assert (port["binding:vif_type"], port["binding:vif_details"]) == ("unbound", {})


def test_a_bound_port_shows_its_bridge(world: World):
    network, _ = world.network()
    port = world.create("port", network_id=network["id"], **{"binding:host_id": "h1"})
    assert port["binding:vif_type"] == "bridge"
    assert port["binding:vif_details"]["bridge_name"] == f"brq{network['id'][:11]}"


def test_the_project_comes_from_the_body_or_the_header(world: World):
    body = {"network": {"name": "a"}}
    made = world.send("POST", "/v2.0/networks", json=body, headers={"X-Project-Id": "p1"}).json()
    assert made["network"]["project_id"] == "p1"
    assert world.create("network", tenant_id="p2")["project_id"] == "p2"
    world.error("POST", "/v2.0/networks", {"network": {"tenant_id": "a", "project_id": "b"}}, 400)


def test_strings_are_taken_for_booleans_and_numbers(world: World):
    network = world.create(
        "network", admin_state_up="False", mtu="1400", **{"router:external": "True"}
    )
    assert network["admin_state_up"] is False
    assert network["mtu"] == 1400
    assert network["router:external"] is True


def test_a_bulk_create_is_atomic(world: World):
    made = world.call("POST", "/v2.0/networks", {"networks": [{"name": "a"}, {"name": "b"}]}, 201)
    assert [n["name"] for n in made["networks"]] == ["a", "b"]
    world.error("POST", "/v2.0/networks", {"networks": [{"name": "c"}, {"name": 5}]}, 400)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", {"a", "b", "c"}),
        ("name=a", {"a"}),
        ("name=a&name=b", {"a", "b"}),
        ("name=a&mtu=1400", set()),
        ("mtu=1400", {"b"}),
        ("admin_state_up=False", {"c"}),
        ("admin_state_up=true&router%3Aexternal=False", {"a", "b"}),
        ("tenant_id=default", {"a", "b", "c"}),
        ("id=no-uuid", set()),
        ("not-tags=x", {"a", "b", "c"}),
        ("tags=x", set()),
        ("limit=100", {"a", "b", "c"}),
    ],
)
def test_lists_are_filtered(world: World, query: str, names: set[str]):
    world.create("network", name="a")
    world.create("network", name="b", mtu=1400)
    world.create("network", name="c", admin_state_up=False)
    assert {n["name"] for n in world.get(f"/v2.0/networks?{query}")["networks"]} == names


def test_an_unknown_filter_is_refused(world: World):
    assert "nam:" in world.error("GET", "/v2.0/networks?nam=a", None, 400)[1]


def test_pages_by_limit_and_marker(world: World):
    for name in "abc":
        world.create("network", name=name)
    seen, marker = [], ""
    while page := world.get(f"/v2.0/networks?limit=2&marker={marker}")["networks"]:
        seen += [n["name"] for n in page]
        marker = page[-1]["id"]
    assert sorted(seen) == ["a", "b", "c"]


def test_fields_choose_and_unknown_ones_are_ignored(world: World):
    world.create("network", name="a")
    [network] = world.get("/v2.0/networks?fields=name&fields=mtu&fields=nope")["networks"]
    assert network == {"name": "a", "mtu": 1500}


def test_ports_are_found_by_fixed_ips(world: World):
    network, subnet = world.network()
    port = world.create("port", network_id=network["id"])
    world.create("port", network_id=network["id"])
    found = world.get("/v2.0/ports?fixed_ips=ip_address%3D10.1.0.2")["ports"]
    assert [p["id"] for p in found] == [port["id"]]
    assert len(world.get(f"/v2.0/ports?fixed_ips=subnet_id%3D{subnet['id']}")["ports"]) == 2
    both = f"fixed_ips=ip_address%3D10.1.0.2&fixed_ips=subnet_id%3D{subnet['id']}"
    assert len(world.get(f"/v2.0/ports?{both}")["ports"]) == 1
    world.error("GET", "/v2.0/ports?fixed_ips=nonsense", None, 400)


def test_update_changes_what_is_given_and_counts(world: World):
    network = world.create("network", name="a", description="d")
    path = f"/v2.0/networks/{network['id']}"
    changed = world.call("PUT", path, {"network": {"name": "b"}})["network"]
    assert (changed["name"], changed["description"], changed["revision_number"]) == ("b", "d", 2)


def test_extra_dhcp_opts_are_merged_and_removed_by_null(world: World):
    network, _ = world.network()
    opts = [{"opt_name": "a", "opt_value": "1"}, {"opt_name": "b", "opt_value": "2"}]
    port = world.create("port", network_id=network["id"], extra_dhcp_opts=opts)
    change = [{"opt_name": "a", "opt_value": None}, {"opt_name": "b", "opt_value": "3"}]
    body = {"port": {"extra_dhcp_opts": change}}
    changed = world.call("PUT", f"/v2.0/ports/{port['id']}", body)["port"]
    assert changed["extra_dhcp_opts"] == [{"opt_name": "b", "opt_value": "3", "ip_version": 4}]


def test_a_port_keeps_its_address_when_it_is_asked_for_again(world: World):
    network, subnet = world.network()
    port = world.create("port", network_id=network["id"])
    path = f"/v2.0/ports/{port['id']}"
    for wanted in ({"ip_address": "10.1.0.2"}, {"subnet_id": subnet["id"]}):
        changed = world.call("PUT", path, {"port": {"fixed_ips": [wanted]}})["port"]
        assert changed["fixed_ips"] == port["fixed_ips"]
    moved = world.call("PUT", path, {"port": {"fixed_ips": [{"ip_address": "10.1.0.99"}]}})
    assert moved["port"]["fixed_ips"][0]["ip_address"] == "10.1.0.99"
    assert world.create("port", network_id=network["id"])["fixed_ips"] == port["fixed_ips"]


def test_a_moved_port_is_down(world: World):
    network, _ = world.network()
    port = world.create("port", network_id=network["id"], **{"binding:host_id": "h1"})
    world.report(ports_up=[port["id"], UNKNOWN])
    path = f"/v2.0/ports/{port['id']}"
    assert world.get(path)["port"]["status"] == "ACTIVE"
    world.call("PUT", path, {"port": {"binding:host_id": "h2"}})
    assert world.get(path)["port"]["status"] == "DOWN"


def test_subnets_overlap_on_different_networks_only(world: World):
    network, _ = world.network("10.1.0.0/24")
    world.network("10.1.0.0/24")
    body = {"subnet": {"network_id": network["id"], "cidr": "10.1.0.128/25", "ip_version": 4}}
    assert "overlap" in world.error("POST", "/v2.0/subnets", body, 400)[1]


def test_ipv6_addresses_are_made_or_allocated(world: World):
    network = world.create("network")
    world.subnet(network, "fd00:1::/64", ipv6_address_mode="slaac", ipv6_ra_mode="slaac")
    world.subnet(network, "fd00:2::/64")
    world.subnet(network, "10.1.0.0/24")
    mac = "fa:16:3e:12:34:56"
    port = world.create("port", network_id=network["id"], mac_address=mac)
    addresses = {f["ip_address"] for f in port["fixed_ips"]}
    assert addresses == {"10.1.0.2", "fd00:2::2", "fd00:1::f816:3eff:fe12:3456"}


def test_an_exhausted_subnet(world: World):
    network, _ = world.network("10.1.0.0/30", enable_dhcp=False)
    world.create("port", network_id=network["id"])
    body = {"port": {"network_id": network["id"]}}
    assert world.error("POST", "/v2.0/ports", body, 409)[0] == "IpAddressGenerationFailure"


def test_deleting_a_network_deletes_its_own_ports_and_subnets(world: World):
    world.report(start=True)
    network, _ = world.network()
    assert world.dhcp_ports(network)
    world.call("DELETE", f"/v2.0/networks/{network['id']}", expect=204)
    counts = world.get("/a9fe/v1/status")["counts"]
    assert counts == {**dict.fromkeys(counts, 0), "agent": 1, "flavor": 5}


def test_resources_in_use_are_not_deleted(world: World):
    network, subnet = world.network()
    port = world.create("port", network_id=network["id"])
    path = f"/v2.0/networks/{network['id']}"
    assert world.error("DELETE", path, None, 409)[0] == "NetworkInUse"
    assert world.error("DELETE", f"/v2.0/subnets/{subnet['id']}", None, 409)[0] == "SubnetInUse"
    world.call("DELETE", f"/v2.0/ports/{port['id']}", expect=204)
    world.call("DELETE", path, expect=204)
    world.error("GET", path, None, 404)
