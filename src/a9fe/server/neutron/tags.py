"""Tags: words that operators put on resources, and find them by (standard-attr-tag)."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from a9fe.api_tables import converters as to
from a9fe.api_tables.envelope import member
from a9fe.model.errors import InvalidInput
from a9fe.operations import access
from a9fe.operations.collections import Collection
from a9fe.operations.resources import require
from a9fe.operations.tags import TagNotFound
from a9fe.operations.transaction import Transaction
from a9fe.server.asgi import body
from a9fe.server.asgi.api import api_of

TAGS_MAX = 50  # of one resource
TAG_MAX = 255  # characters


def tag(field: str, value: object) -> str:
    """A word without a comma, which separates tags in filters."""
    expected = f"text of 1 to {TAG_MAX} characters without a comma"
    if not isinstance(value, str) or not 0 < len(value) <= TAG_MAX or "," in value:
        raise InvalidInput(field, value, expected)
    if "\0" in value:
        raise InvalidInput(field, value, expected)
    return value


def _read(document: object) -> list[str]:
    wanted = to.list_of(tag)("tags", member(document, "tags"))
    return _bounded(sorted(set(wanted)))


def _bounded(tags: list[str]) -> list[str]:
    if len(tags) > TAGS_MAX:
        raise InvalidInput("tags", f"{len(tags)} tags", f"at most {TAGS_MAX}")
    return tags


def _change(
    request: Request, collection: Collection, work: Callable[[list[str]], list[str]]
) -> Callable[[Transaction], list[str]]:
    """A change of a resource's tags by `work`, which is given those it has."""

    def changed(tx: Transaction) -> list[str]:
        found = require(tx, collection, request.path_params["id"])
        access.check_change(tx, found)
        present = list(tx.session.tags.of([found.id]).get(found.id, ()))
        wanted = sorted(set(work(present)))
        if wanted != present:
            tx.session.retag(found, _bounded(wanted))
        return wanted

    return changed


def _present(request: Request, collection: Collection) -> Callable[[Transaction], list[str]]:
    def work(tx: Transaction) -> list[str]:
        found = require(tx, collection, request.path_params["id"])
        return list(tx.session.tags.of([found.id]).get(found.id, ()))

    return work


def _without(present: list[str], name: str) -> list[str]:
    if name not in present:
        raise TagNotFound(f"Tag {name[:TAG_MAX]!r} could not be found")
    return [other for other in present if other != name]


def routes(base: str, collection: Collection) -> list[Route]:
    """The paths of a kind's tags."""

    async def listed(request: Request) -> Response:
        return JSONResponse(
            {"tags": await api_of(request).read(request, _present(request, collection))}
        )

    async def replaced(request: Request) -> Response:
        wanted = _read(await body.read(request))
        work = _change(request, collection, lambda _: wanted)
        return JSONResponse({"tags": await api_of(request).write(request, work)})

    async def cleared(request: Request) -> Response:
        await api_of(request).write(request, _change(request, collection, lambda _: []))
        return Response(status_code=204)

    async def has(request: Request) -> Response:
        present = await api_of(request).read(request, _present(request, collection))
        _without(present, request.path_params["tag"])
        return Response(status_code=204)

    async def added(request: Request) -> Response:
        name = tag("tag", request.path_params["tag"])
        work = _change(request, collection, lambda present: [*present, name])
        await api_of(request).write(request, work)
        return JSONResponse(None, status_code=201)

    async def removed(request: Request) -> Response:
        name = request.path_params["tag"]
        work = _change(request, collection, lambda present: _without(present, name))
        await api_of(request).write(request, work)
        return Response(status_code=204)

    many = f"{base}/{collection.table.path}/{{id}}/tags"
    single = f"{many}/{{tag}}"
    return [
        Route(many, listed, methods=["GET"]),
        Route(many, replaced, methods=["PUT"]),
        Route(many, cleared, methods=["DELETE"]),
        Route(single, has, methods=["GET"]),
        Route(single, added, methods=["PUT"]),
        Route(single, removed, methods=["DELETE"]),
    ]
