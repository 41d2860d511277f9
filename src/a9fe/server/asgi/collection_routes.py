"""Routes of the collections: list, create, show, update and delete of each kind."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from a9fe.api_tables.envelope import member
from a9fe.api_tables.listing import fields_of
from a9fe.model.errors import InvalidInput
from a9fe.operations import resources
from a9fe.operations.answers import Json, shown
from a9fe.operations.collections import Collection
from a9fe.operations.transaction import Transaction
from a9fe.server.asgi import body
from a9fe.server.asgi.api import api_of, query_of

BULK_MAX = 1000  # resources of one POST


def collection_routes(base: str, collection: Collection) -> list[Route]:
    """List, create, show, update and delete of one kind."""
    many = f"{base}/{collection.table.path}"
    single = f"{many}/{{id}}"
    routes = [
        Route(many, _list_handler(collection), methods=["GET"]),
        Route(single, _show_handler(collection), methods=["GET"]),
        Route(single, _update_handler(collection), methods=["PUT"]),
        Route(single, _delete_handler(collection), methods=["DELETE"]),
    ]
    if collection.create is not None:
        routes.append(Route(many, _create_handler(collection), methods=["POST"]))
    return routes


Handler = Callable[[Request], Awaitable[Response]]


def _list_handler(collection: Collection) -> Handler:
    plural = collection.table.plural

    async def listed(request: Request) -> Response:
        query, url = query_of(request), str(request.url.replace(query=""))
        if collection.prepare is not None:
            await api_of(request).write(request, collection.prepare)
        found = await api_of(request).read(
            request, lambda tx: resources.list_all(tx, collection, query, url)
        )
        answer: dict[str, object] = {plural: found.items}
        if found.links:
            answer[f"{plural}_links"] = found.links
        return JSONResponse(answer)

    return listed


def _create_handler(collection: Collection) -> Handler:
    async def created(request: Request) -> Response:
        document = await body.read(request)
        made = await api_of(request).write(request, lambda tx: _create(tx, collection, document))
        return JSONResponse(made, status_code=201)

    return created


def _show_handler(collection: Collection) -> Handler:
    async def one(request: Request) -> Response:
        id, fields = request.path_params["id"], asked_fields(request)

        def work(tx: Transaction) -> Json:
            found = resources.require(tx, collection, id)
            return shown(tx, [found], collection.table, fields)[0]

        kind = collection.table.kind
        return JSONResponse({kind: await api_of(request).read(request, work)})

    return one


def _update_handler(collection: Collection) -> Handler:
    kind = collection.table.kind

    async def updated(request: Request) -> Response:
        id, constraint = request.path_params["id"], _constraint(request)
        document = member(await body.read(request), kind)
        changed = await api_of(request).write(
            request, lambda tx: resources.update(tx, collection, id, document, constraint)
        )
        return JSONResponse({kind: changed})

    return updated


def _delete_handler(collection: Collection) -> Handler:
    async def deleted(request: Request) -> Response:
        id, constraint = request.path_params["id"], _constraint(request)
        await api_of(request).write(
            request, lambda tx: resources.delete(tx, collection, id, constraint)
        )
        return Response(status_code=204)

    return deleted


def asked_fields(request: Request) -> frozenset[str]:
    return fields_of(query_of(request))


def _constraint(request: Request) -> int | None:
    """The revision that a change is for: If-Match: revision_number=5."""
    text = request.headers.get("if-match")
    if text is None:
        return None
    name, _, number = text.partition("=")
    if name.strip() != "revision_number" or not number.isascii() or not number.isdigit():
        raise InvalidInput("If-Match", text, "revision_number=<number>")
    return int(number[:18])


def _create(tx: Transaction, collection: Collection, document: object) -> Json:
    """One, or several as one transaction; each of several may stand in an envelope of its own."""
    kind, plural = collection.table.kind, collection.table.plural
    if not isinstance(document, dict) or plural not in document:
        return {kind: resources.create(tx, collection, member(document, kind))}
    items = member(document, plural)
    if not isinstance(items, list) or not 0 < len(items) <= BULK_MAX:
        raise InvalidInput(plural, items, f"a list of 1 to {BULK_MAX}")
    inner = [
        item[kind] if isinstance(item, dict) and item.keys() == {kind} else item for item in items
    ]
    return {plural: [resources.create(tx, collection, item) for item in inner]}
