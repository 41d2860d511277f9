"""Subnet pools, address scopes, and the service types of subnets."""

from typing import Any

import pytest

from tests.kit.guarded_world import Guarded
from tests.kit.server_world import UNKNOWN, World


def pool(world: World, *prefixes: str, **values: object) -> Any:
    body = {"name": "p", "prefixes": list(prefixes), **values}
    return world.call("POST", "/v2.0/subnetpools", {"subnetpool": body}, 201)["subnetpool"]


def scope(world: World, **values: object) -> Any:
    body = {"address_scope": {"name": "s", "ip_version": 4, **values}}
    return world.call("POST", "/v2.0/address-scopes", body, 201)["address_scope"]


def cut(world: World, made: Any, network: Any = None, **values: object) -> Any:
    """A subnet of a pool, on a network of its own unless one is named."""
    network = network or world.create("network")
    version = made["ip_version"]
    given = {"ip_version": version, "subnetpool_id": made["id"], **values}
    return world.create("subnet", network_id=network["id"], **given)


def test_a_pool_with_what_it_has_by_default(world: World):
    made = pool(world, "10.0.1.0/24", "10.0.0.0/24")
    assert made["prefixes"] == ["10.0.0.0/23"]
    assert (made["ip_version"], made["shared"], made["is_default"]) == (4, False, False)
    lengths = [made[f"{name}_prefixlen"] for name in ("min", "default", "max")]
    assert lengths == ["8", "8", "32"]
    assert (made["address_scope_id"], made["default_quota"], made["tags"]) == (None, None, [])
    six = pool(world, "fd00::/48", min_prefixlen="56")
    assert [six[f"{n}_prefixlen"] for n in ("min", "default", "max")] == ["56", "56", "128"]
    found = world.get("/v2.0/subnetpools?ip_version=6&shared=false")["subnetpools"]
    assert [p["id"] for p in found] == [six["id"]]


BAD_POOLS = [
    ([], {}, "EmptySubnetPoolPrefixList"),
    (["10.0.0.0/8", "fd00::/8"], {}, "PrefixVersionMismatch"),
    (["10.0.0.0/8"], {"min_prefixlen": 25, "max_prefixlen": 24}, "IllegalSubnetPoolPrefixBounds"),
    (["10.0.0.0/8"], {"max_prefixlen": 33}, "IllegalSubnetPoolPrefixBounds"),
    (["10.0.0.0/8"], {"min_prefixlen": 9, "default_prefixlen": 8},
     "IllegalSubnetPoolPrefixBounds"),
    (["10.0.0.0/8"], {"name": ""}, "InvalidInput"),
    (["ten"], {}, "InvalidInput"),
    (["10.0.0.0/8", "10.0.0.0/8"], {}, "InvalidInput"),
]  # fmt: skip


@pytest.mark.parametrize(("prefixes", "more", "kind"), BAD_POOLS)
def test_a_bad_pool(world: World, prefixes: list[str], more: dict, kind: str):
    body = {"subnetpool": {"name": "p", "prefixes": prefixes, **more}}
    assert world.error("POST", "/v2.0/subnetpools", body, 400)[0] == kind


def test_subnets_are_cut_one_after_another(world: World):
    made = pool(world, "10.0.0.0/22", default_prefixlen=24, min_prefixlen=24, max_prefixlen=26)
    first = cut(world, made)
    assert (first["cidr"], first["subnetpool_id"]) == ("10.0.0.0/24", made["id"])
    assert first["gateway_ip"] == "10.0.0.1"
    assert cut(world, made, prefixlen=26)["cidr"] == "10.0.1.0/26"
    assert cut(world, made, cidr="10.0.3.0/25")["cidr"] == "10.0.3.0/25"
    assert cut(world, made)["cidr"] == "10.0.2.0/24"
    assert cut(world, made, prefixlen=25)["cidr"] == "10.0.1.128/25"
    network = world.create("network")
    refusals = [
        ({}, 409, "SubnetAllocationError"),
        ({"prefixlen": 23}, 400, "MinPrefixSubnetAllocationError"),
        ({"prefixlen": 27}, 400, "MaxPrefixSubnetAllocationError"),
        ({"cidr": "10.0.3.0/25"}, 409, "SubnetAllocationError"),
        ({"cidr": "10.9.0.0/24"}, 409, "SubnetAllocationError"),
        ({"cidr": "10.0.3.128/25", "prefixlen": 25}, 400, "BadRequest"),
        ({"use_default_subnetpool": True}, 400, "BadRequest"),
        ({"ip_version": 6}, 400, "InvalidInput"),
        ({"subnetpool_id": UNKNOWN}, 404, "SubnetPoolNotFound"),
        ({"prefixlen": 26, "allocation_pools": []}, 400, "BadRequest"),
    ]
    for more, status, kind in refusals:
        body = {"network_id": network["id"], "ip_version": 4, "subnetpool_id": made["id"], **more}
        assert world.error("POST", "/v2.0/subnets", {"subnet": body}, status)[0] == kind, more
    world.call("DELETE", f"/v2.0/networks/{first['network_id']}", expect=204)
    assert cut(world, made)["cidr"] == "10.0.0.0/24"


def test_a_subnet_needs_a_cidr_or_a_pool(world: World):
    network = world.create("network")
    for more in ({}, {"prefixlen": 24}, {"use_default_subnetpool": True}, {"cidr": None}):
        body = {"network_id": network["id"], "ip_version": 4, **more}
        assert world.error("POST", "/v2.0/subnets", {"subnet": body}, 400)[0] == "BadRequest"
    made = pool(world, "10.0.0.0/16", is_default=True, default_prefixlen=24)
    found = world.create("subnet", network_id=network["id"], ip_version=4,
                         use_default_subnetpool=True)  # fmt: skip
    assert (found["cidr"], found["subnetpool_id"]) == ("10.0.0.0/24", made["id"])
    again = {"subnetpool": {"name": "q", "prefixes": ["10.9.0.0/16"], "is_default": True}}
    assert "already been set" in world.error("POST", "/v2.0/subnetpools", again, 400)[1]


def test_subnets_of_one_network_are_of_one_pool(world: World):
    one, other = pool(world, "10.0.0.0/8"), pool(world, "11.0.0.0/8")
    network = world.create("network")
    cut(world, one, network, prefixlen=24)
    cut(world, one, network, prefixlen=24)
    kind = "NetworkSubnetPoolAffinityError"
    for more in ({"subnetpool_id": other["id"], "prefixlen": 24}, {"cidr": "12.0.0.0/24"}):
        body = {"network_id": network["id"], "ip_version": 4, **more}
        assert world.error("POST", "/v2.0/subnets", {"subnet": body}, 400)[0] == kind
    plain, _ = world.network("10.1.0.0/24")
    body = {"network_id": plain["id"], "ip_version": 4, "subnetpool_id": one["id"]}
    assert world.error("POST", "/v2.0/subnets", {"subnet": body}, 400)[0] == kind


def test_a_project_has_no_more_of_a_pool_than_its_quota(world: World):
    made = pool(world, "10.0.0.0/8", default_quota=256)
    cut(world, made, prefixlen=25)
    network = world.create("network")
    body = {"network_id": network["id"], "ip_version": 4, "subnetpool_id": made["id"]}
    too_large = {"subnet": {**body, "prefixlen": 24}}
    assert world.error("POST", "/v2.0/subnets", too_large, 409)[0] == "SubnetPoolQuotaExceeded"
    cut(world, made, network, prefixlen=25)


def test_a_pool_grows_and_never_shrinks(world: World):
    made = pool(world, "10.0.0.0/16")
    path = f"/v2.0/subnetpools/{made['id']}"
    grown = world.call("PUT", path, {"subnetpool": {"prefixes": ["10.0.0.0/8"]}})["subnetpool"]
    assert (grown["prefixes"], grown["revision_number"]) == (["10.0.0.0/8"], 2)
    less = {"subnetpool": {"prefixes": ["10.0.0.0/16"]}}
    assert world.error("PUT", path, less, 400)[0] == "IllegalSubnetPoolPrefixUpdate"
    for fixed in ({"shared": True}, {"project_id": "x"}, {"ip_version": 6}):
        world.error("PUT", path, {"subnetpool": fixed}, 400)
    cut(world, made, prefixlen=24)
    assert world.error("DELETE", path, None, 400)[0] == "SubnetPoolDeleteError"


def test_pools_of_one_scope_have_no_address_in_common(world: World):
    made = scope(world)
    one = pool(world, "20.0.0.0/18", "30.0.0.0/18", address_scope_id=made["id"])
    clash = {"name": "q", "prefixes": ["30.0.0.0/12"], "address_scope_id": made["id"]}
    kind = world.error("POST", "/v2.0/subnetpools", {"subnetpool": clash}, 409)[0]
    assert kind == "AddressScopePrefixConflict"
    other = pool(world, "40.0.0.0/18", address_scope_id=made["id"])
    path = f"/v2.0/subnetpools/{other['id']}"
    wide = {"subnetpool": {"prefixes": ["40.0.0.0/18", "20.0.0.0/8"]}}
    assert world.error("PUT", path, wide, 409)[0] == kind
    six = {"subnetpool": {"address_scope_id": scope(world, ip_version=6)["id"]}}
    kind = world.error("PUT", path, six, 400)[0]
    assert kind == "IllegalSubnetPoolIpVersionAssociationToAddressScope"
    held = f"/v2.0/address-scopes/{made['id']}"
    assert world.error("DELETE", held, None, 409)[0] == "AddressScopeInUse"
    subnet = cut(world, one, prefixlen=24)
    network = world.get(f"/v2.0/networks/{subnet['network_id']}")["network"]
    assert network["ipv4_address_scope"] == made["id"]
    assert network["ipv6_address_scope"] is None
    cut(world, other, network, prefixlen=24)  # of another pool, in the same scope
    for found in (one, other):
        none = {"subnetpool": {"address_scope_id": None}}
        status = world.send("PUT", f"/v2.0/subnetpools/{found['id']}", json=none).status_code
        assert status == 200


def test_shared_pools_are_visible_and_only_admins_share(tmp_path: Any):
    world = Guarded(tmp_path)
    world.be("admin")
    hidden, shared = (pool(world, "10.0.0.0/8", shared=flag) for flag in (False, True))
    theirs = scope(world, shared=True)
    world.be("mine")
    assert world.status("GET", f"/v2.0/subnetpools/{hidden['id']}") == 404
    assert world.status("GET", f"/v2.0/subnetpools/{shared['id']}") == 200
    assert [p["id"] for p in world.get("/v2.0/subnetpools")["subnetpools"]] == [shared["id"]]
    own = {"name": "q", "prefixes": ["11.0.0.0/8"]}
    for more, status in (({"shared": True}, 403), ({"is_default": True}, 403),
                         ({"address_scope_id": theirs["id"]}, 400)):  # fmt: skip
        body = {"subnetpool": {**own, **more}}
        assert world.status("POST", "/v2.0/subnetpools", body) == status
    network = world.create("network")
    body = {"network_id": network["id"], "ip_version": 4, "prefixlen": 24}
    for found, status in ((hidden, 404), (shared, 201)):
        wanted = {"subnet": {**body, "subnetpool_id": found["id"]}}
        assert world.status("POST", "/v2.0/subnets", wanted) == status
    world.be("admin")
    body = {"address_scope": {"shared": False}}
    assert world.error("PUT", f"/v2.0/address-scopes/{theirs['id']}", body, 400)[0] == (
        "AddressScopeUpdateError"
    )
    world.close()


def test_a_port_gets_an_address_of_the_subnet_for_its_owner(world: World):
    network = world.create("network")
    for number, types in enumerate((["test:one", "network:floatingip"], ["test:two"])):
        world.subnet(network, f"192.168.{number}.0/24", service_types=types)
    for owner, start in (("test:one", "192.168.0."), ("test:two", "192.168.1.")):
        port = world.create("port", network_id=network["id"], device_owner=owner)
        [fixed] = port["fixed_ips"]
        assert fixed["ip_address"].startswith(start)
    body = {"port": {"network_id": network["id"], "device_owner": "compute:nova"}}
    kind = world.error("POST", "/v2.0/ports", body, 409)[0]
    assert kind == "IpAddressGenerationFailureNoMatchingSubnet"
    plain = world.subnet(network, "192.168.9.0/24")
    port = world.create("port", network_id=network["id"], device_owner="compute:nova")
    assert port["fixed_ips"][0]["subnet_id"] == plain["id"]
    world.report(start=True)
    assert len(world.dhcp_ports(network)[0]["fixed_ips"]) == 3


@pytest.mark.parametrize("bad", ["compute", "", "a b:c", "x" * 300, 5, None])
def test_a_bad_service_type(world: World, bad: object):
    network = world.create("network")
    body = {"network_id": network["id"], "ip_version": 4, "cidr": "10.0.0.0/24"}
    body["service_types"] = [bad]
    world.error("POST", "/v2.0/subnets", {"subnet": body}, 400)
