"""The API as commands call it: what FakeApi and the server both answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from a9fe.api_client import ApiClient, ApiError
from tests.kit.fake_api import DEFAULTS, running_api
from tests.kit.server_world import World, front_door
from tests.kit.ssh_keys import KEY

UNKNOWN = "00000000-0000-4000-8000-000000000000"


@contextmanager
def server(directory: Path) -> Iterator[str]:
    world = World(directory)
    try:
        with front_door(world) as url:
            yield url
    finally:
        world.close()


@pytest.fixture(params=["fake", "server"])
def api(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ApiClient]:
    if request.param == "fake":
        with running_api() as fake, ApiClient(fake.url) as client:
            yield client
    else:
        with server(tmp_path) as url, ApiClient(url) as client:
            yield client


def network(api: ApiClient, name: str = "lab") -> tuple[Any, Any]:
    made = api.create("networks", {"name": name})
    given = {"network_id": made["id"], "cidr": "10.1.0.0/24", "ip_version": 4, "name": name}
    return made, api.create("subnets", given)


def refused(call: Any, *arguments: Any) -> tuple[int, str]:
    with pytest.raises(ApiError) as caught:
        call(*arguments)
    return caught.value.status, caught.value.type


CREATED: dict[str, dict[str, Any]] = {
    "networks": {"name": "a"},
    "routers": {"name": "a"},
    "flavors": {"name": "a", "vcpus": 1, "ram": 64},
    "images": {"name": "a"},
    "keypairs": {"name": "a", "public_key": KEY},
}


@pytest.mark.parametrize("collection", CREATED)
def test_a_resource_is_created_shown_listed_and_deleted(api: ApiClient, collection: str) -> None:
    made = api.create(collection, CREATED[collection])
    assert {**made, **CREATED[collection]} == made
    assert api.show(collection, made["id"]) == made
    assert api.list(collection, name="a") == [made]
    assert api.list(collection, name="b") == []
    assert api.find(collection, "a") == api.find(collection, made["id"]) == made
    api.delete(collection, made["id"])
    assert api.list(collection, name="a") == []


def test_an_update_answers_the_changed_resource(api: ApiClient) -> None:
    made, _ = network(api)
    changed = api.update("networks", made["id"], {"name": "other"})
    assert (changed["id"], changed["name"]) == (made["id"], "other")
    assert api.list("networks", name="other") == [changed]


def test_a_network_lists_its_subnets(api: ApiClient) -> None:
    made, subnet = network(api)
    assert made["subnets"] == []
    assert api.show("networks", made["id"])["subnets"] == [subnet["id"]]
    assert (subnet["network_id"], subnet["cidr"]) == (made["id"], "10.1.0.0/24")


def test_an_instance_is_created_with_a_port_on_each_network(api: ApiClient) -> None:
    made, _ = network(api)
    wanted = {"uuid": made["id"], "fixed_ip": "10.1.0.77"}
    instance = api.create("instances", {"name": "web1", "networks": [wanted]})
    (port,) = instance["ports"]
    (fixed_ip,) = port["fixed_ips"]
    assert fixed_ip["ip_address"] == "10.1.0.77"
    (found,) = api.list("ports", device_id=instance["id"])
    assert found["id"] == port["id"]
    assert (found["network_id"], found["mac_address"]) == (made["id"], port["mac_address"])
    assert found["device_owner"].startswith("compute:")


def test_a_router_interface_is_added_to_a_subnet(api: ApiClient) -> None:
    _, subnet = network(api)
    router = api.create("routers", {"name": "r"})
    body = {"subnet_id": subnet["id"]}
    answer = api.action("routers", router["id"], "add_router_interface", body)
    assert (answer["id"], answer["subnet_id"]) == (router["id"], subnet["id"])


def test_an_unknown_id_is_not_found(api: ApiClient) -> None:
    for call in (api.show, api.delete):
        assert refused(call, "networks", UNKNOWN) == (404, "NetworkNotFound")
        assert refused(call, "instances", UNKNOWN) == (404, "InstanceNotFound")
    assert refused(api.update, "routers", UNKNOWN, {"name": "x"}) == (404, "RouterNotFound")


def test_an_unknown_collection_is_not_found(api: ApiClient) -> None:
    assert refused(api.call, "GET", "/v2.0/nothing") == (404, "HTTPNotFound")


def test_a_network_with_a_port_is_in_use(api: ApiClient) -> None:
    made, _ = network(api)
    api.create("instances", {"name": "web1", "networks": [{"uuid": made["id"]}]})
    assert refused(api.delete, "networks", made["id"]) == (409, "NetworkInUse")


def test_a_bad_cidr_is_refused_by_name(api: ApiClient) -> None:
    made = api.create("networks", {"name": "lab"})
    given = {"network_id": made["id"], "cidr": "10.1.0.0/x", "ip_version": 4}
    with pytest.raises(ApiError, match="cidr") as caught:
        api.create("subnets", given)
    assert (caught.value.status, caught.value.type) == (400, "InvalidInput")


def test_names_need_not_be_unique(api: ApiClient) -> None:
    for _ in range(2):
        api.create("networks", {"name": "twice"})
    assert len(api.list("networks", name="twice")) == 2


def test_the_fake_has_no_attribute_that_the_server_lacks(tmp_path: Path) -> None:
    with server(tmp_path) as url, ApiClient(url) as api, running_api() as fake:
        with ApiClient(fake.url) as other:
            for each in (api, other):
                made, _ = network(each)
                each.create("instances", {"name": "web1", "networks": [{"uuid": made["id"]}]})
                for collection, given in CREATED.items():
                    each.create(collection, given)
        for collection in DEFAULTS.keys() - {"agents"}:
            attributes = set(api.list(collection)[0])
            for document in fake.resources[collection].values():
                assert set(document) <= attributes, collection
