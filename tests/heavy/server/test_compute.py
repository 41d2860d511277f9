"""The compute API below /v2.1, as Nova's clients read it."""

import base64
from pathlib import Path
from typing import Any

import pytest

from a9fe.server.glance.images import PATCH_TYPE
from tests.kit.server_world import UNKNOWN, World
from tests.kit.ssh_keys import KEY

LATEST = {"OpenStack-API-Version": "compute 2.96"}


class Nova:
    """Calls at a microversion."""

    def __init__(self, world: World) -> None:
        self.world = world

    def call(
        self, method: str, path: str, body: object = None, expect: int = 200, version: str = "2.96"
    ) -> Any:
        headers = {"OpenStack-API-Version": f"compute {version}"}
        answer = self.world.send(method, f"/v2.1{path}", json=body, headers=headers)
        assert answer.status_code == expect, answer.text
        assert answer.headers["OpenStack-API-Version"] == f"compute {version}"
        return answer.json() if answer.content else None

    def fault(self, method: str, path: str, body: object, expect: int, **more: Any) -> str:
        """The message of a refusal, after which nothing has changed."""
        before = self.world.revision()
        answer = self.call(method, path, body, expect, **more)
        name = {
            400: "badRequest", 403: "forbidden", 404: "itemNotFound", 409: "conflictingRequest"
        }[expect]  # fmt: skip
        assert answer[name]["code"] == expect
        assert self.world.revision() == before
        return str(answer[name]["message"])

    def create(self, **values: object) -> Any:
        """A new server, as shown."""
        server = {"name": "vm1", "flavorRef": "1", "networks": "none", **values}
        made = self.call("POST", "/servers", {"server": server}, 202)["server"]
        return self.call("GET", f"/servers/{made['id']}")["server"]

    def image(self, name: str = "debian") -> str:
        return str(self.world.call("POST", "/image/v2/images", {"name": name}, 201)["id"])


@pytest.fixture
def nova(tmp_path: Path):
    world = World(tmp_path)
    yield Nova(world)
    world.close()


@pytest.mark.parametrize("path", ["", "/"])
def test_the_version_document(nova: Nova, path: str):
    found = nova.call("GET", path)["version"]
    assert (found["id"], found["version"], found["min_version"]) == ("v2.1", "2.96", "2.1")
    assert found["links"][0]["href"] == "http://server/v2.1/"


@pytest.mark.parametrize(
    ("headers", "status", "said"),
    [
        ({}, 200, "compute 2.1"),
        ({"OpenStack-API-Version": "compute latest"}, 200, "compute 2.96"),
        ({"OpenStack-API-Version": "placement 1.9, compute 2.53"}, 200, "compute 2.53"),
        ({"OpenStack-API-Version": "placement 1.9"}, 200, "compute 2.1"),
        ({"X-OpenStack-Nova-API-Version": "2.30"}, 200, "compute 2.30"),
        ({"OpenStack-API-Version": "compute 2.97"}, 406, "compute 2.1"),
        ({"OpenStack-API-Version": "compute 2.0"}, 406, "compute 2.1"),
        ({"OpenStack-API-Version": "compute 3.1"}, 406, "compute 2.1"),
        ({"OpenStack-API-Version": "compute 2.01"}, 400, "compute 2.1"),
        ({"OpenStack-API-Version": "compute x"}, 400, "compute 2.1"),
        ({"OpenStack-API-Version": "compute 2." + "9" * 5000}, 400, "compute 2.1"),
    ],
)
def test_microversions(nova: Nova, headers: dict, status: int, said: str):
    answer = nova.world.send("GET", "/v2.1/servers", headers=headers)
    assert answer.status_code == status
    assert answer.headers["OpenStack-API-Version"] == said
    assert "OpenStack-API-Version" in answer.headers["Vary"]
    if status == 406:
        assert answer.json()["computeFault"]["code"] == 406


def test_a_server_with_all_it_may_have(nova: Nova):
    network, _ = nova.world.network()
    image = nova.image()
    nova.call("POST", "/os-keypairs", {"keypair": {"name": "k", "public_key": KEY}}, 201)
    user_data = base64.b64encode(b"#cloud-config\n\xff").decode()
    server = nova.create(
        imageRef=image,
        key_name="k",
        user_data=user_data,
        metadata={"role": "web"},
        networks=[{"uuid": network["id"], "fixed_ip": "10.1.0.77"}],
        availability_zone="az1:host9",
        description="d",
        block_device_mapping_v2=[{"uuid": image, "source_type": "image", "boot_index": 0}],
        min_count=1,
        max_count=1,
        config_drive=True,
    )
    assert (server["status"], server["key_name"], server["description"]) == ("ACTIVE", "k", "d")
    assert server["metadata"] == {"role": "web"}
    assert server["OS-EXT-SRV-ATTR:user_data"] == user_data
    assert server["OS-EXT-SRV-ATTR:host"] == "host9"
    assert server["OS-EXT-AZ:availability_zone"] == "az1"
    assert server["image"]["id"] == image
    assert server["flavor"]["original_name"] == "m1.tiny"
    assert server["flavor"]["ram"] == 512
    [card] = server["addresses"][network["name"]]
    assert (card["addr"], card["version"]) == ("10.1.0.77", 4)
    [port] = nova.world.ports(device_id=server["id"])
    assert card["OS-EXT-IPS-MAC:mac_addr"] == port["mac_address"]
    assert nova.call("GET", f"/servers/{server['id']}/ips")["addresses"] == server["addresses"]
    [interface] = nova.call("GET", f"/servers/{server['id']}/os-interface")["interfaceAttachments"]
    assert (interface["port_id"], interface["net_id"]) == (port["id"], network["id"])


def test_one_table_of_instances(nova: Nova):
    image = nova.image("debian-12")
    server = nova.create(imageRef=image)
    path = f"/a9fe/v1/instances/{server['id']}"
    instance = nova.world.get(path)["instance"]
    assert (instance["flavor"], instance["image"]) == ("m1.tiny", "debian-12")
    given = {"name": "db1", "flavor": "m1.small", "image": "no record"}
    ours = nova.world.call("POST", "/a9fe/v1/instances", {"instance": given}, 201)["instance"]
    shown = nova.call("GET", f"/servers/{ours['id']}")["server"]
    assert (shown["name"], shown["flavor"]["ram"]) == ("db1", 2048)
    assert shown["image"]["id"] == "no record"
    listed = nova.call("GET", "/servers/detail")["servers"]
    assert [s["name"] for s in listed] == ["db1", "vm1"]
    nova.world.call("PUT", path, {"instance": {"image": "other", "flavor": "huge"}})
    changed = nova.call("GET", f"/servers/{server['id']}")["server"]
    assert (changed["image"]["id"], changed["flavor"]["original_name"]) == ("other", "huge")
    nova.call("DELETE", f"/servers/{server['id']}", expect=204)
    nova.world.get(path, 404)


def test_a_port_that_is_there(nova: Nova):
    network, _ = nova.world.network()
    port = nova.world.create("port", network_id=network["id"])
    server = nova.create(networks=[{"port": port["id"]}])
    [shown] = nova.world.ports(device_id=server["id"])
    assert (shown["id"], shown["device_owner"]) == (port["id"], "compute:nova")
    body = {"server": {"name": "b", "flavorRef": "1", "networks": [{"port": port["id"]}]}}
    assert port["id"] in nova.fault("POST", "/servers", body, 409)
    nova.call("DELETE", f"/servers/{server['id']}", expect=204)
    assert nova.world.ports()[0]["device_id"] == ""


def test_networks_that_are_found(nova: Nova):
    assert nova.create(networks="auto")["addresses"] == {}
    network, _ = nova.world.network()
    assert list(nova.create(networks="auto")["addresses"]) == [network["name"]]
    old = {"server": {"name": "a", "flavorRef": "1"}}
    nova.call("POST", "/servers", old, 202, version="2.36")
    nova.world.network("10.2.0.0/24")
    assert "networks" in nova.fault("POST", "/servers", old, 400)
    old["server"]["networks"] = "auto"
    nova.fault("POST", "/servers", old, 409)
    nova.fault("POST", "/servers", old, 400, version="2.36")


def test_several_servers(nova: Nova):
    network, _ = nova.world.network()
    body = {
        "name": "w", "flavorRef": "1", "networks": [{"uuid": network["id"]}],
        "min_count": 2, "max_count": 3,
    }  # fmt: skip
    nova.call("POST", "/servers", {"server": body}, 202)
    servers = nova.call("GET", "/servers/detail")["servers"]
    assert [s["name"] for s in servers] == ["w-3", "w-2", "w-1"]
    assert [s["OS-EXT-SRV-ATTR:launch_index"] for s in servers] == [2, 1, 0]
    assert len(nova.world.ports()) == 3


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"name": ""}, "name"),
        ({"name": " "}, "name"),
        ({"flavorRef": "nope"}, "flavorRef"),
        ({"flavorRef": None}, "flavorRef"),
        ({"imageRef": UNKNOWN}, "imageRef"),
        ({"key_name": "nobody"}, "key_name"),
        ({"user_data": "not base64!"}, "user_data"),
        ({"user_data": "A" * 65536}, "user_data"),
        ({"networks": [{"uuid": UNKNOWN}]}, UNKNOWN),
        ({"networks": [{"port": UNKNOWN}]}, UNKNOWN),
        ({"networks": [{"uuid": "lab"}]}, "uuid"),
        ({"networks": [{}]}, "networks"),
        ({"networks": "some"}, "networks"),
        ({"networks": None}, "networks"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"metadata": {"a": "x" * 256}}, "metadata.a"),
        ({"security_groups": [{"name": "nobody"}]}, "security_groups"),
        ({"security_groups": ["default"]}, "security_groups"),
        ({"min_count": 3, "max_count": 2}, "min_count"),
        ({"max_count": 101}, "max_count"),
        ({"max_count": 2, "networks": [{"port": UNKNOWN}]}, "max_count"),
        ({"colour": "red"}, "colour"),
        ({"personality": []}, "personality"),
        ({"block_device_mapping_v2": [1]}, "block_device_mapping_v2"),
    ],
)
def test_a_bad_server(nova: Nova, values: dict, word: str):
    server = {"name": "vm1", "flavorRef": "1", "networks": "none", **values}
    assert word in nova.fault("POST", "/servers", {"server": server}, 400)


def test_user_data_up_to_nova_s_limit(nova: Nova):
    longest = base64.b64encode(b"x" * 49149).decode()
    assert nova.create(user_data=longest)["OS-EXT-SRV-ATTR:user_data"] == longest


def test_fields_by_microversion(nova: Nova):
    id = nova.create()["id"]
    oldest = nova.call("GET", f"/servers/{id}", version="2.1")["server"]
    assert "description" not in oldest
    assert "OS-EXT-SRV-ATTR:user_data" not in oldest
    assert oldest["flavor"]["id"] == "1"
    assert "tags" in nova.call("GET", f"/servers/{id}", version="2.26")["server"]
    assert (
        "original_name" in nova.call("GET", f"/servers/{id}", version="2.47")["server"]["flavor"]
    )
    assert nova.call("GET", "/flavors/1", version="2.74")["flavor"]["swap"] == ""
    assert nova.call("GET", "/flavors/1", version="2.75")["flavor"]["swap"] == 0
    assert "extra_specs" not in nova.call("GET", "/flavors/1", version="2.60")["flavor"]


def names(nova: Nova, query: str) -> list[str]:
    return [s["name"] for s in nova.call("GET", f"/servers?{query}")["servers"]]


def test_lists(nova: Nova):
    network, _ = nova.world.network()
    for name in ("web-1", "web-2", "db.1"):
        nova.create(name=name, networks=[{"uuid": network["id"]}])
    other = {"X-Project-Id": "other"}
    body = {"server": {"name": "far", "flavorRef": "1"}}
    assert nova.world.send("POST", "/v2.1/servers", json=body, headers=other).status_code == 202
    assert names(nova, "") == ["db.1", "web-2", "web-1"]
    assert names(nova, "all_tenants=1") == ["far", "db.1", "web-2", "web-1"]
    assert names(nova, "all_tenants=True&project_id=other") == ["far"]
    assert names(nova, "name=web") == ["web-2", "web-1"]
    assert names(nova, "name=^web-1$") == ["web-1"]
    assert names(nova, "name=db%5C.1") == ["db.1"]
    assert names(nova, "name=.*") == []
    assert names(nova, "ip=10.1.0.3") == ["web-2"]
    assert names(nova, "deleted=True") == []
    assert names(nova, "deleted=False&status=active") == ["db.1", "web-2", "web-1"]
    assert names(nova, "status=ERROR") == []
    assert names(nova, "flavor=2") == []
    assert names(nova, "changes-since=2020-01-01T00:00:00Z") == ["db.1", "web-2", "web-1"]
    assert names(nova, "changes-since=2120-01-01") == []
    first = nova.call("GET", "/servers/detail?limit=2")
    assert [s["name"] for s in first["servers"]] == ["db.1", "web-2"]
    link = first["servers_links"][0]["href"].removeprefix("http://server/v2.1")
    rest = nova.call("GET", link)
    assert [s["name"] for s in rest["servers"]] == ["web-1"]
    assert "servers_links" not in rest
    for bad in ("limit=-1", "marker=x", "changes-since=x", "deleted=x", "all_tenants=x"):
        nova.fault("GET", f"/servers?{bad}", None, 400)


def test_metadata(nova: Nova):
    path = f"/servers/{nova.create(metadata={'a': '1'})['id']}/metadata"
    assert nova.call("POST", path, {"metadata": {"b": "2"}})["metadata"] == {"a": "1", "b": "2"}
    assert nova.call("GET", f"{path}/b")["meta"] == {"b": "2"}
    assert nova.call("PUT", f"{path}/b", {"meta": {"b": "3"}})["meta"] == {"b": "3"}
    nova.call("DELETE", f"{path}/a", expect=204)
    assert nova.call("GET", path)["metadata"] == {"b": "3"}
    assert nova.call("PUT", path, {"metadata": {"z": ""}})["metadata"] == {"z": ""}
    for method in ("GET", "DELETE"):
        assert "nope" in nova.fault(method, f"{path}/nope", None, 404)
    nova.fault("PUT", f"{path}/b", {"meta": {"c": "3"}}, 400)
    nova.fault("POST", path, {"metadata": {"": "x"}}, 400)
    nova.fault("POST", path, {"metadata": {str(n): "x" for n in range(128)}}, 400)
    nova.fault("POST", path, {"meta": {}}, 400)


def test_a_server_is_renamed(nova: Nova):
    path = f"/servers/{nova.create()['id']}"
    body = {"server": {"name": "new", "description": None}}
    assert nova.call("PUT", path, body)["server"]["name"] == "new"
    nova.fault("PUT", path, {"server": {"status": "ERROR"}}, 400)


@pytest.mark.parametrize("path", ["", "/ips", "/metadata", "/os-interface"])
def test_an_unknown_server(nova: Nova, path: str):
    assert UNKNOWN in nova.fault("GET", f"/servers/{UNKNOWN}{path}", None, 404)


def test_unknown_paths_and_methods_are_answered_as_nova_does(nova: Nova):
    assert "itemNotFound" in nova.world.get("/v2.1/nothing", 404)
    assert "badMethod" in nova.world.call("PUT", "/v2.1/servers", {}, 405)


def test_flavors(nova: Nova):
    assert [f["name"] for f in nova.call("GET", "/flavors")["flavors"]][:2] == [
        "m1.tiny",
        "m1.small",
    ]
    body = {"name": "x", "ram": "1024", "vcpus": 2, "disk": 5, "swap": 7, "id": None}
    made = nova.call("POST", "/flavors", {"flavor": body})["flavor"]
    assert (made["ram"], made["swap"], made["OS-FLV-EXT-DATA:ephemeral"]) == (1024, 7, 0)
    assert nova.call("GET", f"/flavors/{made['id']}")["flavor"] == made
    assert "x" in nova.fault("POST", "/flavors", {"flavor": body}, 409)
    hidden = {"name": "h", "ram": 1, "vcpus": 1, "disk": 0, "os-flavor-access:is_public": False}
    nova.call("POST", "/flavors", {"flavor": hidden})
    listed = {
        q: nova.call("GET", f"/flavors/detail?{q}")["flavors"] for q in ("", "is_public=None")
    }
    assert len(listed[""]) == 6
    assert len(listed["is_public=None"]) == 7
    assert nova.call("GET", "/flavors?limit=1&marker=1")["flavors"][0]["id"] == "2"
    nova.fault("GET", "/flavors/m1.tiny", None, 404)
    for bad in ({"ram": 0}, {"vcpus": -1}, {"id": "a/b"}, {"name": ""}, {"colour": 1}):
        nova.fault("POST", "/flavors", {"flavor": {**body, **bad}}, 400)
    nova.call("DELETE", f"/flavors/{made['id']}", expect=202)
    nova.fault("GET", f"/flavors/{made['id']}", None, 404)
    assert nova.call("GET", "/flavors/1/os-extra_specs")["extra_specs"] == {}


def test_keypairs(nova: Nova):
    body = {"keypair": {"name": "k", "public_key": KEY, "type": "ssh"}}
    made = nova.call("POST", "/os-keypairs", body, 201)["keypair"]
    assert made["fingerprint"].count(":") == 15
    assert "k" in nova.fault("POST", "/os-keypairs", body, 409)
    assert nova.call("GET", "/os-keypairs")["keypairs"][0]["keypair"]["name"] == "k"
    assert nova.call("GET", "/os-keypairs/k")["keypair"]["public_key"] == KEY
    body["keypair"]["name"] = "old"
    nova.call("POST", "/os-keypairs", body, 200, version="2.1")
    for bad in ("", "ssh-ed25519", "ssh-rsa " + KEY.split()[1], KEY + "\nmore", "a b"):
        nova.fault("POST", "/os-keypairs", {"keypair": {"name": "b", "public_key": bad}}, 400)
    nova.fault("POST", "/os-keypairs", {"keypair": {"name": "b"}}, 400)
    nova.fault(
        "POST", "/os-keypairs", {"keypair": {"name": "b", "public_key": KEY, "type": "x509"}}, 400
    )
    nova.call("DELETE", "/os-keypairs/k", expect=204)
    nova.call("DELETE", "/os-keypairs/old", expect=202, version="2.1")
    nova.fault("GET", "/os-keypairs/k", None, 404)


def test_limits_and_zones(nova: Nova):
    nova.create()
    assert nova.call("GET", "/limits")["limits"]["absolute"]["totalInstancesUsed"] == 1
    zones = nova.call("GET", "/os-availability-zone")["availabilityZoneInfo"]
    assert [z["zoneName"] for z in zones] == ["nova"]


# ---- images


def test_images(nova: Nova):
    world = nova.world
    assert world.get("/image/")["versions"][0]["links"][0]["href"] == "http://server/image/v2/"
    made = world.call(
        "POST", "/image/v2/images", {"name": "deb", "min_disk": 1, "os_distro": "debian"}, 201
    )
    assert (made["status"], made["os_distro"], made["owner"]) == ("active", "debian", "default")
    path = f"/image/v2/images/{made['id']}"
    assert world.get(path) == made
    assert world.get("/image/v2/images?name=deb")["images"] == [made]
    assert world.get("/image/v2/images?name=other")["images"] == []
    world.get("/image/v2/images/deb", 404)
    patch = [
        {"op": "replace", "path": "/name", "value": "new"},
        {"op": "add", "path": "/a~1b", "value": "c"},
        {"op": "remove", "path": "/os_distro"},
    ]

    def patched(operations: object, expect: int) -> Any:
        answer = world.send("PATCH", path, json=operations, headers={"Content-Type": PATCH_TYPE})
        assert answer.status_code == expect, answer.text
        return answer.json()

    changed = patched(patch, 200)
    assert (changed["name"], changed["a/b"]) == ("new", "c")
    assert "os_distro" not in changed
    for bad in ({}, [1], [{"op": "move"}], [{"op": "add", "path": "/status", "value": "x"}]):
        assert patched(bad, 400)["title"] == "Bad Request"
    plain = world.call("PATCH", path, patch, 415)
    assert PATCH_TYPE in plain["message"]
    assert world.send("PUT", f"{path}/file", content=b"data").status_code == 204
    world.get(f"{path}/file", 404)
    world.call("DELETE", path, expect=204)
    assert world.get(path, 404)["code"] == "404 Not Found"


def test_pages_of_images(nova: Nova):
    for number in range(3):
        nova.image(f"i{number}")
    first = nova.world.get("/image/v2/images?limit=2")
    assert [i["name"] for i in first["images"]] == ["i2", "i1"]
    rest = nova.world.get("/image" + first["next"])
    assert [i["name"] for i in rest["images"]] == ["i0"]
    assert "next" not in rest


def test_a_protected_image_stays(nova: Nova):
    made = nova.world.call("POST", "/image/v2/images", {"name": "p", "protected": True}, 201)
    nova.world.call("DELETE", f"/image/v2/images/{made['id']}", expect=403)
    path = f"/a9fe/v1/images/{made['id']}"
    assert nova.world.error("DELETE", path, None, 409)[0] == "ImageProtected"
