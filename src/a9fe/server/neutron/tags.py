"""Operations on the tags of resources (standard-attr-tag)."""

from collections.abc import Callable, Iterator

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from a9fe.api_tables import converters as to
from a9fe.api_tables.envelope import member
from a9fe.api_tables.schemas import NULL, OBJECT, members, text_of
from a9fe.model.errors import InvalidInput
from a9fe.operations import access
from a9fe.operations.collections import Collection
from a9fe.operations.resources import require
from a9fe.operations.tags import TagNotFound
from a9fe.operations.transaction import Transaction
from a9fe.server.asgi import Access, Operation, OperationTable, api_of, example, read_body

TAGS_MAX = 50  # of one resource
TAG_MAX = 255  # characters
_TAGS = members(tags={"type": "array", "items": text_of(TAG_MAX)})


def tag(field: str, value: object) -> str:
    """Check a tag: text without a comma, as commas separate tags in filters."""
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
    """Return the work that replaces a resource's tags by what `work` makes of them."""

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


def operations(base: str, chapter: str, collection: Collection, name: str) -> Iterator[Operation]:
    """Yield the operations of the tags of a collection; `name` is its examples' variable."""
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
        wanted = _read(await read_body(request))
        work = _change(request, collection, lambda _: wanted)
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
        work = _change(request, collection, lambda present: [*present, name])
        await api_of(request).write(request, work)
        return JSONResponse(None, status_code=201)


def _add_gets(rows: OperationTable, collection: Collection, id: str) -> None:
    @rows.add("GET", "", Access.PROJECT, answers={200: OBJECT}, examples=(example(id=id),))
    async def list_tags(request: Request) -> Response:
        """List the tags."""
        return JSONResponse(
            {"tags": await api_of(request).read(request, _present(request, collection))}
        )

    @rows.add(
        "GET",
        "/{tag}",
        Access.PROJECT,
        answers={204: None},
        examples=(example(status=204, id=id, tag="red"),),
    )
    async def has_tag(request: Request) -> Response:
        """Answer whether the resource has the tag."""
        present = await api_of(request).read(request, _present(request, collection))
        _without(present, request.path_params["tag"])
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
        work = _change(request, collection, lambda present: _without(present, name))
        await api_of(request).write(request, work)
        return Response(status_code=204)

    @rows.add(
        "DELETE", "", Access.PROJECT, answers={204: None}, examples=(example(status=204, id=id),)
    )
    async def remove_all_tags(request: Request) -> Response:
        """Remove all tags."""
        await api_of(request).write(request, _change(request, collection, lambda _: []))
        return Response(status_code=204)
