"""Make a collection's operations from its attribute table: list, create, show, update, delete."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from a9fe.api_tables.envelope import member
from a9fe.api_tables.listing import fields_of
from a9fe.api_tables.schemas import enclosed, enclosed_list
from a9fe.model.errors import InvalidInput
from a9fe.operations import resources
from a9fe.operations.answers import shown
from a9fe.operations.collections import Collection
from a9fe.operations.transaction import Json, Transaction
from a9fe.server.asgi import body
from a9fe.server.asgi import collection_schemas as schemas
from a9fe.server.asgi.api import api_of, query_of
from a9fe.server.asgi.collection_schemas import BULK_MAX
from a9fe.server.asgi.examples import example
from a9fe.server.asgi.operation import Access, Handler, Operation, OperationTable

PAGE = {
    "fields": "Attribute to return; may be repeated",
    "limit": "Largest number of resources to return",
    "marker": "Id of the last resource of the previous page",
    "sort_key": "Attribute to sort by; may be repeated",
    "sort_dir": "asc or desc, one for each sort_key",
    "page_reverse": "true: return the page before the marker",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionExamples:
    """Example requests for a collection's operations.

    `create` maps names of variables to bodies without their envelope; the variable is the id of
    the created resource. `of` names the variable of the resource that the other examples show and
    update; by default it is the first of `create`.
    """

    create: Mapping[str, Json] = field(default_factory=dict)
    of: str = ""
    query: str = ""
    update: Json

    @property
    def name(self) -> str:
        """The variable of the resource that the examples show and update."""
        return self.of or next(iter(self.create))


def operations_of(
    base: str,
    chapter: str,
    collection: Collection,
    examples: CollectionExamples,
    writes: Access = Access.PROJECT,
) -> Iterator[Operation]:
    """Yield the operations of one collection.

    `writes` is the access that create, update and delete require.
    """
    path = collection.table.path
    rows = OperationTable(f"{base}/{path}", chapter=f"{chapter}: {path}")
    if collection.create is not None:
        _add_create(rows, collection, examples, writes)
    _add_reads(rows, collection, examples)
    _add_changes(rows, collection, examples, writes)
    yield from rows


def _one(collection: Collection) -> str:
    """Return the kind with its article, for summaries: "an agent"."""
    kind = collection.table.kind.replace("_", " ")
    return f"{'an' if kind[0] in 'aei' else 'a'} {kind}"


def _add_create(
    rows: OperationTable, collection: Collection, examples: CollectionExamples, writes: Access
) -> None:
    kind = collection.table.kind
    rows.add(
        "POST",
        "",
        writes,
        summary=f"Create {_one(collection)}",
        body=schemas.created(collection),
        answers={201: schemas.created_answer(collection)},
        examples=tuple(
            example({kind: given}, 201, save={variable: f"{kind}.id"})
            for variable, given in examples.create.items()
        ),
    )(_create_handler(collection))


def _add_reads(rows: OperationTable, collection: Collection, examples: CollectionExamples) -> None:
    table, schema = collection.table, schemas.shown(collection.table.plural)
    rows.add(
        "GET",
        "",
        Access.PROJECT,
        summary=f"List {table.plural.replace('_', ' ')}",
        query={**PAGE, **_filters(collection)},
        answers={200: enclosed_list(table.plural, schema)},
        examples=(example(query=examples.query),),
    )(_list_handler(collection))
    rows.add(
        "GET",
        "/{id}",
        Access.PROJECT,
        summary=f"Show {_one(collection)}",
        query={"fields": PAGE["fields"]},
        answers={200: enclosed(table.kind, schema)},
        examples=(example(id=f"{{{examples.name}}}"),),
    )(_show_handler(collection))


def _add_changes(
    rows: OperationTable, collection: Collection, examples: CollectionExamples, writes: Access
) -> None:
    kind, schema = collection.table.kind, schemas.shown(collection.table.plural)
    rows.add(
        "PUT",
        "/{id}",
        writes,
        summary=f"Change {_one(collection)}",
        body=schemas.updated(collection),
        answers={200: enclosed(kind, schema)},
        examples=(example({kind: examples.update}, id=f"{{{examples.name}}}"),),
    )(_update_handler(collection))
    rows.add(
        "DELETE",
        "/{id}",
        writes,
        summary=f"Delete {_one(collection)}",
        answers={204: None},
        examples=tuple(
            example(status=204, id=f"{{{variable}}}", last=True)
            for variable in (examples.create or (examples.name,))
        ),
    )(_delete_handler(collection))


def _filters(collection: Collection) -> dict[str, str]:
    return {
        a.name: f"Only resources with this {a.name}"
        for a in collection.table.attributes
        if a.filter or a.conditions
    }


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
    """Return the attributes that a request's `fields` select; empty means all."""
    return fields_of(query_of(request))


def _constraint(request: Request) -> int | None:
    """Return the revision in `If-Match: revision_number=5` (Neutron), None without the header.

    Raises InvalidInput.
    """
    text = request.headers.get("if-match")
    if text is None:
        return None
    name, _, number = text.partition("=")
    if name.strip() != "revision_number" or not number.isascii() or not number.isdigit():
        raise InvalidInput("If-Match", text, "revision_number=<number>")
    return int(number[:18])


def _create(tx: Transaction, collection: Collection, document: object) -> Json:
    """Create one resource, or several in one transaction (Neutron's bulk create).

    The body is {kind: resource} or {plural: [...]}; an item of the list may be wrapped in {kind:
    ...}. Raises InvalidInput.
    """
    kind, plural = collection.table.kind, collection.table.plural
    if not isinstance(document, dict) or plural not in document:
        return {kind: resources.create(tx, collection, member(document, kind))}
    items = member(document, plural)
    if not isinstance(items, list) or not 0 < len(items) <= BULK_MAX:
        raise InvalidInput(plural, items, f"a list of 1 to {BULK_MAX} items")
    inner = [
        item[kind] if isinstance(item, dict) and item.keys() == {kind} else item for item in items
    ]
    return {plural: [resources.create(tx, collection, item) for item in inner]}
