"""Handlers of the compute API below /v2.1: versions, servers, and their metadata.

It is the part of Nova's API with which clients record servers; it starts no VM. records.py has
flavors, key pairs, and information about the service.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from a9fe.api_tables import converters as to
from a9fe.api_tables.envelope import member
from a9fe.model.errors import A9feError, InvalidInput, NotFound
from a9fe.model.resources import Instance
from a9fe.operations.answers import Json
from a9fe.operations.instances import guests, instances
from a9fe.operations.transaction import Transaction
from a9fe.server.asgi import body, errors, faults
from a9fe.server.asgi.api import api_of, last_values, root_of
from a9fe.server.nova import microversion
from a9fe.server.nova import servers as compute_servers
from a9fe.server.nova.fields import addresses
from a9fe.server.nova.server_request import read_server
from a9fe.server.nova.servers import AnswerFormat

BASE = faults.COMPUTE
UPDATED = "2013-07-23T11:33:21Z"  # Nova's value for v2.1
T = TypeVar("T")
Handler = Callable[[Request, AnswerFormat], Awaitable[Response]]


def route(path: str, handler: Handler, method: str) -> Route:
    """Return a route that reads the microversion of a request and adds it to the answer."""

    async def answered(request: Request) -> Response:
        try:
            version = microversion.asked(request.headers)
        except microversion.BadVersion as error:
            fault = faults.nova(error.status, str(error))
            headers = microversion.said(microversion.LEAST)
            return JSONResponse(fault, status_code=error.status, headers=headers)
        try:
            answer = await handler(request, AnswerFormat(version=version, base=root_of(request)))
        except A9feError as error:
            answer = await errors.on_error(request, error)
        answer.headers.update(microversion.said(version))
        return answer

    answered.__doc__ = handler.__doc__
    answered.__name__ = handler.__name__
    return Route(f"{BASE}{path}", answered, methods=[method], name=handler.__name__)


def next_link(request: Request, form: AnswerFormat, plural: str, marker: str) -> Json:
    """Return the member `<plural>_links` that leads to the page behind `marker`; {} for none."""
    if not marker:
        return {}
    kept = [(name, v) for name, v in request.query_params.multi_items() if name != "marker"]
    query = urlencode([*kept, ("marker", marker)])
    href = f"{form.base}{request.url.path}?{query}"
    return {f"{plural}_links": [{"rel": "next", "href": href}]}


def version_shown(base: str) -> Json:
    """Return the document from which a client chooses its microversion."""
    return {
        "id": "v2.1",
        "status": "CURRENT",
        "version": microversion.shown(microversion.MOST),
        "min_version": microversion.shown(microversion.LEAST),
        "updated": UPDATED,
        "links": [{"rel": "self", "href": f"{base}{BASE}/"}],
        "media-types": [
            {
                "base": "application/json",
                "type": "application/vnd.openstack.compute+json;version=2.1",
            }
        ],
    }


async def version(_request: Request, form: AnswerFormat) -> Response:
    """Show the API's version and the range of its microversions."""
    return JSONResponse({"version": version_shown(form.base)})


async def create_server(request: Request, form: AnswerFormat) -> Response:
    """Create a server, or several equal ones, with a port on each network."""
    wanted = read_server(await body.read(request), form.version)
    made = await api_of(request).write(request, lambda tx: compute_servers.create(tx, wanted))
    first = made[0]
    href = f"{form.base}{BASE}/servers/{first.id}"
    links = [{"rel": "self", "href": href}]
    links.append({"rel": "bookmark", "href": f"{form.base}/servers/{first.id}"})
    groups = [{"name": name} for name in wanted.groups or ("default",)]
    server = {
        "id": first.id,
        "links": links,
        "OS-DCF:diskConfig": "MANUAL",
        "security_groups": groups,
    }
    return JSONResponse({"server": server}, status_code=202, headers={"Location": href})


def _list(*, detail: bool) -> Handler:
    async def listed(request: Request, form: AnswerFormat) -> Response:
        query = last_values(request)
        found, marker = await api_of(request).read(
            request,
            lambda tx: compute_servers.list_servers(tx, query, form, detail=detail),
        )
        answer: Json = {"servers": found}
        return JSONResponse(answer | next_link(request, form, "servers", marker))

    listed.__doc__ = "List servers" + (", with all of their fields." if detail else " briefly.")
    listed.__name__ = "list_servers_detail" if detail else "list_servers"
    return listed


async def _read(request: Request, work: Callable[[Transaction, Instance], T]) -> T:
    """Return the result of `work` for the path's server."""
    id = request.path_params["id"]
    return await api_of(request).read(
        request, lambda tx: work(tx, compute_servers.require(tx, id))
    )


async def _write(request: Request, work: Callable[[Transaction, Instance], T]) -> T:
    id = request.path_params["id"]
    return await api_of(request).write(
        request, lambda tx: work(tx, compute_servers.require(tx, id, change=True))
    )


async def show_server(request: Request, form: AnswerFormat) -> Response:
    """Show a server."""
    found = await _read(request, lambda tx, i: compute_servers.shown(tx, i, form))
    return JSONResponse({"server": found})


async def update_server(request: Request, form: AnswerFormat) -> Response:
    """Change a server's name or description."""
    document = await body.read(request)

    def work(tx: Transaction, instance: Instance) -> Json:
        changed = compute_servers.update(tx, instance, document)
        return compute_servers.shown(tx, changed, form)

    return JSONResponse({"server": await _write(request, work)})


async def delete_server(request: Request, _form: AnswerFormat) -> Response:
    """Delete a server and the ports made with it."""
    await _write(request, instances.delete)
    return Response(status_code=204)


async def list_addresses(request: Request, form: AnswerFormat) -> Response:
    """List the addresses of a server by network."""

    def work(tx: Transaction, instance: Instance) -> dict[str, list[Json]]:
        return addresses(compute_servers.views(tx, [instance], form)[0])

    return JSONResponse({"addresses": await _read(request, work)})


async def list_groups(request: Request, form: AnswerFormat) -> Response:
    """List the security groups of a server's ports."""

    def work(tx: Transaction, instance: Instance) -> list[Json]:
        return compute_servers.groups_of(tx, instance, form)

    return JSONResponse({"security_groups": await _read(request, work)})


async def list_interfaces(request: Request, _form: AnswerFormat) -> Response:
    """List the ports of a server."""

    def work(tx: Transaction, instance: Instance) -> list[Json]:
        ports = instances.own(instance, instances.ports_of(tx, instance.id))
        return [compute_servers.interface(port) for port in ports]

    return JSONResponse({"interfaceAttachments": await _read(request, work)})


async def list_volumes(request: Request, _form: AnswerFormat) -> Response:
    """List the volumes of a server; a9fe has none."""
    await _read(request, lambda *_: None)
    return JSONResponse({"volumeAttachments": []})


async def show_password(request: Request, _form: AnswerFormat) -> Response:
    """Show the password that a server's guest posted."""
    return JSONResponse({"password": await _read(request, lambda _, i: i.password)})


async def clear_password(request: Request, _form: AnswerFormat) -> Response:
    """Delete a server's password."""
    await _write(request, lambda tx, i: guests.clear_password(tx, i.id))
    return Response(status_code=204)


async def show_metadata(request: Request, _form: AnswerFormat) -> Response:
    """Show the metadata of a server."""
    return JSONResponse({"metadata": await _read(request, lambda _, i: i.metadata)})


def _metadata_in(document: object) -> dict[str, str]:
    found: dict[str, str] = to.string_map("metadata", member(document, "metadata"))
    return found


async def add_metadata(request: Request, _form: AnswerFormat) -> Response:
    """Add items to the metadata of a server."""
    given = _metadata_in(await body.read(request))

    def work(tx: Transaction, i: Instance) -> dict[str, str]:
        return compute_servers.set_metadata(tx, i, {**i.metadata, **given}).metadata

    return JSONResponse({"metadata": await _write(request, work)})


async def replace_metadata(request: Request, _form: AnswerFormat) -> Response:
    """Replace the metadata of a server."""
    given = _metadata_in(await body.read(request))

    def work(tx: Transaction, i: Instance) -> dict[str, str]:
        return compute_servers.set_metadata(tx, i, given).metadata

    return JSONResponse({"metadata": await _write(request, work)})


def _item(instance: Instance, key: str) -> dict[str, str]:
    if key not in instance.metadata:
        raise NotFound("metadata item", key)
    return {key: instance.metadata[key]}


async def show_item(request: Request, _form: AnswerFormat) -> Response:
    """Show one item of a server's metadata."""
    key = request.path_params["key"]
    return JSONResponse({"meta": await _read(request, lambda _, i: _item(i, key))})


async def set_item(request: Request, _form: AnswerFormat) -> Response:
    """Set one item of a server's metadata."""
    key = request.path_params["key"]
    given = to.string_map("meta", member(await body.read(request), "meta"))
    if list(given) != [key]:
        raise InvalidInput(
            "meta", given, f"an object with the one item {key[:100]!r}, as the path says"
        )

    def work(tx: Transaction, i: Instance) -> dict[str, str]:
        return _item(compute_servers.set_metadata(tx, i, {**i.metadata, **given}), key)

    return JSONResponse({"meta": await _write(request, work)})


async def delete_item(request: Request, _form: AnswerFormat) -> Response:
    """Delete one item of a server's metadata."""
    key = request.path_params["key"]

    def work(tx: Transaction, i: Instance) -> None:
        _item(i, key)
        left = {name: value for name, value in i.metadata.items() if name != key}
        compute_servers.set_metadata(tx, i, left)

    await _write(request, work)
    return Response(status_code=204)


def routes() -> list[Route]:
    """Return the routes of servers."""
    server = "/servers/{id}"
    return [
        route("", version, "GET"),
        route("/", version, "GET"),
        route("/servers", create_server, "POST"),
        route("/servers", _list(detail=False), "GET"),
        route("/servers/detail", _list(detail=True), "GET"),
        route(server, show_server, "GET"),
        route(server, update_server, "PUT"),
        route(server, delete_server, "DELETE"),
        route(f"{server}/ips", list_addresses, "GET"),
        route(f"{server}/os-interface", list_interfaces, "GET"),
        route(f"{server}/os-security-groups", list_groups, "GET"),
        route(f"{server}/os-volume_attachments", list_volumes, "GET"),
        route(f"{server}/os-server-password", show_password, "GET"),
        route(f"{server}/os-server-password", clear_password, "DELETE"),
        route(f"{server}/metadata", show_metadata, "GET"),
        route(f"{server}/metadata", add_metadata, "POST"),
        route(f"{server}/metadata", replace_metadata, "PUT"),
        route(f"{server}/metadata/{{key}}", show_item, "GET"),
        route(f"{server}/metadata/{{key}}", set_item, "PUT"),
        route(f"{server}/metadata/{{key}}", delete_item, "DELETE"),
    ]
