"""IMDS usage: metadata services report it, operators and owners read it."""

from typing import Any

import pytest
from sqlalchemy import func, select

from a9fe.store.side_tables.imds_usage import imds_usage
from tests.kit.guarded_world import Guarded
from tests.kit.server_world import World

PATH = "/a9fe/v1/imds-usage"
NOBODY = "0a9fe000-0000-4000-8000-000000000000"
FIRST, LATER = "2026-11-22T15:00:00Z", "2026-11-22T16:00:00Z"


def instance_of(world: World, **more: object) -> str:
    given = {"instance": {"name": "web1", **more}}
    return str(world.call("POST", "/a9fe/v1/instances", given, 201)["instance"]["id"])


def usage(id: str, v1: int = 0, v2: int = 0, v1_at: str = "", v2_at: str = "") -> dict[str, Any]:
    return {
        "instance_id": id,
        "v1_requests": v1,
        "v2_requests": v2,
        "v1_last_at": v1_at,
        "v2_last_at": v2_at,
    }


def rows_of(world: World) -> int | None:
    with world.store.read() as session:
        query = select(func.count()).select_from(imds_usage)
        return session._connection.scalar(query)


def tell(world: World, *said: dict[str, Any], host: str = "node1", expect: int = 200) -> Any:
    return world.call("POST", PATH, {"host": host, "usage": list(said)}, expect)


def test_counts_add_up_and_the_last_times_stay(world: World):
    id = instance_of(world, metadata_options={"http_tokens": "observe"})
    before = world.revision()
    tell(world, usage(id, 3, 0, LATER))
    tell(world, usage(id, 2, 1, FIRST, FIRST), usage(id, 0, 4, "", LATER), host="node2")
    (shown,) = world.get(PATH)["usage"]
    assert shown == {
        **usage(id, 5, 5, LATER, LATER),
        "name": "web1",
        "project_id": "default",
        "http_tokens": "observe",
    }
    assert world.revision() == before


def test_instances_that_are_not_there_are_not_counted(world: World):
    id = instance_of(world)
    tell(world, usage(NOBODY, 1, 0, FIRST), usage(id, 1, 0, FIRST))
    assert [u["instance_id"] for u in world.get(PATH)["usage"]] == [id]


@pytest.mark.parametrize("path", ["/a9fe/v1/instances/", "/v2.1/servers/"])
def test_the_counts_of_a_deleted_instance_are_forgotten(world: World, path: str):
    id = instance_of(world)
    tell(world, usage(id, 1, 0, FIRST))
    world.call("DELETE", path + id, expect=204)
    assert rows_of(world) == 0
    tell(world, usage(id, 1, 0, FIRST))
    assert world.get(PATH) == {"usage": []}


@pytest.mark.parametrize(
    "bad",
    [
        usage("web1"),
        usage(NOBODY, -1),
        usage(NOBODY, 2**31),
        usage(NOBODY, v1_at="yesterday"),
        usage(NOBODY, v2_at=FIRST + "\n"),
        {"instance_id": NOBODY},
        {**usage(NOBODY), "more": 1},
        "web1",
        None,
    ],
)
def test_what_is_no_usage(world: World, bad: Any):
    world.error("POST", PATH, {"host": "node1", "usage": [bad]}, 400)


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        {"host": "node1"},
        {"host": "", "usage": []},
        {"host": 5, "usage": []},
        {"host": "node1", "usage": {}},
        {"host": "node1", "usage": [usage(NOBODY)] * 1001},
    ],
)
def test_what_is_no_message(world: World, document: Any):
    world.error("POST", PATH, document, 400)


def on_host(guarded: Guarded, owner: str, host: str) -> str:
    """The id of an instance of `owner` with a port on `host`."""
    guarded.be(owner)
    network, _ = guarded.network()
    id = instance_of(guarded, network=network["id"])
    guarded.be("admin")
    (port,) = guarded.ports(device_id=id)
    guarded.call("PUT", f"/v2.0/ports/{port['id']}", {"port": {"binding:host_id": host}})
    return id


def test_permissions_to_report_and_read_usage(guarded: Guarded):
    mine, theirs = on_host(guarded, "mine", "h1"), on_host(guarded, "theirs", "h1")
    said = {"host": "h1", "usage": [usage(mine, 1, 0, FIRST), usage(theirs, 2, 0, FIRST)]}
    for caller in ("mine", "admin"):
        guarded.be(caller)
        assert guarded.status("POST", PATH, said) == 403
    guarded.be("h1")
    assert guarded.status("POST", PATH, said) == 200
    assert guarded.status("POST", PATH, {**said, "host": "h2"}) == 403
    assert guarded.status("GET", PATH) == 403
    for caller, sees in (("mine", {mine}), ("theirs", {theirs}), ("admin", {mine, theirs})):
        guarded.be(caller)
        assert {u["instance_id"] for u in guarded.get(PATH)["usage"]} == sees
    guarded.show_nothing()
    assert guarded.status("GET", PATH) == 401
