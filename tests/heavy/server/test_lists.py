"""Lists of Neutron's API: filters, order, pages."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.kit.server_world import UNKNOWN, World, server_config


def below(url: str) -> str:
    """Path and query of an URL."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else ""


def names(world: World, query: str, kind: str = "network") -> list[str]:
    return [item["name"] for item in world.get(f"/v2.0/{kind}s?{query}")[f"{kind}s"]]


@pytest.fixture
def three(world: World) -> list[Any]:
    made = [
        world.create("network", name="Web", mtu=1400, shared=True),
        world.create("network", name="db", description="blue"),
        world.create("network", name="web", **{"router:external": True}),
    ]
    world.call("PUT", f"/v2.0/networks/{made[0]['id']}/tags", {"tags": ["red", "big"]})
    world.call("PUT", f"/v2.0/networks/{made[1]['id']}/tags", {"tags": ["red"]})
    return made


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("name=WEB", ["Web", "web"]),
        ("description=BLUE", ["db"]),
        ("status=active&name=db", ["db"]),
        ("status=DOWN", []),
        ("mtu=1400", ["Web"]),
        ("mtu=99999999999999999999999999", []),
        ("shared=1", ["Web"]),
        ("router:external=True", ["web"]),
        ("tags=red", ["Web", "db"]),
        ("tags=red,big", ["Web"]),
        ("tags-any=big,green", ["Web"]),
        ("not-tags=red,big", ["db", "web"]),
        ("not-tags-any=red", ["web"]),
        ("name=' OR 1=1 --", []),
        ("name=%25", []),
        ("id=x' OR 'x'='x", []),
        ("name=%00", []),
        ("dns_domain=&name=db", ["db"]),
        ("provider:network_type=LOCAL&name=db", ["db"]),
        ("provider:segmentation_id=5", []),
        ("vlan_transparent=None&name=db", ["db"]),
        ("sort_key=name&sort_dir=asc&name=db", ["db"]),
    ],
)
def test_networks_by_filters(world: World, three: list[Any], query: str, expected: list[str]):
    assert sorted(names(world, query)) == sorted(expected)


@pytest.mark.parametrize(
    "query",
    [
        "limit=-1", "limit=x", "limit=1e9", "limit=%C2%B2", "page_reverse=maybe", "colour=red",
        "sort_key=colour", "sort_key=tags", "sort_key=name&sort_dir=up", "sort_dir=asc",
        "shared=perhaps", "mtu=big", "subnets=x",
    ],
)  # fmt: skip
def test_bad_queries_name_the_field(world: World, query: str):
    field = query.split("=", maxsplit=1)[0]
    message = world.error("GET", f"/v2.0/networks?{query}", None, 400)[1]
    assert message.startswith("sort_dir" if "sort_dir" in query else field), message


def test_an_unknown_marker(world: World):
    assert (
        world.error("GET", f"/v2.0/networks?marker={UNKNOWN}", None, 404)[0] == "NetworkNotFound"
    )


@pytest.mark.parametrize("order", ["", "sort_key=name&", "sort_key=mtu&sort_dir=desc&",
                                   "sort_key=mtu&sort_dir=desc&sort_key=name&sort_dir=asc&",
                                   "sort_key=provider:segmentation_id&"])  # fmt: skip
def test_links_lead_through_all_pages_and_back(world: World, order: str):
    for number in range(7):
        world.create("network", name=f"n{number % 3}", mtu=1400 + number % 2)
    whole = [n["id"] for n in world.get(f"/v2.0/networks?{order}")["networks"]]
    forward, path = [], f"/v2.0/networks?{order}limit=2"
    while path:
        page = world.get(path)
        forward.append([n["id"] for n in page["networks"]])
        link = {x["rel"]: x["href"] for x in page.get("networks_links", [])}
        path = below(link.get("next", ""))
        back = link.get("previous", "")
    assert [id for page in forward for id in page] == whole
    assert forward[0] == whole[:2]
    page = world.get(below(back))
    assert [n["id"] for n in page["networks"]] == whole[4:6]


def test_sorting(world: World):
    for name, mtu in (("b", 1400), ("a", 1500), ("c", 1400)):
        world.create("network", name=name, mtu=mtu)
    assert names(world, "sort_key=name") == ["a", "b", "c"]
    assert names(world, "sort_key=name&sort_dir=desc") == ["c", "b", "a"]
    by_two = "sort_key=mtu&sort_dir=asc&sort_key=name&sort_dir=desc"
    assert names(world, by_two) == ["c", "b", "a"]


def test_the_server_caps_pages(tmp_path: Path):
    world = World(tmp_path, server_config(pagination_max_limit=2))
    for name in "abc":
        world.create("network", name=name)
    for query, rels in (("", ["next"]), ("?limit=100", ["next", "previous"])):
        page = world.get(f"/v2.0/networks{query}")
        assert len(page["networks"]) == 2
        assert [link["rel"] for link in page["networks_links"]] == rels
    world.close()


def test_ports_by_part_of_address_group_and_mac(world: World):
    network, _ = world.network("10.1.0.0/24")
    first = world.create("port", network_id=network["id"], name="p1")
    bound = world.create("port", network_id=network["id"], name="p2", **{"binding:host_id": "h"})
    group = first["security_groups"][0]
    assert names(world, "fixed_ips=ip_address_substr%3D.0.2", "port") == ["p1"]
    assert names(world, "fixed_ips=ip_address_substr%3D%25", "port") == []
    assert names(world, f"security_groups={group}", "port") == ["p1", "p2"]
    assert names(world, f"mac_address={first['mac_address'].upper()}", "port") == ["p1"]
    assert names(world, "binding:vif_type=bridge", "port") == ["p2"]
    assert names(world, "binding:vif_type=unbound", "port") == ["p1"]
    assert names(world, "binding:host_id=h", "port") == ["p2"]
    assert bound["binding:vif_type"] == "bridge"


def test_agents_by_life(world: World):
    world.report()
    assert len(world.get("/v2.0/agents?alive=True")["agents"]) == 1
    world.clock.at += 1000
    assert world.get("/v2.0/agents?alive=True")["agents"] == []
    assert len(world.get("/v2.0/agents?alive=False&agent_type=dhcp+AGENT")["agents"]) == 1


def test_tags_are_put_and_taken(world: World):
    network = world.create("network")
    one = f"/v2.0/networks/{network['id']}"
    world.call("PUT", f"{one}/tags/red", None, 201)
    world.call("GET", f"{one}/tags/red", expect=204)
    assert world.get(f"{one}/tags") == {"tags": ["red"]}
    assert world.error("GET", f"{one}/tags/blue", None, 404)[0] == "TagNotFound"
    assert world.error("DELETE", f"{one}/tags/blue", None, 404)[0] == "TagNotFound"
    assert world.get(one)["network"]["revision_number"] == 2
    for bad in ({"tags": "red"}, {"tags": [5]}, {"tags": ["a,b"]}, {"tags": [""]}, {}):
        world.error("PUT", f"{one}/tags", bad, 400)
    world.error("PUT", f"{one}/tags", {"tags": [str(n) for n in range(51)]}, 400)
    world.call("DELETE", f"{one}/tags/red", expect=204)
    world.call("PUT", f"{one}/tags/x", None, 201)
    world.call("DELETE", f"{one}/tags", expect=204)
    assert world.get(f"{one}/tags") == {"tags": []}


def test_a_change_is_for_a_revision(world: World):
    network = world.create("network")
    one = f"/v2.0/networks/{network['id']}"
    old, new = ({"If-Match": f"revision_number={number}"} for number in (7, 1))
    body = {"network": {"name": "x"}}
    refused = world.send("PUT", one, json=body, headers=old)
    assert refused.status_code == 412
    assert refused.json()["NeutronError"]["type"] == "RevisionNumberConstraintFailed"
    assert world.send("DELETE", one, headers=old).status_code == 412
    assert world.send("PUT", one, json=body, headers={"If-Match": "x"}).status_code == 400
    assert world.send("PUT", one, json=body, headers=new).status_code == 200


def test_an_empty_page_leads_back(world: World):
    for name in "ab":
        world.create("network", name=name)
    first = world.get("/v2.0/networks?limit=2")
    assert [link["rel"] for link in first["networks_links"]] == ["next", "previous"]
    empty = world.get(below(first["networks_links"][0]["href"]))
    assert empty["networks"] == []
    [back] = empty["networks_links"]
    assert back["rel"] == "previous"
    again = world.get(below(back["href"]))
    assert [n["name"] for n in again["networks"]] == ["a", "b"]
