"""Instances and the ports made with them."""

import base64
from pathlib import Path
from typing import Any

import pytest

from tests.kit.server_world import UNKNOWN, World, server_config

PATH = "/a9fe/v1/instances"


def create(world: World, **values: object) -> Any:
    return world.call("POST", PATH, {"instance": {"name": "web1", **values}}, 201)["instance"]


def test_an_instance_with_all_it_may_have(world: World):
    user_data = base64.b64encode(b"\0\xff#cloud-config").decode()
    keypair = {"name": "k", "public_key": "ssh-ed25519 AAAA", "type": "ssh"}
    given = {"user_data": user_data, "keypairs": [keypair], "metadata": {"a": "b"}, "flavor": "f"}
    made = create(world, **given)
    assert {name: made[name] for name in given} == given
    assert (made["number"], made["availability_zone"], made["ports"]) == (1, "nova", [])
    assert world.get(f"{PATH}/{made['id']}")["instance"] == made
    assert world.get(f"{PATH}?name=web1")["instances"] == [made]


@pytest.mark.parametrize("by", ["id", "name", "uuid", "named_uuid"])
def test_an_instance_on_a_network(world: World, by: str):
    network, _ = world.network()
    wanted = {
        "id": {"network": network["id"]},
        "name": {"network": network["name"]},
        "uuid": {"networks": [{"uuid": network["id"]}]},
        "named_uuid": {"networks": [{"uuid": network["name"]}]},
    }[by]
    made = create(world, **wanted)
    [port] = made["ports"]
    assert (port["device_id"], port["device_owner"]) == (made["id"], "compute:nova")
    assert (port["binding:host_id"], port["binding:vif_type"]) == ("here", "bridge")
    assert port["fixed_ips"][0]["ip_address"] == "10.1.0.2"


def test_an_instance_with_a_fixed_ip_and_on_another_host(world: World):
    network, _ = world.network()
    card = {"uuid": network["id"], "fixed_ip": "10.1.0.77"}
    [port] = create(world, networks=[card], host="h9")["ports"]
    assert port["fixed_ips"][0]["ip_address"] == "10.1.0.77"
    assert port["binding:host_id"] == "h9"


def test_deleted_it_takes_its_own_ports_and_frees_the_others(world: World):
    network, _ = world.network()
    given = world.create("port", network_id=network["id"])
    made = create(world, networks=[{"port": given["id"]}, {"uuid": network["id"]}])
    assert len(made["ports"]) == 2
    world.call("DELETE", f"{PATH}/{made['id']}", expect=204)
    [left] = world.ports()
    assert left["id"] == given["id"]
    assert (left["device_id"], left["device_owner"], left["binding:host_id"]) == ("", "", "")


def test_numbers_are_never_given_twice(world: World):
    first = create(world)
    world.call("DELETE", f"{PATH}/{first['id']}", expect=204)
    assert create(world)["number"] == first["number"] + 1


def test_an_instance_is_changed(world: World):
    made = create(world)
    body = {"instance": {"metadata": {"role": "db"}, "user_data": "aGk="}}
    changed = world.call("PUT", f"{PATH}/{made['id']}", body)["instance"]
    assert (changed["metadata"], changed["user_data"]) == ({"role": "db"}, "aGk=")
    world.error("PUT", f"{PATH}/{made['id']}", {"instance": {"number": 9}}, 400)
    world.error("PUT", f"{PATH}/{made['id']}", {"instance": {"network": "x"}}, 400)


def test_user_data_up_to_nova_s_limit(world: World):
    longest = base64.b64encode(b"x" * 49149).decode()
    assert len(longest) == 65532
    assert create(world, user_data=longest)["user_data"] == longest
    body = {"instance": {"name": "a", "user_data": longest + "AAAA"}}
    message = world.error("POST", PATH, body, 400)[1]
    assert message == (
        "user_data: '65536 bytes' is not valid, expected base64 of at most 65535 bytes"
    )


@pytest.mark.parametrize(
    ("values", "status", "word"),
    [
        ({"name": ""}, 400, "name"),
        ({"name": None}, 400, "name"),
        ({"user_data": "not base64!"}, 400, "user_data"),
        ({"user_data": 5}, 400, "user_data"),
        ({"user_data": "é"}, 400, "user_data"),
        ({"keypairs": [{"name": "k"}]}, 400, "keypairs"),
        ({"keypairs": [{"name": "k", "public_key": "x", "type": "y"}]}, 400, "keypairs.type"),
        ({"metadata": {"a": 1}}, 400, "metadata.a"),
        ({"metadata": []}, 400, "metadata"),
        ({"network": "no such"}, 404, "no such"),
        ({"networks": [{"uuid": UNKNOWN}]}, 404, UNKNOWN),
        ({"networks": [{"port": UNKNOWN}]}, 404, UNKNOWN),
        ({"networks": [{"port": UNKNOWN, "fixed_ip": "10.1.0.5"}]}, 400, "networks"),
        ({"networks": [{}]}, 400, "networks"),
        ({"network": "a", "port_id": UNKNOWN}, 400, "port_id"),
        ({"number": 1}, 400, "number"),
    ],
)
def test_a_bad_instance(world: World, values: dict, status: int, word: str):
    body = {"instance": {"name": "web1", **values}}
    assert word in world.error("POST", PATH, body, status)[1]


def test_a_name_of_two_networks_or_a_port_in_use_is_refused(world: World):
    world.create("network", name="twin")
    world.create("network", name="twin")
    body = {"instance": {"name": "a", "network": "twin"}}
    assert "several networks" in world.error("POST", PATH, body, 400)[1]
    network, _ = world.network()
    used = create(world, network=network["id"])["ports"][0]
    body = {"instance": {"name": "a", "port_id": used["id"]}}
    assert world.error("POST", PATH, body, 409)[0] == "PortInUse"


def test_its_ports_count_for_the_project(tmp_path: Path):
    world = World(tmp_path, server_config(quota_port=1))
    network, _ = world.network()
    wanted = {"name": "web1", "networks": [{"uuid": network["id"]}, {"uuid": network["id"]}]}
    assert world.error("POST", PATH, {"instance": wanted}, 409)[0] == "OverQuota"
    assert world.get(PATH)["instances"] == []
    assert len(create(world, network=network["id"])["ports"]) == 1
    world.close()
