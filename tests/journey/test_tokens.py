"""`a9fe up` with our own tokens: which callers are admitted; VMs are served as before."""

import hashlib
import json
import re
import socket
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from a9fe.api_client.client import ApiClient
from a9fe.wire.trusted import sign
from tests.kit.conditions import eventually
from tests.lab.cloud import Cloud, Vm
from tests.lab.house import URL, House
from tests.lab.openstack import neutron, openstack
from tests.lab.places import ROOT

STATE = Path("/run/a9fe-journey/guarded")
OPEN = {
    *("/", "/v2.1", "/v2.1/", "/image", "/image/", "/docs", "/openapi.json"),
    *("/.well-known/openid-configuration", "/a9fe/v1/identity/jwks"),
    "/a9fe/v1/identity/certificates",
}
"""Versions, the documents of the API and keys that verify: for anyone. All else is 401."""
SOME_ID = "33333333-3333-4333-8333-333333333333"


@pytest.fixture(scope="module")
def guarded(running_house: House) -> Iterator[House]:
    """Run a house with tokens in place of the other journeys' house."""
    running_house.stop()
    running_house.a9fe("clean")
    house = House(state=STATE, variables={"A9FE_AUTH_STRATEGY": "token"})
    house.spawn()
    path = STATE / "admin-token"
    token = eventually(lambda: path.exists() and path.read_text().strip(), what=str(path))
    with ApiClient(URL, token=str(token)) as house.api:
        house.start()
        yield house
        house.stop()
        house.a9fe("clean")
    running_house.start()


@pytest.fixture
def member(guarded: House) -> Iterator[House]:
    """Yield the house for a member of the project "web"; revoke the token at the end."""
    token = guarded.a9fe("token", "create", "--project", "web").strip()
    variables = {**guarded.variables, "A9FE_AUTH_TOKEN": token}
    with ApiClient(URL, token=token) as api:
        yield replace(guarded, variables=variables, api=api)
    guarded.a9fe.run("token", "revoke", token)


def token_of(house: House) -> str:
    return house.variables["A9FE_AUTH_TOKEN"]


def status(token: str, path: str = "/v2.0/networks", method: str = "GET") -> int:
    headers = {"X-Auth-Token": token} if token else {}
    with httpx.Client(timeout=30, trust_env=False, verify=False) as client:
        return client.request(method, URL + path, headers=headers).status_code


def test_without_a_token_only_versions_and_documents_are_there(guarded: House) -> None:
    paths = json.loads((ROOT / "docs" / "openapi.json").read_text())["paths"]
    asked = 0
    for path, calls in paths.items():
        real = re.sub(r"{[^}]*}", SOME_ID, path)
        for method in calls.keys() & {"get", "post", "put", "patch", "delete"}:
            found = status("", real, method.upper())
            expected = 200 if path in OPEN and method == "get" else 401
            assert found == expected, (method, path)
            asked += expected == 401
    assert asked > 100
    assert status("", "/") == 200
    assert status("a9fe_0123456789abcdef_" + "0" * 64) == 401


def test_agents_have_credentials_of_their_host_alone(guarded: House) -> None:
    listed = guarded.a9fe.json("token", "list")
    (agents,) = [t for t in listed if t["role"] == "agent"]
    assert agents["host"] == socket.gethostname()
    for name in ("admin-token", "agent-token"):
        mode = (STATE / name).stat()
        assert (stat.S_IMODE(mode.st_mode), mode.st_uid) == (0o600, 0)
    token = (STATE / "agent-token").read_text().strip()
    assert status(token) == 403
    assert status(token, "/a9fe/v1/tokens") == 403
    assert status(token, "/a9fe/v1/feed?host=other&agent=l3") == 403


def test_a_member_makes_a_network_and_a_vm_that_reads_its_metadata(
    guarded: House, member: House
) -> None:
    cloud = Cloud(house=member)
    try:
        network = cloud.isolated()
        vm = cloud.vm(network)
        guarded.api.update("ports", vm.port["id"], {"binding:host_id": ""})
        assert vm.start().reads_its_own()
        document = json.loads(vm.fetch("/openstack/latest/meta_data.json"))
        assert document["project_id"] == "web"
        assert "ready" in member.a9fe("port", "wait-ready", vm.port["id"], "--timeout", "30")
        made = guarded.a9fe.json("port", "show", vm.port["id"])
        assert (made["binding:host_id"], made["status"]) == ("", "ACTIVE")
        assert guarded.a9fe.json("network", "list")[0]["project_id"] == "web"
    finally:
        cloud.clear()


def test_a_members_guest_writes_by_its_host_s_credential(guarded: House, member: House) -> None:
    cloud = Cloud(house=member)
    try:
        vm = cloud.vm(cloud.isolated()).start()
        vm.fetch("/openstack/latest/password", "-d", "posted")
        assert vm.fetch("/openstack/latest/password") == "posted"
        assert member.a9fe("vm", "password", vm.name) == "posted\n"
        path = f"/a9fe/v1/instances/{vm.instance['id']}"
        assert status(token_of(member), f"{path}/password", "PUT") == 403
        assert status(token_of(member), f"{path}/events", "POST") == 403
    finally:
        cloud.clear()


def test_a_member_sees_no_agents_and_no_tokens(guarded: House, member: House) -> None:
    (agent, *_) = guarded.a9fe.json("agent", "list")
    assert member.a9fe.json("agent", "list") == []
    assert member.a9fe.run("agent", "show", agent["id"]).returncode == 1
    assert status(token_of(member), f"/v2.0/agents/{agent['id']}") == 404
    refused = member.a9fe.run("token", "list")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "is for admins" in refused.stderr


def test_a_token_is_listed_without_itself_and_revoked_at_once(
    guarded: House, member: House
) -> None:
    token = token_of(member)
    id, secret = token.split("_")[1:]
    shown = guarded.a9fe("token", "list") + guarded.a9fe("token", "list", "--json")
    assert id in shown
    assert secret not in shown
    assert secret.encode() not in database()
    assert hashlib.sha256(token.encode()).hexdigest().encode() in database()
    assert status(token) == 200
    guarded.a9fe("token", "revoke", id)
    assert status(token) == 401
    refused = member.a9fe.run("network", "list")
    assert refused.returncode == 1
    assert refused.stderr.startswith("a9fe: error: The token is not known to this server")


def database() -> bytes:
    return b"".join(path.read_bytes() for path in sorted((STATE / "server").glob("a9fe.db*")))


def following(house: House) -> list[str]:
    """Return the followers of the feed, as <agent>@<host>."""
    found: list[str] = house.api.call("GET", "/a9fe/v1/status")["streams"]
    return found


def test_an_agent_whose_token_is_revoked_knows_nothing_new(guarded: House) -> None:
    host = socket.gethostname()
    everyone = {f"{agent}@{host}" for agent in ("dhcp", "l3", "service")}
    eventually(lambda: everyone == set(following(guarded)), what="all agents follow")
    (agents,) = [t for t in guarded.a9fe.json("token", "list") if t["role"] == "agent"]
    guarded.a9fe("token", "revoke", agents["id"])
    eventually(lambda: following(guarded) == [], 10, "their streams end")
    guarded.stop()  # starting it gives this host a new token
    guarded.start()
    eventually(lambda: everyone == set(following(guarded)), what="all agents follow again")


def test_the_openstack_commands_of_the_page(member: House, tmp_path: Path) -> None:
    (tmp_path / "clouds.yaml").write_text(member.a9fe("clouds-yaml"))
    client = openstack(tmp_path, cloud="a9fe")
    agents, made, servers = client(
        "network agent list -f json",
        "network create page -f json",
        "server list -f json",
    )
    assert (agents, servers, made["project_id"]) == ([], [], "web")
    variables = {"OS_AUTH_TYPE": "admin_token", "OS_TOKEN": token_of(member), "OS_ENDPOINT": URL}
    classic = replace(neutron(), environment=variables)
    (networks,) = classic("net-list -f json")
    assert [n["name"] for n in networks] == ["page"]
    client("network delete page")
    assert member.api.list("networks") == []


def test_one_metadata_service_answers_for_all_hosts(guarded: House) -> None:
    guarded.stop()
    guarded.variables["A9FE_METADATA_SERVICE_HOSTS"] = "*"
    guarded.start()
    eventually(lambda: "service@*" in following(guarded), what="the service follows all hosts")
    cloud = Cloud(house=guarded)
    try:
        here = cloud.vm(cloud.isolated()).start()
        assert here.reads_its_own()
        network = cloud.name("net")
        guarded.a9fe("network", "create", network, "--subnet", "10.8.0.0/24", "--no-dhcp")
        cloud.networks.append(network)
        there = cloud.vm(network)
        body = {"port": {"binding:host_id": "elsewhere"}}
        guarded.api.call("PUT", f"/v2.0/ports/{there.port['id']}", body)
        assert eventually(lambda: asked(there), what="its metadata")["name"] == there.name
    finally:
        cloud.clear()


def asked(vm: Vm) -> Any:
    """Send a request to the service as the metadata agent of a foreign host does."""
    id = vm.instance["id"]
    headers = {
        "X-Forwarded-For": vm.address,
        "X-Instance-ID": id,
        "X-Tenant-ID": vm.instance["project_id"],
        "X-Instance-ID-Signature": sign((STATE / "secret").read_text().strip(), id),
    }
    url = "http://127.0.0.1:8775/openstack/latest/meta_data.json"
    answer = httpx.get(url, headers=headers, timeout=30, trust_env=False)
    return answer.json() if answer.is_success else None


def test_a_host_publishes_its_identity_key_with_its_own_token(
    guarded: House, member: House
) -> None:
    listed = ("identity", "keys", "--json")
    [key] = eventually(lambda: json.loads(guarded.a9fe(*listed)), what="a key")
    path = f"/a9fe/v1/identity/keys/{key['kid']}"
    assert key["host"] == socket.gethostname()
    assert status(token_of(member), path, "PUT") == 403
