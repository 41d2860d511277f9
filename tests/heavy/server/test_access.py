"""API tokens over the whole API: members, admins, agents, revocation."""

import base64
from pathlib import Path
from typing import Any

import pytest

from a9fe.model import policy
from a9fe.model.api_tokens import hash_of, text_of
from a9fe.model.resources import KINDS, Network, Port, Subnet
from tests.kit.guarded_world import TEXTS, Guarded


@pytest.fixture
def world(tmp_path: Path):
    made = Guarded(tmp_path)
    yield made
    made.close()


def test_resources_belong_to_the_project_of_the_token(world: Guarded):
    made = world.call("POST", "/v2.0/networks", {"network": {"name": "a"}}, 201)["network"]
    assert made["project_id"] == made["tenant_id"] == "mine"
    answer = world.send(
        "POST", "/v2.0/networks", json={"network": {}}, headers={"X-Project-Id": "theirs"}
    )
    assert answer.json()["network"]["project_id"] == "mine"


def test_resources_of_other_projects_are_404(world: Guarded):
    network, subnet = world.network()
    port = world.create("port", network_id=network["id"])
    router = world.create("router")
    world.be("theirs")
    for kind, id in (
        ("networks", network["id"]),
        ("subnets", subnet["id"]),
        ("ports", port["id"]),
        ("routers", router["id"]),
    ):
        path = f"/v2.0/{kind}/{id}"
        assert world.get(f"/v2.0/{kind}")[kind] == []
        assert world.get(f"/v2.0/{kind}?id={id}")[kind] == []
        assert world.status("GET", path) == 404
        assert world.status("PUT", path, {kind[:-1]: {"name": "x"}}) == 404
        assert world.status("DELETE", path) == 404
    refused = {"port": {"network_id": network["id"]}}
    assert world.status("POST", "/v2.0/ports", refused) == 404
    mine = world.create("router")
    action = f"/v2.0/routers/{mine['id']}/add_router_interface"
    assert world.status("PUT", action, {"subnet_id": subnet["id"]}) == 404
    assert world.status("PUT", action, {"port_id": port["id"]}) == 404
    assert (
        world.status(
            "POST", "/a9fe/v1/instances", {"instance": {"name": "x", "network": network["id"]}}
        )
        == 404
    )
    world.be("admin")
    assert world.status("GET", f"/v2.0/networks/{network['id']}") == 200


def test_shared_resources_are_readable_and_usable_but_not_changeable(world: Guarded):
    world.be("admin")
    network, subnet = world.network()
    path = f"/v2.0/networks/{network['id']}"
    world.call("PUT", path, {"network": {"shared": True}})
    world.be("mine")
    assert world.status("GET", path) == world.status("GET", f"/v2.0/subnets/{subnet['id']}") == 200
    assert [n["id"] for n in world.get("/v2.0/networks")["networks"]] == [network["id"]]
    assert world.status("PUT", path, {"network": {"name": "x"}}) == 403
    assert world.status("DELETE", path) == 403
    port = world.create("port", network_id=network["id"])
    assert port["project_id"] == "mine"
    world.be("theirs")
    assert world.status("GET", f"/v2.0/ports/{port['id']}") == 404


def test_admin_attributes_are_refused_and_hidden_for_members(world: Guarded):
    network, _ = world.network()
    port = world.create("port", network_id=network["id"])
    assert "provider:network_type" not in network
    assert not {"binding:host_id", "binding:vif_type"} & port.keys()
    assert port["binding:vnic_type"] == "normal"
    path = f"/v2.0/ports/{port['id']}"
    kind, message = world.error("PUT", path, {"port": {"binding:host_id": "h9"}}, 403)
    assert (kind, message) == ("PolicyNotAuthorized", "binding:host_id: only admins may set this")
    assert world.status("GET", "/v2.0/ports?binding:host_id=h9") == 403
    assert world.status("GET", "/v2.0/ports?fields=binding:host_id") == 200
    foreign = {"network": {"tenant_id": "theirs"}}
    assert world.status("POST", "/v2.0/networks", foreign) == 400
    world.be("admin")
    assert world.call("GET", path)["port"]["binding:host_id"] == ""
    assert world.call("POST", "/v2.0/networks", foreign, 201)["network"]["project_id"] == "theirs"


def test_agents_are_for_admins(world: Guarded):
    world.be("h1")
    agent_id = world.report(start=True)
    world.be("mine")
    assert world.get("/v2.0/agents")["agents"] == []
    for method in ("GET", "PUT", "DELETE"):
        assert world.status(method, f"/v2.0/agents/{agent_id}", {"agent": {}}) == 404
    world.be("admin")
    assert [a["id"] for a in world.get("/v2.0/agents")["agents"]] == [agent_id]


def test_an_agent_token_only_reports_for_its_host(world: Guarded):
    world.be("h1")
    report = {"agent_type": "DHCP agent", "binary": "x", "host": "h2"}
    assert world.status("POST", "/a9fe/v1/agents/report", report) == 403
    assert world.status("GET", "/a9fe/v1/feed?host=h2&agent=dhcp") == 403
    assert world.status("GET", "/v2.0/networks") == 403
    for name in ("mine", "admin"):
        world.be(name)
        assert world.status("GET", "/a9fe/v1/feed?host=h1&agent=dhcp") == 403
        assert world.status("POST", "/a9fe/v1/agents/report", {**report, "host": "h1"}) == 403


BAD_TOKENS = {
    "none": {"X-Auth-Token": ""},
    "unknown": {"X-Auth-Token": text_of(b"\xaa" * 40)},
    "no form of ours": {"X-Auth-Token": "notused"},
    "right id, wrong secret": {"X-Auth-Token": TEXTS["mine"][:-1] + "f"},
    "huge": {"X-Auth-Token": "a" * 9000},
    "basic that is none": {"X-Auth-Token": "", "Authorization": "Basic !!"},
    "another scheme": {"X-Auth-Token": "", "Authorization": "Digest x"},
}


@pytest.mark.parametrize("headers", BAD_TOKENS.values(), ids=BAD_TOKENS.keys())
def test_unknown_tokens_are_401(world: Guarded, headers: dict):
    answer = world.send("GET", "/v2.0/networks", headers=headers)
    assert answer.status_code == 401
    assert answer.json()["NeutronError"]["type"] == "Unauthorized"
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert world.status("GET", "/", **headers) == 200


def test_a_token_may_come_as_bearer_or_as_a_password(world: Guarded):
    basic = base64.b64encode(f"anyone:{TEXTS['mine']}".encode()).decode()
    for value in (f"Bearer {TEXTS['mine']}", f"bearer {TEXTS['mine']}", f"Basic {basic}"):
        assert (
            world.status("GET", "/v2.0/networks", **{"X-Auth-Token": "", "Authorization": value})
            == 200
        )


def made_by_admin(world: Guarded, **asked: str) -> Any:
    world.be("admin")
    return world.call("POST", "/a9fe/v1/tokens", {"token": asked}, 201)["token"]


def test_tokens_are_created_listed_and_revoked_with_immediate_effect(world: Guarded):
    made = made_by_admin(world, project_id="new", description="ci")
    assert (made["role"], made["project_id"]) == ("member", "new")
    listed = world.get("/a9fe/v1/tokens")["tokens"]
    assert made["id"] in [t["id"] for t in listed]
    assert not any("token" in t or "sha256" in t for t in listed)
    assert world.status("GET", "/v2.0/networks", **{"X-Auth-Token": made["token"]}) == 200
    assert world.status("DELETE", f"/a9fe/v1/tokens/{made['id']}") == 204
    assert world.status("DELETE", f"/a9fe/v1/tokens/{made['id']}") == 404
    assert world.status("GET", "/v2.0/networks", **{"X-Auth-Token": made["token"]}) == 401


def test_only_a_hash_is_kept(world: Guarded):
    made = made_by_admin(world, host="h7")
    secret = made["token"].rpartition("_")[2]
    with world.store.read() as session:
        kept = repr(session.api_tokens.get(made["id"]))
    assert hash_of(made["token"]) in kept
    assert secret not in kept


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"role": "admin"},
        {"project_id": "p", "role": "king"},
        {"host": "h", "role": "admin"},
        {"x": 1},
    ],
)
def test_a_bad_token_request(world: Guarded, asked: dict):
    world.be("admin")
    world.error("POST", "/a9fe/v1/tokens", {"token": asked}, 400)


def test_lists_in_sql_agree_with_the_visibility_rule(world: Guarded):
    """The condition in SQL and the rule in Python are one."""
    world.be("admin")
    for project in ("mine", "theirs"):
        for flags in ({}, {"shared": True}, {"router:external": True}):
            body = {"network": {"project_id": project, **flags}}
            network = world.call("POST", "/v2.0/networks", body, 201)["network"]
            for owner in ("mine", "theirs"):
                octet = len(world.get("/v2.0/subnets")["subnets"])
                world.subnet(network, f"10.{octet}.0.0/24", project_id=owner)
                world.create("port", network_id=network["id"], project_id=owner)
    caller = policy.Caller(project_id="mine", roles=frozenset({"member"}))
    world.be("mine")
    with world.store.read() as session:
        on = {n.id: n for n in session.find(Network)}
        for cls in (Network, Subnet, Port):
            kind = next(k for k, c in KINDS.items() if c is cls)
            listed = {r["id"] for r in world.get(f"/v2.0/{kind}s")[f"{kind}s"]}
            found = session.find(cls)
            assert 0 < len(listed) < len(found)
            seen = [
                r for r in found if policy.sees(caller, r, on.get(getattr(r, "network_id", "")))
            ]
            assert listed == {r.id for r in seen}


def test_a_port_with_the_device_id_of_another_projects_instance_is_not_shown_on_it(world: Guarded):
    made = world.call("POST", "/a9fe/v1/instances", {"instance": {"name": "web1"}}, 201)
    instance = made["instance"]
    world.be("theirs")
    network = world.create("network", name="theirs")
    world.subnet(network, "10.6.6.0/24")
    world.create("port", network_id=network["id"], device_id=instance["id"])
    world.be("mine")
    path = f"/v2.1/servers/{instance['id']}"
    assert world.get(path)["server"]["addresses"] == {}
    assert world.get(f"{path}/ips")["addresses"] == {}
    assert world.get(f"{path}/os-interface")["interfaceAttachments"] == []
