"""The order of network cards is that of the request."""

import base64
import json
from dataclasses import replace

import pytest

from a9fe.model.port_order import in_order, tags
from a9fe.model.resources import Instance, Port
from tests.kit.server_world import World

VM = Instance(id="vm", number=1, name="vm", project_id="p", created_at="2026-11-22T15:00:00Z")
NETWORK_DATA = "openstack/latest/network_data.json"
SECOND, LATER = "2026-11-22T15:00:00Z", "2026-11-22T15:00:01Z"


def port(id: str, at: str = SECOND) -> Port:
    return Port(id=id, network_id="n", mac_address="", project_id="p", created_at=at)


@pytest.mark.parametrize(
    ("nics", "expected"),
    [
        ({"c": "", "a": "", "b": ""}, "cabd"),
        ({"c": "", "a": "red"}, "cabd"),
        ({"d": "x", "c": "y", "b": "z", "a": "w"}, "dcba"),
        ({}, "abcd"),
        ({"b": "tagged before cards were all kept"}, "abcd"),
        ({"b": "", "gone": ""}, "bacd"),
    ],
)
def test_the_order_of_the_request_then_age(nics: dict[str, str], expected: str):
    of = replace(VM, nic_tags=nics)
    ports = [port("d", LATER), port("b"), port("a"), port("c")]
    assert "".join(found.id for found in in_order(of, ports)) == expected
    assert tags(of) == {id: tag for id, tag in nics.items() if tag}


def test_every_view_has_the_cards_in_the_order_of_the_request(world: World):
    lans = [world.network(f"10.{number}.0.0/24")[0] for number in range(1, 9)]
    given = [{"uuid": lan["id"]} for lan in reversed(lans)]
    server = {"name": "vm", "flavorRef": "1", "networks": given}
    id = world.call("POST", "/v2.1/servers", {"server": server}, 202)["server"]["id"]
    wanted = [lan["id"] for lan in reversed(lans)]
    shown = world.get(f"/a9fe/v1/instances/{id}")["instance"]
    assert [port["network_id"] for port in shown["ports"]] == wanted
    assert shown["nic_tags"] == {}
    interfaces = world.get(f"/v2.1/servers/{id}/os-interface")["interfaceAttachments"]
    assert [one["net_id"] for one in interfaces] == wanted
    addresses = world.get(f"/v2.1/servers/{id}")["server"]["addresses"]
    assert list(addresses) == [lan["name"] for lan in reversed(lans)]
    drive = world.get(f"/a9fe/v1/instances/{id}/config-drive?format=openstack")
    (content,) = (file["content"] for file in drive["files"] if file["path"] == NETWORK_DATA)
    links = json.loads(base64.b64decode(content))["links"]
    assert [link["vif_id"] for link in links] == [port["id"] for port in shown["ports"]]
