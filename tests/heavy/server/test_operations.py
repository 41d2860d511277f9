"""Each operation is one row: its route, permission check, document and examples come from it."""

from collections import Counter
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

from a9fe.api_tables.schemas import TEXT, enclosed, members
from a9fe.server.app import OPERATIONS
from a9fe.server.asgi.body import read
from a9fe.server.asgi.examples import Samples, example, filled
from a9fe.server.asgi.gate import OperationRoute
from a9fe.server.asgi.operation import Access, OperationTable
from tests.kit.guarded_world import Guarded

RACKS = OperationTable("/a9fe/v1/racks", chapter="a9fe: racks")


@RACKS.add(
    "PUT",
    "/{id}",
    Access.ADMIN,
    body=members(rack=TEXT),
    answers={200: enclosed("rack", TEXT)},
    examples=(example({"rack": "north"}, id="r1"),),
)
async def set_rack(request: Request) -> Response:
    """Name a rack."""
    return JSONResponse(await read(request))


@pytest.fixture
def world(tmp_path: Path):
    made = Guarded(tmp_path, operations=(*OPERATIONS, *RACKS))
    yield made
    made.close()


def test_each_route_has_one_row_and_each_row_one_route(world: Guarded):
    routes = world.routes()
    assert all(isinstance(route, OperationRoute) for route in routes)
    assert Counter(r.operation.key for r in routes) == Counter(
        o.key for o in [*OPERATIONS, *RACKS]
    )
    assert max(Counter(o.key for o in OPERATIONS).values()) == 1


def test_a_row_is_reached_by_its_own_examples(world: Guarded):
    for row in OPERATIONS:
        for request in row.requests():
            path = filled(request.path, Samples()).partition("?")[0]
            scope = {"type": "http", "method": request.method, "path": path, "root_path": ""}
            found = next(r for r in world.routes() if r.matches(scope)[0] is Match.FULL)
            assert found.operation == row


def test_the_statuses_of_examples_are_in_their_rows():
    for row in OPERATIONS:
        good = {e.status for e in row.examples if e.status < 400}
        assert good <= row.answers.keys(), row.key


def test_one_row_makes_the_route_the_gate_the_document_and_the_example(world: Guarded):
    path, body = "/a9fe/v1/racks/r1", {"rack": "north"}
    world.show_nothing()
    assert world.status("PUT", path, body) == 401
    for caller, status in (("mine", 403), ("h1", 403), ("admin", 200)):
        world.be(caller)
        assert world.status("PUT", path, body) == status
    assert world.status("GET", path) == 405
    document = world.get("/openapi.json")
    shown = document["paths"]["/a9fe/v1/racks/{id}"]["put"]
    assert shown["summary"] == "Name a rack"
    assert shown["tags"] == ["a9fe: racks"]
    assert shown["requestBody"]["content"]["application/json"]["example"] == body
    assert {"200", "400", "401", "403"} <= shown["responses"].keys()
    assert shown["x-examples"] == [{"method": "PUT", "path": path, "body": body, "status": 200}]
    assert {"name": "a9fe: racks"} in document["tags"]


UNSERVED = {
    # each caller's status: nobody, an agent, a member, an admin
    "GET /v2.0/nothing": (401, 403, 404, 404),
    "GET /v2.0/networks/": (401, 403, 404, 404),
    "GET /v2.0/networks.json": (401, 403, 404, 404),
    "PATCH /v2.0/networks": (401, 403, 405, 405),
    "DELETE /docs": (401, 403, 405, 405),
    "DELETE /a9fe/v1/feed": (401, 405, 405, 405),
    "GET /docs/": (401, 403, 404, 404),
    "HEAD /docs": (200, 200, 200, 200),
    "HEAD /v2.0/networks": (401, 403, 200, 200),
    "OPTIONS /v2.0/networks": (401, 403, 405, 405),
    "GET /v2.0/nothing%00": (401, 403, 404, 404),
}


@pytest.mark.parametrize("call", UNSERVED)
def test_a_request_without_a_row_is_404_or_405_for_members_only(world: Guarded, call: str):
    method, path = call.split(" ")
    found = []
    for caller in ("nobody", "h1", "mine", "admin"):
        world.show_nothing() if caller == "nobody" else world.be(caller)
        found.append(world.status(method, path))
    assert tuple(found) == UNSERVED[call]
