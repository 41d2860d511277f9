"""Handlers of the compute API for the metadata of a server."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from a9fe.api_tables import converters as to
from a9fe.api_tables.envelope import member
from a9fe.api_tables.schemas import OBJECT, enclosed, members, taken_by
from a9fe.model.errors import InvalidInput, NotFound
from a9fe.model.resources import Instance
from a9fe.operations.transaction import Transaction
from a9fe.server.asgi import Access, example, read_body
from a9fe.server.nova import servers as compute_servers
from a9fe.server.nova.handlers import read_server_of, write_server_of
from a9fe.server.nova.versions import AnswerFormat, compute_table

METADATA = compute_table("/servers/{id}/metadata", chapter="Compute: servers")
_ITEMS = taken_by(to.string_map)
_BODY = members(metadata=_ITEMS)
_ALL, _ONE = enclosed("metadata", OBJECT), enclosed("meta", OBJECT)


@METADATA.add("GET", "", Access.PROJECT, answers={200: _ALL}, examples=(example(id="{server}"),))
async def show_metadata(request: Request, _form: AnswerFormat) -> Response:
    """Show the metadata of a server."""
    return JSONResponse({"metadata": await read_server_of(request, lambda _, i: i.metadata)})


def _metadata_in(document: object) -> dict[str, str]:
    found: dict[str, str] = to.string_map("metadata", member(document, "metadata"))
    return found


@METADATA.add(
    "POST",
    "",
    Access.PROJECT,
    body=_BODY,
    answers={200: _ALL},
    examples=(example({"metadata": {"tier": "front"}}, id="{server}"),),
)
async def add_metadata(request: Request, _form: AnswerFormat) -> Response:
    """Add items to the metadata of a server."""
    given = _metadata_in(await read_body(request))

    def work(tx: Transaction, i: Instance) -> dict[str, str]:
        return compute_servers.set_metadata(tx, i, {**i.metadata, **given}).metadata

    return JSONResponse({"metadata": await write_server_of(request, work)})


@METADATA.add(
    "PUT",
    "",
    Access.PROJECT,
    body=_BODY,
    answers={200: _ALL},
    examples=(example({"metadata": {"role": "web"}}, id="{server}"),),
)
async def replace_metadata(request: Request, _form: AnswerFormat) -> Response:
    """Replace the metadata of a server."""
    given = _metadata_in(await read_body(request))

    def work(tx: Transaction, i: Instance) -> dict[str, str]:
        return compute_servers.set_metadata(tx, i, given).metadata

    return JSONResponse({"metadata": await write_server_of(request, work)})


def _item(instance: Instance, key: str) -> dict[str, str]:
    if key not in instance.metadata:
        raise NotFound("metadata item", key)
    return {key: instance.metadata[key]}


@METADATA.add(
    "GET",
    "/{key}",
    Access.PROJECT,
    answers={200: _ONE},
    examples=(example(id="{server}", key="role"),),
)
async def show_item(request: Request, _form: AnswerFormat) -> Response:
    """Show one item of a server's metadata."""
    key = request.path_params["key"]
    return JSONResponse({"meta": await read_server_of(request, lambda _, i: _item(i, key))})


@METADATA.add(
    "PUT",
    "/{key}",
    Access.PROJECT,
    body=members(meta=_ITEMS),
    answers={200: _ONE},
    examples=(example({"meta": {"role": "db"}}, id="{server}", key="role"),),
)
async def set_item(request: Request, _form: AnswerFormat) -> Response:
    """Set one item of a server's metadata."""
    key = request.path_params["key"]
    given = to.string_map("meta", member(await read_body(request), "meta"))
    if list(given) != [key]:
        raise InvalidInput(
            "meta", given, f"an object with only the item {key[:100]!r}, the key in the path"
        )

    def work(tx: Transaction, i: Instance) -> dict[str, str]:
        return _item(compute_servers.set_metadata(tx, i, {**i.metadata, **given}), key)

    return JSONResponse({"meta": await write_server_of(request, work)})


@METADATA.add(
    "DELETE",
    "/{key}",
    Access.PROJECT,
    answers={204: None},
    examples=(example(status=204, id="{server}", key="role"),),
)
async def delete_item(request: Request, _form: AnswerFormat) -> Response:
    """Delete one item of a server's metadata."""
    key = request.path_params["key"]

    def work(tx: Transaction, i: Instance) -> None:
        _item(i, key)
        left = {name: value for name, value in i.metadata.items() if name != key}
        compute_servers.set_metadata(tx, i, left)

    await write_server_of(request, work)
    return Response(status_code=204)


OPERATIONS = tuple(METADATA)
