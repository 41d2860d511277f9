"""Filters and page borders of Nova's and Glance's lists, on both databases."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.kit.guarded_world import Guarded
from tests.kit.server_world import World
from tests.kit.ssh_keys import KEY

OTHER = {"X-Project-Id": "other"}


class Lists:
    """Lists of a server, by the names of their rows."""

    def __init__(self, world: World) -> None:
        self.world = world

    def get(self, path: str, version: str = "2.96", expect: int = 200) -> Any:
        headers = {"OpenStack-API-Version": f"compute {version}"}
        answer = self.world.send("GET", path, headers=headers)
        assert answer.status_code == expect, answer.text
        return answer.json()

    def server(self, name: str, headers: dict[str, str] | None = None, **more: object) -> str:
        body = {"server": {"name": name, "flavorRef": "1", "networks": "none", **more}}
        headers = {"OpenStack-API-Version": "compute 2.96", **(headers or {})}
        answer = self.world.send("POST", "/v2.1/servers", json=body, headers=headers)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["server"]["id"])

    def servers(self, query: str = "") -> list[str]:
        return [s["name"] for s in self.get(f"/v2.1/servers?{query}")["servers"]]

    def keypair(self, name: str, headers: dict[str, str] | None = None) -> None:
        body = {"keypair": {"name": name, "public_key": KEY}}
        answer = self.world.send("POST", "/v2.1/os-keypairs", json=body, headers=headers)
        assert answer.status_code == 200, answer.text

    def image(self, name: str, headers: dict[str, str] | None = None, **more: object) -> str:
        body = {"name": name, **more}
        answer = self.world.send("POST", "/image/v2/images", json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def images(self, query: str = "") -> list[str]:
        return [i["name"] for i in self.get(f"/image/v2/images?{query}")["images"]]


@pytest.fixture
def lists(tmp_path: Path):
    world = World(tmp_path)
    yield Lists(world)
    world.close()


def test_pages_of_servers(lists: Lists):
    ids = {name: lists.server(name) for name in "abcd"}
    whole = lists.get("/v2.1/servers?limit=4")
    assert [s["name"] for s in whole["servers"]] == ["d", "c", "b", "a"]
    assert "servers_links" not in whole
    first = lists.get("/v2.1/servers?limit=3&name=&x=y")
    assert [s["name"] for s in first["servers"]] == ["d", "c", "b"]
    link = f"http://server/v2.1/servers?limit=3&name=&x=y&marker={ids['b']}"
    assert first["servers_links"] == [{"rel": "next", "href": link}]
    assert lists.servers(f"limit=2&marker={ids['c']}") == ["b", "a"]
    assert lists.servers(f"marker={ids['a']}") == []
    assert lists.get("/v2.1/servers?limit=0") == {"servers": []}


def test_a_marker_is_a_server_of_the_same_list(lists: Lists):
    lists.server("mine")
    theirs = lists.server("theirs", OTHER)
    web = lists.server("web")
    assert lists.servers(f"marker={web}") == ["mine"]
    for query in (
        f"marker={theirs}",
        f"marker={web}&name=mine",
        "marker=a%00b",
        "limit=0&marker=x",
    ):
        lists.get(f"/v2.1/servers?{query}", expect=400)


def test_names_match_in_any_case_and_literally(lists: Lists):
    for name in ("Web_1", "web%2", "ÄTNA", "web\\3"):
        lists.server(name)
    for pattern, expected in {
        "WEB": ["web\\3", "web%2", "Web_1"],
        "^web": ["web\\3", "web%2", "Web_1"],
        "_1$": ["Web_1"],
        "b_": ["Web_1"],
        "%": ["web%2"],
        "^WEB_1$": ["Web_1"],
        "^WEB$": [],
        "\\\\3": ["web\\3"],
        "/": [],
        "ätn": ["ÄTNA"],
        "\0": [],
        "w" * 5000: [],
    }.items():
        assert lists.servers(f"name={quote(pattern)}") == expected, pattern


def test_changes_since_in_fractions_and_zones(lists: Lists):
    lists.server("vm")
    changed = lists.get("/v2.1/servers/detail")["servers"][0]["updated"]
    assert lists.servers(f"changes-since={changed}") == ["vm"]
    assert lists.servers(f"changes-since={changed[:-1]}.000001Z") == []
    assert lists.servers(f"changes-since={changed[:-1]}%2B01:00") == ["vm"]
    assert lists.servers(f"changes-since={changed[:-1]}-01:00") == []
    assert lists.servers("changes-since=0001-01-01") == ["vm"]


def test_key_names_are_compared_whole(lists: Lists):
    for name in ('k"1', "k", "ké"):
        lists.keypair(name)
        lists.server(f"with {name}", key_name=name)
    for name in ('k"1', "k", "ké"):
        assert lists.servers(f"key_name={quote(name)}") == [f"with {name}"]
    assert lists.servers("key_name=ssh") == []
    assert lists.servers("key_name=K") == []


def test_addresses_and_hosts_are_those_of_the_project_s_ports(lists: Lists):
    world = lists.world
    network, _ = world.network("10.1.0.0/24")
    world.subnet(network, "fd00::/64")
    nets = [{"uuid": network["id"]}]
    first, second = (lists.server(name, networks=nets) for name in ("first", "second"))
    assert lists.servers("ip=10.1.0") == ["second", "first"]
    assert lists.servers("ip=^10.1.0.2$") == ["first"]
    assert lists.servers("ip=fd00") == []
    assert lists.servers("ip6=^FD00::") == ["second", "first"]
    assert lists.servers("ip=^10.1.0.2$&ip6=fd00") == ["first"]
    assert lists.servers("host=here") == ["second", "first"]
    assert lists.servers("host=there") == []
    assert lists.servers(f"host=here&limit=1&marker={second}") == ["first"]
    world.call(
        "POST",
        "/v2.0/ports",
        {
            "port": {
                "network_id": network["id"],
                "project_id": "other",
                "device_id": first,
                "binding:host_id": "there",
                "fixed_ips": [{"ip_address": "10.1.0.200"}],
            }
        },
        201,
    )
    assert lists.servers("host=there") == []
    assert lists.servers("ip=10.1.0.200") == []


def test_pages_of_flavors_link_to_the_next(lists: Lists):
    first = lists.get("/v2.1/flavors?limit=3")
    assert [f["id"] for f in first["flavors"]] == ["1", "2", "3"]
    link = first["flavors_links"][0]["href"]
    assert link == "http://server/v2.1/flavors?limit=3&marker=3"
    rest = lists.get(link.removeprefix("http://server"))
    assert [f["id"] for f in rest["flavors"]] == ["4", "5"]
    assert "flavors_links" not in rest
    assert "flavors_links" not in lists.get("/v2.1/flavors/detail?limit=5")
    assert lists.get("/v2.1/flavors?limit=0") == {"flavors": []}
    lists.get("/v2.1/flavors?marker=nope", expect=400)


def test_a_hidden_flavor_is_no_marker(lists: Lists):
    values = {"name": "h", "id": "h", "ram": 1, "vcpus": 1, "disk": 0}
    body = {"flavor": {**values, "os-flavor-access:is_public": False}}
    assert lists.world.send("POST", "/v2.1/flavors", json=body).status_code == 200
    lists.get("/v2.1/flavors?marker=h", expect=400)
    assert lists.get("/v2.1/flavors?marker=h&is_public=None")["flavors"] == []


def test_pages_of_key_pairs_are_by_name(lists: Lists):
    for name in ("c", "a", "b"):
        lists.keypair(name)
    lists.keypair("theirs", OTHER)
    first = lists.get("/v2.1/os-keypairs?limit=2")
    assert [k["keypair"]["name"] for k in first["keypairs"]] == ["a", "b"]
    link = first["keypairs_links"][0]["href"]
    assert link == "http://server/v2.1/os-keypairs?limit=2&marker=b"
    rest = lists.get(link.removeprefix("http://server"))
    assert [k["keypair"]["name"] for k in rest["keypairs"]] == ["c"]
    assert "keypairs_links" not in rest
    assert lists.get("/v2.1/os-keypairs?limit=2", version="2.34").keys() == {"keypairs"}
    lists.get("/v2.1/os-keypairs?marker=theirs", expect=400)


def test_pages_of_images(lists: Lists):
    ids = {name: lists.image(name, visibility="private") for name in "abc"}
    public = lists.image("public", visibility="public")
    assert lists.images() == ["public", "c", "b", "a"]
    first = lists.get("/image/v2/images?limit=3")
    assert first["next"] == f"/v2/images?marker={ids['b']}&limit=3"
    assert "next" not in lists.get("/image/v2/images?limit=4")
    assert "next" not in lists.get("/image/v2/images?limit=0")
    assert lists.images("limit=0") == []
    assert lists.images(f"limit=1&marker={public}") == ["c"]
    assert lists.images("visibility=all&status=active") == ["public", "c", "b", "a"]
    assert lists.images("visibility=in:public") == ["public"]
    assert lists.images("status=queued") == []
    assert lists.images("name=a%00") == []
    assert lists.images(f"name=b&owner=default&id={ids['b']}") == ["b"]
    for query in ("marker=nope", f"marker={public}&visibility=private", "limit=x"):
        lists.get(f"/image/v2/images?{query}", expect=400)


def test_an_image_that_a_member_does_not_see_is_no_marker(guarded: Guarded):
    lists = Lists(guarded)
    guarded.be("theirs")
    hidden, shared = lists.image("hidden"), lists.image("shared", visibility="community")
    guarded.be("mine")
    mine = lists.image("mine")
    assert lists.images() == ["mine", "shared"]
    assert lists.images(f"marker={mine}") == ["shared"]
    assert lists.images(f"marker={shared}") == []
    lists.get(f"/image/v2/images?marker={hidden}", expect=400)
