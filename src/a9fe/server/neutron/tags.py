"""Operations on the tags of resources (standard-attr-tag)."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from a9fe.api_tables.schemas import NULL, OBJECT, members, text_of
from a9fe.api_tables.tags import TAG_MAX, read_tags, tag
from a9fe.model.resources import Resource
from a9fe.operations import tags
from a9fe.operations.collections import Collection
from a9fe.operations.resources import require
from a9fe.operations.transaction import Transaction
from a9fe.server.asgi import Access, Operation, OperationTable, api_of, example, read_body

T = TypeVar("T")
_TAGS = members(tags={"type": "array", "items": text_of(TAG_MAX)})


def _with_resource(
    request: Request, collection: Collection, action: Callable[[Transaction, Resource], T]
) -> Callable[[Transaction], T]:
    """Return the work that calls `action` with the resource of the path."""
    return lambda tx: action(tx, require(tx, collection, request.path_params["id"]))


def operations(base: str, chapter: str, collection: Collection, name: str) -> Iterator[Operation]:
    """Yield the operations on the tags of a collection's resources.

    `name` is the variable for a resource's id in the collection's examples.
    """
    path = collection.table.path
    rows = OperationTable(f"{base}/{path}/{{id}}/tags", chapter=f"{chapter}: {path}")
    id = f"{{{name}}}"
    _add_puts(rows, collection, id)
    _add_gets(rows, collection, id)
    _add_deletes(rows, collection, id)
    yield from rows


def _add_puts(rows: OperationTable, collection: Collection, id: str) -> None:
    @rows.add(
        "PUT",
        "",
        Access.PROJECT,
        body=_TAGS,
        answers={200: OBJECT},
        examples=(example({"tags": ["blue", "green"]}, id=id),),
    )
    async def replace_tags(request: Request) -> Response:
        """Replace the tags."""
        wanted = read_tags(await read_body(request))
        work = _with_resource(
            request, collection, lambda tx, found: tags.set_tags(tx, found, wanted)
        )
        return JSONResponse({"tags": await api_of(request).write(request, work)})

    @rows.add(
        "PUT",
        "/{tag}",
        Access.PROJECT,
        answers={201: NULL},
        examples=(example(status=201, id=id, tag="red"),),
    )
    async def add_tag(request: Request) -> Response:
        """Add a tag."""
        name = tag("tag", request.path_params["tag"])
        work = _with_resource(request, collection, lambda tx, found: tags.add_tag(tx, found, name))
        await api_of(request).write(request, work)
        return JSONResponse(None, status_code=201)


def _add_gets(rows: OperationTable, collection: Collection, id: str) -> None:
    @rows.add("GET", "", Access.PROJECT, answers={200: OBJECT}, examples=(example(id=id),))
    async def list_tags(request: Request) -> Response:
        """List the tags."""
        work = _with_resource(request, collection, tags.tags_of)
        return JSONResponse({"tags": await api_of(request).read(request, work)})

    @rows.add(
        "GET",
        "/{tag}",
        Access.PROJECT,
        answers={204: None},
        examples=(example(status=204, id=id, tag="red"),),
    )
    async def has_tag(request: Request) -> Response:
        """Check that the resource has the tag (204, or 404)."""
        name = request.path_params["tag"]
        work = _with_resource(
            request, collection, lambda tx, found: tags.check_tag(tx, found, name)
        )
        await api_of(request).read(request, work)
        return Response(status_code=204)


def _add_deletes(rows: OperationTable, collection: Collection, id: str) -> None:
    @rows.add(
        "DELETE",
        "/{tag}",
        Access.PROJECT,
        answers={204: None},
        examples=(example(status=204, id=id, tag="red"),),
    )
    async def remove_tag(request: Request) -> Response:
        """Remove a tag."""
        name = request.path_params["tag"]
        work = _with_resource(
            request, collection, lambda tx, found: tags.remove_tag(tx, found, name)
        )
        await api_of(request).write(request, work)
        return Response(status_code=204)

    @rows.add(
        "DELETE", "", Access.PROJECT, answers={204: None}, examples=(example(status=204, id=id),)
    )
    async def remove_all_tags(request: Request) -> Response:
        """Remove all tags."""
        work = _with_resource(
            request, collection, lambda tx, found: tags.set_tags(tx, found, frozenset())
        )
        await api_of(request).write(request, work)
        return Response(status_code=204)
