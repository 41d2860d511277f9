"""RBAC policies: networks shared with, or external for, chosen projects; address groups."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kit.guarded_world import Guarded
from tests.kit.server_world import UNKNOWN, World

SHARED, EXTERNAL = "access_as_shared", "access_as_external"


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    made = Guarded(tmp_path)
    yield made
    made.close()


def policy(network: Any, target: object, action: str = SHARED, **more: object) -> Any:
    given = {"object_type": "network", "object_id": network["id"], "action": action}
    return {"rbac_policy": {**given, "target_tenant": target, **more}}


def share(world: World, network: Any, target: str, action: str = SHARED) -> Any:
    body = policy(network, target, action)
    return world.call("POST", "/v2.0/rbac-policies", body, 201)["rbac_policy"]


def path(found: Any) -> str:
    return f"/v2.0/rbac-policies/{found['id']}"


def of(world: World, network: Any) -> list[tuple[str, str]]:
    found = world.get(f"/v2.0/rbac-policies?object_id={network['id']}")["rbac_policies"]
    return sorted((p["action"], p["target_tenant"]) for p in found)


def test_a_network_is_shared_with_one_project(guarded: Guarded):
    guarded.be("mine")
    network, subnet = guarded.network()
    paths = [f"/v2.0/networks/{network['id']}", f"/v2.0/subnets/{subnet['id']}"]
    made = share(guarded, network, "theirs")
    assert (made["target_tenant"], made["tenant_id"]) == ("theirs", "mine")
    assert not guarded.get(paths[0])["network"]["shared"]
    guarded.be("theirs")
    assert [guarded.status("GET", p) for p in paths] == [200, 200]
    assert guarded.get(paths[0])["network"]["shared"]
    listed = [guarded.get(f"/v2.0/{kind}")[kind] for kind in ("networks", "subnets")]
    assert [[found["id"] for found in some] for some in listed] == [
        [network["id"]],
        [subnet["id"]],
    ]
    assert guarded.get("/v2.0/rbac-policies")["rbac_policies"] == []
    assert guarded.status("GET", path(made)) == 404
    port = guarded.create("port", network_id=network["id"])
    chosen = {"network_id": network["id"], "fixed_ips": [{"ip_address": "10.1.0.50"}]}
    assert guarded.status("POST", "/v2.0/ports", {"port": chosen}) == 403
    assert guarded.status("PUT", paths[0], {"network": {"name": "x"}}) == 404
    assert guarded.status("DELETE", paths[1]) == 404
    guarded.be("mine")
    kind = guarded.error("DELETE", path(made), None, 409)[0]
    assert kind == "RbacPolicyInUse"
    body = {"rbac_policy": {"target_tenant": "others"}}
    assert guarded.error("PUT", path(made), body, 409)[0] == "RbacPolicyInUse"
    guarded.call("DELETE", f"/v2.0/ports/{port['id']}", expect=204)
    guarded.call("DELETE", path(made), expect=204)
    guarded.be("theirs")
    assert [guarded.status("GET", p) for p in paths] == [404, 404]


def test_an_instance_on_a_network_that_is_shared_with_its_project(guarded: Guarded):
    guarded.be("mine")
    network, _ = guarded.network()
    body = {"instance": {"name": "vm", "networks": [{"uuid": network["id"]}]}}
    guarded.be("theirs")
    assert guarded.status("POST", "/a9fe/v1/instances", body) == 404
    guarded.be("mine")
    share(guarded, network, "theirs")
    guarded.be("theirs")
    assert guarded.status("POST", "/a9fe/v1/instances", body) == 201


def test_external_for_one_project(guarded: Guarded):
    guarded.be("admin")
    network = guarded.create("network")
    guarded.subnet(network, "203.0.113.0/24", enable_dhcp=False)
    share(guarded, network, "mine", EXTERNAL)
    where = f"/v2.0/networks/{network['id']}"
    assert guarded.get(where)["network"]["router:external"]
    router = {"router": {"external_gateway_info": {"network_id": network["id"]}}}
    floating = {"floatingip": {"floating_network_id": network["id"]}}
    guarded.be("theirs")
    assert guarded.status("GET", where) == 404
    assert guarded.status("POST", "/v2.0/routers", router) == 404
    assert guarded.status("POST", "/v2.0/floatingips", floating) == 404
    guarded.be("mine")
    assert guarded.status("POST", "/v2.0/routers", router) == 201
    assert guarded.status("POST", "/v2.0/floatingips", floating) == 201
    assert guarded.status("POST", "/v2.0/ports", {"port": {"network_id": network["id"]}}) == 403
    guarded.be("admin")
    [own] = guarded.get(f"/v2.0/rbac-policies?object_id={network['id']}")["rbac_policies"]
    assert guarded.error("DELETE", path(own), None, 409)[0] == "RbacPolicyInUse"
    wildcard = share(guarded, network, "*", EXTERNAL)
    guarded.call("DELETE", path(own), expect=204)
    assert guarded.error("DELETE", path(wildcard), None, 409)[0] == "RbacPolicyInUse"


def test_members_share_their_own_networks_and_not_with_everyone(guarded: Guarded):
    guarded.be("theirs")
    theirs = guarded.create("network")
    guarded.be("admin")
    open_network = guarded.create("network", shared=True)
    guarded.be("mine")
    own = guarded.create("network")
    tries = [
        (policy(own, "*"), 403),
        (policy(own, "*", EXTERNAL), 403),
        (policy(theirs, "mine"), 404),
        (policy(open_network, "mine"), 400),
        (policy(own, None), 400),
        (policy(own, ""), 400),
        (policy(own, "1234" * 100), 400),
        (policy(own, "x", "access_as_king"), 400),
        (policy(own, "x", object_type="port"), 400),
        (policy({"id": UNKNOWN}, "x"), 404),
        (policy(own, "x", project_id="theirs"), 400),
    ]
    for body, status in tries:
        assert guarded.status("POST", "/v2.0/rbac-policies", body) == status, body
    made = share(guarded, own, "theirs")
    wide = {"rbac_policy": {"target_tenant": "*"}}
    assert guarded.status("PUT", path(made), wide) == 403
    assert guarded.error("POST", "/v2.0/rbac-policies", policy(own, "theirs"), 409)[0] == (
        "DuplicateRbacPolicy"
    )


def test_a_network_and_its_policies_agree(world: World):
    network = world.create("network", **{"router:external": True})
    where = f"/v2.0/networks/{network['id']}"
    assert of(world, network) == [(EXTERNAL, "*")]
    world.call("PUT", where, {"network": {"router:external": False, "shared": True}})
    assert of(world, network) == [(SHARED, "*")]
    before = world.get(where)["network"]["revision_number"]
    [for_all] = world.get(f"/v2.0/rbac-policies?object_id={network['id']}")["rbac_policies"]
    made = world.call("PUT", path(for_all), {"rbac_policy": {"target_tenant": "web"}})
    assert made["rbac_policy"]["target_tenant"] == "web"
    found = world.get(where)["network"]
    assert (found["shared"], found["revision_number"] > before) == (False, True)
    share(world, network, "*", EXTERNAL)
    share(world, network, "web", EXTERNAL)
    assert world.get(where)["network"]["router:external"]
    world.call("PUT", where, {"network": {"router:external": False}})
    assert of(world, network) == [(SHARED, "web")]
    world.call("DELETE", where, expect=204)
    assert world.get("/v2.0/rbac-policies")["rbac_policies"] == []


def test_a_network_in_use_stays_shared_and_external(guarded: Guarded):
    guarded.be("admin")
    network = guarded.create("network", shared=True, is_default=True,
                             **{"router:external": True})  # fmt: skip
    guarded.subnet(network, "203.0.113.0/24", enable_dhcp=False)
    where = f"/v2.0/networks/{network['id']}"
    found = guarded.get(f"/v2.0/rbac-policies?object_id={network['id']}")["rbac_policies"]
    outside = next(p for p in found if p["action"] == EXTERNAL)
    assert guarded.error("DELETE", path(outside), None, 409)[0] == "RbacPolicyInUse"
    guarded.be("mine")
    guarded.create("port", network_id=network["id"])
    guarded.create("router", external_gateway_info={"network_id": network["id"]})
    guarded.be("admin")
    for change, kind in (({"shared": False}, "RbacPolicyInUse"),
                         ({"router:external": False}, "ExternalNetworkInUse")):  # fmt: skip
        assert guarded.error("PUT", where, {"network": change}, 409)[0] == kind


def test_address_groups_and_the_rules_for_them(guarded: Guarded):
    guarded.be("mine")
    given = ["10.10.10.3/32", "192.168.0.10/24", "fd00::f/64"]
    body = {"address_group": {"name": "g", "addresses": given}}
    made = guarded.call("POST", "/v2.0/address-groups", body, 201)["address_group"]
    kept = ["10.10.10.3/32", "192.168.0.0/24", "fd00::/64"]
    assert (made["addresses"], made["revision_number"]) == (kept, 1)
    where = f"/v2.0/address-groups/{made['id']}"
    refused = [
        ("add_addresses", ["ten"], 400, "InvalidInput"),
        ("add_addresses", ["10.1.1.1"], 400, "InvalidInput"),
        ("add_addresses", ["192.168.0.0/24"], 400, "AddressesAlreadyExist"),
        ("remove_addresses", ["10.200.200.200"], 404, "AddressesNotFound"),
        ("remove_addresses", ["ten"], 400, "InvalidInput"),
    ]
    for action, addresses, status, kind in refused:
        found = guarded.error("PUT", f"{where}/{action}", {"addresses": addresses}, status)
        assert found[0] == kind, (action, addresses)
    for action, wanted in (("add", [*kept, "10.20.0.0/16"]), ("remove", kept)):
        change = {"addresses": ["10.20.0.0/16"]}
        answer = guarded.call("PUT", f"{where}/{action}_addresses", change)
        assert answer["address_group"]["addresses"] == wanted
    group = guarded.call("POST", "/v2.0/security-groups", {"security_group": {"name": "s"}}, 201)
    rule = {"security_group_id": group["security_group"]["id"], "direction": "ingress",
            "remote_address_group_id": made["id"]}  # fmt: skip
    rules = "/v2.0/security-group-rules"
    both = {"security_group_rule": {**rule, "remote_ip_prefix": "10.0.0.0/8"}}
    assert guarded.error("POST", rules, both, 400)[0] == "SecurityGroupMultipleRemoteEntites"
    guarded.call("POST", rules, {"security_group_rule": rule}, 201)
    assert guarded.error("DELETE", where, None, 409)[0] == "AddressGroupInUse"
    guarded.be("theirs")
    assert guarded.status("PUT", f"{where}/add_addresses", {"addresses": []}) == 404
    assert guarded.status("POST", rules, {"security_group_rule": rule}) == 404
