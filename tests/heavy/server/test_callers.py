"""Every operation of the compute and image APIs, by every kind of caller."""

import re
from typing import Any

import pytest

from a9fe.server.app import OPERATIONS
from a9fe.server.asgi import faults
from a9fe.server.glance.images import PATCH_TYPE
from tests.kit.guarded_world import Guarded
from tests.kit.server_calls import message_of
from tests.kit.server_world import UNKNOWN
from tests.kit.ssh_keys import KEY

CALLERS = ("nobody", "h1", "theirs", "mine", "admin")
"""Without a token; an agent; a member of another project, of the owner's; an admin."""
Statuses = tuple[int, ...]
OPEN: Statuses = (200, 200, 200, 200, 200)
ALL: Statuses = (401, 403, 200, 200, 200)
OWN: Statuses = (401, 403, 404, 200, 200)
GONE: Statuses = (401, 403, 404, 204, 204)
PROJECTS: Statuses = (401, 403, 404, 200, 404)  # by a name in one's own project
ADMINS: Statuses = (401, 403, 403, 403, 200)

META = {"metadata": {"a": "1"}}
PATCH = [{"op": "replace", "path": "/name", "value": "x"}]
OPENED = [{"op": "replace", "path": "/visibility", "value": "public"}]
GIVEN_AWAY = [{"op": "replace", "path": "/owner", "value": "theirs"}]
SIZE = {"name": "f{n}", "ram": 1, "vcpus": 1, "disk": 0}

# a call, its body, what each of the callers gets
CALLS: list[tuple[str, Any, Statuses]] = [
    ("GET /v2.1", None, OPEN),
    ("GET /v2.1/", None, OPEN),
    ("GET /v2.1/extensions", None, ALL),
    ("GET /v2.1/limits", None, ALL),
    ("GET /v2.1/os-availability-zone", None, ALL),
    ("GET /v2.1/os-availability-zone/detail", None, ALL),
    ("GET /v2.1/servers", None, ALL),
    ("GET /v2.1/servers/detail", None, ALL),
    ("GET /v2.1/servers?all_tenants=1", None, ADMINS),
    ("GET /v2.1/servers/detail?all_tenants", None, ADMINS),
    ("GET /v2.1/servers/{server}", None, OWN),
    ("PUT /v2.1/servers/{server}", {"server": {"name": "x"}}, OWN),
    ("DELETE /v2.1/servers/{server}", None, GONE),
    ("GET /v2.1/servers/{server}/ips", None, OWN),
    ("GET /v2.1/servers/{server}/os-interface", None, OWN),
    ("GET /v2.1/servers/{server}/os-security-groups", None, OWN),
    ("GET /v2.1/servers/{server}/os-volume_attachments", None, OWN),
    ("GET /v2.1/servers/{server}/os-server-password", None, OWN),
    ("DELETE /v2.1/servers/{server}/os-server-password", None, GONE),
    ("GET /v2.1/servers/{server}/metadata", None, OWN),
    ("POST /v2.1/servers/{server}/metadata", META, OWN),
    ("PUT /v2.1/servers/{server}/metadata", META, OWN),
    ("GET /v2.1/servers/{server}/metadata/role", None, OWN),
    ("PUT /v2.1/servers/{server}/metadata/role", {"meta": {"role": "db"}}, OWN),
    ("DELETE /v2.1/servers/{server}/metadata/role", None, GONE),
    (
        "POST /v2.1/servers",
        {"server": {"name": "s", "flavorRef": "1", "networks": "none"}},
        (401, 403, 202, 202, 202),
    ),
    ("GET /v2.1/flavors", None, ALL),
    ("GET /v2.1/flavors/detail", None, ALL),
    ("GET /v2.1/flavors/1", None, ALL),
    ("GET /v2.1/flavors/{hidden}", None, (401, 403, 404, 404, 200)),
    ("GET /v2.1/flavors/1/os-extra_specs", None, ALL),
    ("GET /v2.1/flavors/{hidden}/os-extra_specs", None, (401, 403, 404, 404, 200)),
    ("POST /v2.1/flavors", {"flavor": SIZE}, ADMINS),
    ("DELETE /v2.1/flavors/{hidden}", None, (401, 403, 403, 403, 202)),
    ("GET /v2.1/os-keypairs", None, ALL),
    ("GET /v2.1/os-keypairs/{key}", None, PROJECTS),
    (
        "POST /v2.1/os-keypairs",
        {"keypair": {"name": "k{n}", "public_key": KEY}},
        (401, 403, 201, 201, 201),
    ),
    ("DELETE /v2.1/os-keypairs/{key}", None, (401, 403, 404, 204, 404)),
    ("GET /image", None, OPEN),
    ("GET /image/", None, OPEN),
    ("GET /image/v2/images", None, ALL),
    ("GET /image/v2/images/{private}", None, OWN),
    ("GET /image/v2/images/{public}", None, ALL),
    ("GET /image/v2/images/{community}", None, ALL),
    ("POST /image/v2/images", {"name": "x"}, (401, 403, 201, 201, 201)),
    ("POST /image/v2/images", {"visibility": "public"}, (401, 403, 403, 403, 201)),
    ("POST /image/v2/images", {"owner": "mine"}, (401, 403, 403, 201, 201)),
    ("PATCH /image/v2/images/{private}", PATCH, OWN),
    ("PATCH /image/v2/images/{private}", OPENED, (401, 403, 404, 403, 200)),
    ("PATCH /image/v2/images/{private}", GIVEN_AWAY, (401, 403, 404, 403, 200)),
    ("PATCH /image/v2/images/{public}", PATCH, ADMINS),
    ("PATCH /image/v2/images/{community}", PATCH, (401, 403, 403, 200, 200)),
    ("DELETE /image/v2/images/{private}", None, GONE),
    ("DELETE /image/v2/images/{public}", None, (401, 403, 403, 403, 204)),
    ("PUT /image/v2/images/{private}/file", None, GONE),
    ("PUT /image/v2/images/{public}/file", None, (401, 403, 403, 403, 204)),
    ("GET /image/v2/images/{private}/file", None, (401, 403, 404, 404, 404)),
]
LATEST = {"OpenStack-API-Version": "compute 2.96"}


@pytest.fixture(scope="module")
def world(database_kind: str, tmp_path_factory: pytest.TempPathFactory):
    made = Guarded(tmp_path_factory.mktemp("world"))
    yield made
    made.close()


IMAGES, SERVERS = "/image/v2/images", "/v2.1/servers"
NO_NETWORK = {"flavorRef": "1", "networks": "none"}
HIDDEN = {"ram": 1, "vcpus": 1, "disk": 0, "os-flavor-access:is_public": False}


class Made(dict[str, str]):
    """Ids of what `mine` has, and of an admin's flavor and image: made when first asked for."""

    def __init__(self, world: Guarded) -> None:
        self.world = world
        self.number = 0

    def answer(self, caller: str, method: str, path: str, body: object = None) -> Any:
        if caller == "nobody":
            self.world.show_nothing()
        else:
            self.world.be(caller)
        type = {"Content-Type": PATCH_TYPE} if method == "PATCH" else {}
        return self.world.send(method, path, json=body, headers={**LATEST, **type})

    def __missing__(self, name: str) -> str:
        self.number += 1
        unique = f"{name}{self.number}"
        match name:
            case "n":
                self[name] = unique
            case "key":
                keypair = {"name": unique, "public_key": KEY}
                self[name] = self._post("mine", "/v2.1/os-keypairs", {"keypair": keypair})["name"]
            case "server":
                server = {"name": unique, "metadata": {"role": "web"}, **NO_NETWORK}
                self[name] = self._post("mine", SERVERS, {"server": server})["id"]
            case "hidden":
                flavor = {"flavor": {"name": unique, **HIDDEN}}
                self[name] = self._post("admin", "/v2.1/flavors", flavor)["id"]
            case _:
                caller = "admin" if name == "public" else "mine"
                self[name] = self._post(caller, IMAGES, {"visibility": name})["id"]
        return self[name]

    def _post(self, caller: str, path: str, body: dict) -> Any:
        answer = self.answer(caller, "POST", path, body)
        assert answer.status_code < 300, answer.text
        return answer.json() if path == IMAGES else next(iter(answer.json().values()))


@pytest.fixture(scope="module")
def made(world: Guarded) -> Made:
    return Made(world)


def filled(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, list):
        return [filled(item, names) for item in value]
    if isinstance(value, str):
        return re.sub(r"\{(\w+)\}", lambda match: names[match[1]], value)
    if isinstance(value, dict):
        return {name: filled(inner, names) for name, inner in value.items()}
    return value


@pytest.mark.parametrize("row", CALLS, ids=lambda row: row[0])
def test_who_may(made: Made, row: tuple):
    call, body, statuses = row
    method, path = call.split(" ")
    for caller, expected in zip(CALLERS, statuses, strict=True):
        url, document = filled(path, made), filled(body, made)
        before = made.world.revision()
        answer = made.answer(caller, method, url, document)
        assert answer.status_code == expected, (caller, answer.text)
        if answer.status_code >= 400:
            message_of(answer, path)
            assert made.world.revision() == before
        elif method != "GET":
            made.clear()


def test_every_operation_is_in_the_table():
    pattern = re.compile(r"\{\w+\}")
    served = {
        pattern.sub("*", o.key)
        for o in OPERATIONS
        if o.path.startswith((faults.COMPUTE, faults.IMAGE))
    }
    tried = set()
    for call, _, _ in CALLS:
        method, path = call.partition("?")[0].split(" ")
        path = re.sub(r"/flavors/(1|\{\w+\})", "/flavors/*", path)
        path = re.sub(r"/metadata/role$", "/metadata/*", path)
        tried.add(f"{method} {pattern.sub('*', path)}")
    assert served == tried


NOWHERE = {"private_network": UNKNOWN, "port": UNKNOWN,
           "group": UNKNOWN, "hidden": "nope", "private": UNKNOWN, "key": "nope"}  # fmt: skip


@pytest.fixture(scope="module")
def networks(made: Made) -> dict[str, str]:
    """Networks of `mine`, one for its members, one for all, one that is outside."""
    world = made.world
    world.be("admin")
    found = {}
    for name, more in (
        ("private_network", {}),
        ("shared_network", {"shared": True}),
        ("outside", {"router:external": True}),
    ):
        network = world.create("network", project_id="mine", **more)
        world.subnet(network, "10.1.0.0/24", project_id="mine")
        found[name] = network["id"]
    world.be("mine")
    found["port"] = world.create("port", network_id=found["private_network"])["id"]
    found["group"] = world.get("/v2.0/security-groups")["security_groups"][0]["id"]
    return found


@pytest.mark.parametrize(
    "server",
    [
        {"networks": [{"uuid": "{private_network}"}]},
        {"networks": [{"uuid": "{shared_network}"}, {"port": "{port}"}]},
        {"networks": [{"port": "{port}"}]},
        {"flavorRef": "{hidden}"},
        {"imageRef": "{private}"},
        {"key_name": "{key}"},
        {"security_groups": [{"name": "{group}"}]},
    ],
    ids=str,
)
def test_references_to_another_projects_resources_get_the_answer_for_missing_ones(
    made: Made, networks: dict[str, str], server: dict
):
    """A hidden resource and a missing one get the same answer."""
    names = {**{n: made[n] for n in ("hidden", "private", "key")}, **networks}
    body = {"server": {"name": "x", **NO_NETWORK, **server}}
    before = made.world.revision()
    both = (names, {**names, **NOWHERE})
    answers = [made.answer("theirs", "POST", SERVERS, filled(body, n)) for n in both]
    assert [a.status_code for a in answers] == [400, 400]
    message, expected = (a.json()["badRequest"]["message"] for a in answers)
    assert made.world.revision() == before
    used = next(n for n in NOWHERE if names[n] in message)
    assert message.replace(names[used], NOWHERE[used]) == expected


@pytest.mark.parametrize(
    ("server", "theirs", "mine"),
    [
        ({"networks": [{"uuid": "{shared_network}"}]}, 202, 202),
        ({"networks": [{"uuid": "{shared_network}", "fixed_ip": "10.1.0.{n}"}]}, 403, 202),
        ({"networks": [{"uuid": "{outside}"}]}, 403, 202),
        ({"host": "h9"}, 403, 403),
        ({"availability_zone": "nova:h9"}, 403, 403),
    ],
    ids=str,
)
def test_resources_that_a_new_server_may_refer_to(
    made: Made, networks: dict[str, str], server: dict, theirs: int, mine: int
):
    names = {**networks, "n": "250"}
    body = filled({"server": {"name": "x", **NO_NETWORK, **server}}, names)
    for caller, expected in (("theirs", theirs), ("mine", mine)):
        answer = made.answer(caller, "POST", SERVERS, body)
        assert answer.status_code == expected, answer.text


@pytest.mark.parametrize(
    ("instance", "status"),
    [
        ({"network": "{private_network}"}, 404),
        ({"port_id": "{port}"}, 404),
        ({"networks": [{"uuid": "{private_network}"}]}, 404),
        ({"networks": [{"uuid": "{shared_network}", "fixed_ip": "10.1.0.251"}]}, 403),
        ({"network": "{outside}"}, 403),
        ({"host": "h9"}, 403),
        ({"project_id": "mine"}, 403),
    ],
    ids=str,
)
def test_an_instance_cannot_refer_to_another_projects_resources(
    made: Made, networks: dict[str, str], instance: dict, status: int
):
    body = {"instance": {"name": "x", **filled(instance, networks)}}
    answer = made.answer("theirs", "POST", "/a9fe/v1/instances", body)
    assert answer.status_code == status, answer.text
    assert "NeutronError" in answer.json()


def ids_of(answer: Any) -> set[str]:
    (items,) = (v for v in answer.json().values() if isinstance(v, list))
    return {str(item.get("keypair", item).get("id") or item["keypair"]["name"]) for item in items}


LISTS = {
    "/v2.1/servers": "server",
    "/v2.1/servers/detail?host=here": "server",
    "/v2.1/servers?project_id=mine": "server",
    "/v2.1/os-keypairs": "key",
    "/v2.1/flavors": "hidden",
    "/v2.1/flavors/detail?is_public=None": "hidden",
    "/image/v2/images": "private",
    "/image/v2/images?owner=mine&visibility=all": "private",
    "/a9fe/v1/instances": "server",
    "/a9fe/v1/flavors": "hidden",
    "/a9fe/v1/images": "private",
}


@pytest.mark.parametrize("path", LISTS)
def test_lists_omit_other_projects_resources(made: Made, path: str):
    id = made[LISTS[path]]
    assert id not in ids_of(made.answer("theirs", "GET", path))
    owner = "admin" if LISTS[path] == "hidden" else "mine"
    everything = "?is_public=None" if path == "/v2.1/flavors" else ""
    assert id in ids_of(made.answer(owner, "GET", path + everything))


def test_a_member_does_not_see_the_host_of_its_server(made: Made):
    path = f"{SERVERS}/{made['server']}"
    of_admin = made.answer("admin", "GET", path).json()["server"]
    of_member = made.answer("mine", "GET", path).json()["server"]
    kept_back = of_admin.keys() - of_member.keys()
    assert {"OS-EXT-SRV-ATTR:host", "OS-EXT-SRV-ATTR:hypervisor_hostname"} <= kept_back
    assert all(n.startswith("OS-EXT-SRV-ATTR:") or n == "host_status" for n in kept_back)
    assert of_member["OS-EXT-SRV-ATTR:hostname"] == of_admin["OS-EXT-SRV-ATTR:hostname"]


def test_a_flavor_name_does_not_reveal_a_hidden_flavor(made: Made):
    made.world.be("admin")
    name = made.world.get(f"/v2.1/flavors/{made['hidden']}")["flavor"]["name"]
    given = {"instance": {"name": "x", "flavor": name}}
    id = made.answer("theirs", "POST", "/a9fe/v1/instances", given).json()["instance"]["id"]
    shown = made.answer("theirs", "GET", f"{SERVERS}/{id}").json()["server"]["flavor"]
    assert (shown["original_name"], shown["ram"], shown["vcpus"]) == (name, 0, 0)
