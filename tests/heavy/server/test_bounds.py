"""Bounds on a project's resources, on the values of a port or instance, and on queries."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from a9fe.api_tables.converters import PUBLIC_KEY_MAX
from a9fe.api_tables.guest_requests import KEYPAIRS_BYTES_MAX, KEYPAIRS_MAX
from a9fe.api_tables.listing import EXPRESSIONS_MAX
from a9fe.runtime.config import Config
from a9fe.server.asgi.api import QUERY_MAX
from tests.kit.server_world import World, server_config

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4"
FLAVOR = "1"


def pairs(count: int) -> list[dict[str, str]]:
    return [{"ip_address": f"10.1.{n // 250}.{n % 250}"} for n in range(count)]


def test_address_pairs_of_a_port_are_bounded(world: World):
    network, _ = world.network()
    body = {"port": {"network_id": network["id"], "allowed_address_pairs": pairs(11)}}
    kind, message = world.error("POST", "/v2.0/ports", body, 400)
    assert kind == "AllowedAddressPairExhausted"
    assert "exceeds the maximum 10" in message
    port = world.create("port", network_id=network["id"], allowed_address_pairs=pairs(10))
    path = f"/v2.0/ports/{port['id']}"
    world.error("PUT", path, {"port": {"allowed_address_pairs": pairs(11)}}, 400)
    world.call("PUT", path, {"port": {"allowed_address_pairs": pairs(9)}})


MAKERS: dict[str, tuple[Callable[[int], tuple[str, Any]], int]] = {
    "/a9fe/v1/instances": (lambda n: ("instance", {"name": f"vm{n}"}), 409),
    "/a9fe/v1/keypairs": (lambda n: ("keypair", {"name": f"k{n}", "public_key": KEY}), 409),
    "/a9fe/v1/images": (lambda n: ("image", {"name": f"i{n}"}), 409),
    "/v2.1/servers": (
        lambda n: ("server", {"name": f"vm{n}", "flavorRef": FLAVOR, "networks": "none"}),
        403,
    ),
    "/v2.1/os-keypairs": (lambda n: ("keypair", {"name": f"k{n}", "public_key": KEY}), 403),
    "/image/v2/images": (lambda n: ("", {"name": f"i{n}"}), 413),
}


def options() -> Config:
    return server_config(quota_instances=2, quota_key_pairs=2, quota_image_count_total=2)


@pytest.mark.parametrize("path", MAKERS)
def test_records_of_a_project_are_bounded(tmp_path: Path, path: str):
    world = World(tmp_path, options())
    maker, refused = MAKERS[path]

    def made(number: int, project: str = "default") -> int:
        kind, given = maker(number)
        headers = {"X-Project-Id": project, "X-OpenStack-Nova-API-Version": "2.37"}
        body = {kind: given} if kind else given
        return world.send("POST", path, json=body, headers=headers).status_code

    assert {made(0), made(1)} <= {200, 201, 202}
    before = world.revision()
    assert made(2) == refused
    assert world.revision() == before
    assert made(3, "another") in {200, 201, 202}
    world.close()


def test_several_servers_at_once_are_all_or_none(tmp_path: Path):
    world = World(tmp_path, options())
    server = {"name": "vm", "flavorRef": FLAVOR, "min_count": 3, "max_count": 3}
    assert world.send("POST", "/v2.1/servers", json={"server": server}).status_code == 403
    assert world.get("/v2.1/servers")["servers"] == []
    absolute = world.get("/v2.1/limits")["limits"]["absolute"]
    assert (absolute["maxTotalInstances"], absolute["maxTotalKeypairs"]) == (2, 2)
    assert absolute["totalInstancesUsed"] == 0
    world.close()


def keys(count: int, size: int) -> list[dict[str, str]]:
    return [{"name": f"k{n}", "public_key": "x" * size} for n in range(count)]


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (keys(1, PUBLIC_KEY_MAX), 201),
        (keys(1, PUBLIC_KEY_MAX + 1), 400),
        (keys(KEYPAIRS_MAX, 100), 201),
        (keys(KEYPAIRS_MAX + 1, 100), 400),
        (keys(KEYPAIRS_BYTES_MAX // PUBLIC_KEY_MAX, PUBLIC_KEY_MAX), 201),
        (keys(KEYPAIRS_BYTES_MAX // PUBLIC_KEY_MAX + 1, PUBLIC_KEY_MAX), 400),
    ],
)
def test_key_pairs_of_an_instance_are_bounded(world: World, given: Any, status: int):
    body = {"instance": {"name": "web1", "keypairs": given}}
    answer = world.call("POST", "/a9fe/v1/instances", body, status)
    if status == 400:
        assert "keypairs" in answer["NeutronError"]["message"]
    else:
        path = f"/a9fe/v1/instances/{answer['instance']['id']}"
        more = {"instance": {"keypairs": keys(KEYPAIRS_MAX + 1, 10)}}
        world.error("PUT", path, more, 400)


LISTS = (
    "/v2.0/ports",
    "/v2.0/agents",
    "/a9fe/v1/instances",
    "/v2.1/servers",
    "/v2.1/os-keypairs",
    "/image/v2/images",
)
NAMES = ("id", "fields", "fixed_ips", "mac_address", "sort_key")


@pytest.mark.parametrize("count", [QUERY_MAX, QUERY_MAX + 1])
@pytest.mark.parametrize("path", LISTS)
def test_a_query_of_very_many_values_is_answered_or_refused(world: World, path: str, count: int):
    for name in NAMES if path == "/v2.0/ports" else ("name",):
        value = "ip_address_substr={}" if name == "fixed_ips" else "{}"
        query = "&".join(f"{name}={value.format(n)}" for n in range(count))
        answer = world.send("GET", f"{path}?{query}")
        assert answer.status_code in ({400} if count > QUERY_MAX else {200, 400}), answer.text
        if count > QUERY_MAX:
            assert name in answer.text


@pytest.mark.parametrize("name", ["tags", "tags-any", "not-tags", "not-tags-any"])
def test_tags_in_a_filter_are_bounded(world: World, name: str):
    for count, status in ((EXPRESSIONS_MAX, 200), (EXPRESSIONS_MAX + 1, 400), (5000, 400)):
        tags = ",".join(f"t{n}" for n in range(count))
        answer = world.send("GET", f"/v2.0/networks?{name}={tags}")
        assert answer.status_code == status
        assert status == 200 or name in answer.text
    assert world.send("GET", f"/v2.0/networks?{name}={','.join(['t'] * 5000)}").status_code == 200


@pytest.mark.parametrize(
    "cidr",
    [
        "0.0.0.0/0",
        "0.0.0.0/1",
        "0.1.0.0/16",
        "64.0.0.0/2",
        "127.0.0.0/8",
        "127.1.0.0/24",
        "126.0.0.0/7",
        "169.254.0.0/16",
        "169.254.169.254/32",
        "128.0.0.0/1",
        "224.0.0.0/4",
        "239.1.0.0/24",
        "240.0.0.0/8",
        "255.255.255.0/24",
        "::/0",
        "::/64",
        "::1/128",
        "::ffff:10.0.0.0/104",
        "fe80::/64",
        "8000::/1",
        "ff02::/16",
    ],
)
def test_a_subnet_that_no_host_can_build(world: World, cidr: str):
    network = world.create("network")
    subnet = {"network_id": network["id"], "cidr": cidr, "ip_version": 6 if ":" in cidr else 4}
    for more in ({}, {"enable_dhcp": False}):
        message = world.error("POST", "/v2.0/subnets", {"subnet": {**subnet, **more}}, 400)[1]
        assert "cidr" in message


@pytest.mark.parametrize("cidr", ["10.0.0.0/8", "1.0.0.0/8", "169.254.192.0/18", "fd00::/8"])
def test_a_subnet_that_a_host_can_build(world: World, cidr: str):
    world.network(cidr)


@pytest.mark.parametrize("prefix", [31, 32])
def test_dhcp_needs_room(world: World, prefix: int):
    network = world.create("network")
    subnet = {"network_id": network["id"], "cidr": f"10.1.0.0/{prefix}", "ip_version": 4}
    message = world.error("POST", "/v2.0/subnets", {"subnet": subnet}, 400)[1]
    assert "incompatible with DHCP service enabled" in message
    made = world.subnet(network, subnet["cidr"], enable_dhcp=False)
    path = f"/v2.0/subnets/{made['id']}"
    world.call("PUT", path, {"subnet": {"name": "small"}})
    world.error("PUT", path, {"subnet": {"enable_dhcp": True}}, 400)


@pytest.mark.parametrize("nexthop", ["0.0.0.0", "127.0.0.1", "224.0.0.1"])
def test_a_next_hop_is_a_host_address(world: World, nexthop: str):
    network = world.create("network")
    routes = [{"destination": "10.9.0.0/24", "nexthop": nexthop}]
    subnet = {"network_id": network["id"], "cidr": "10.1.0.0/24", "ip_version": 4}
    body = {"subnet": {**subnet, "host_routes": routes}}
    assert "host_routes.nexthop" in world.error("POST", "/v2.0/subnets", body, 400)[1]
