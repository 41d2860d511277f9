"""Handlers of the compute API for servers, which are records: they start no VM."""

from collections.abc import Callable
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from a9fe.api_tables.schemas import OBJECT, TEXT, enclosed, enclosed_list, members
from a9fe.model.resources import Instance
from a9fe.operations.instances import guests, instances
from a9fe.operations.transaction import Json, Transaction
from a9fe.server.asgi import Access, api_of, example, last_values, read_body
from a9fe.server.nova import schemas
from a9fe.server.nova import servers as compute_servers
from a9fe.server.nova.fields import addresses
from a9fe.server.nova.server_request import read_server
from a9fe.server.nova.versions import BASE, AnswerFormat, Handler, compute_table, next_link

T = TypeVar("T")
SERVERS = compute_table("/servers", chapter="Compute: servers")
_OF_SERVER = (example(id="{server}"),)


@SERVERS.add(
    "POST",
    "",
    Access.PROJECT,
    body=members(server=schemas.SERVER_REQUEST),
    answers={202: enclosed("server", {"type": "object", "required": ["id", "links"]})},
    examples=(
        example(
            {
                "server": {
                    "name": "vm1",
                    "flavorRef": "{large}",
                    "imageRef": "{cirros}",
                    "networks": [{"uuid": "{network}"}],
                    "key_name": "laptop",
                    "user_data": "I2Nsb3VkLWNvbmZpZwo=",
                    "metadata": {"role": "web"},
                }
            },
            202,
            save={"server": "server.id"},
        ),
    ),
)
async def create_server(request: Request, form: AnswerFormat) -> Response:
    """Create a server, or several equal ones, with a port on each network."""
    wanted = read_server(await read_body(request), form.version)
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

    return listed


SERVERS.add(
    "GET",
    "",
    Access.PROJECT,
    summary="List servers: id, name and links",
    query=schemas.SERVER_FILTERS,
    answers={200: enclosed_list("servers", schemas.SERVER_SUMMARY)},
    examples=(example(query="name=vm1"),),
)(_list(detail=False))
SERVERS.add(
    "GET",
    "/detail",
    Access.PROJECT,
    summary="List servers with all fields",
    query=schemas.SERVER_FILTERS,
    answers={200: enclosed_list("servers", schemas.SERVER)},
    examples=(example(query="limit=10"),),
)(_list(detail=True))


async def read_server_of(request: Request, work: Callable[[Transaction, Instance], T]) -> T:
    """Return the result of `work` for the server in the path. Raises NotFound."""
    id = request.path_params["id"]
    return await api_of(request).read(
        request, lambda tx: work(tx, compute_servers.require(tx, id))
    )


async def write_server_of(request: Request, work: Callable[[Transaction, Instance], T]) -> T:
    """Return the result of `work`, committed, for the server in the path.

    Raises NotFound, or Forbidden if the caller may not change the server.
    """
    id = request.path_params["id"]
    return await api_of(request).write(
        request, lambda tx: work(tx, compute_servers.require(tx, id, change=True))
    )


@SERVERS.add(
    "GET",
    "/{id}",
    Access.PROJECT,
    answers={200: enclosed("server", schemas.SERVER)},
    examples=(example(id="{server}", headers={"OpenStack-API-Version": "compute 2.96"}),),
)
async def show_server(request: Request, form: AnswerFormat) -> Response:
    """Show a server."""
    found = await read_server_of(request, lambda tx, i: compute_servers.shown(tx, i, form))
    return JSONResponse({"server": found})


@SERVERS.add(
    "PUT",
    "/{id}",
    Access.PROJECT,
    body=members(server=members(("name", "description"), name=TEXT, description=TEXT)),
    answers={200: enclosed("server", schemas.SERVER)},
    examples=(example({"server": {"name": "web1"}}, id="{server}"),),
)
async def update_server(request: Request, form: AnswerFormat) -> Response:
    """Change a server's name or description."""
    document = await read_body(request)

    def work(tx: Transaction, instance: Instance) -> Json:
        changed = compute_servers.update(tx, instance, document)
        return compute_servers.shown(tx, changed, form)

    return JSONResponse({"server": await write_server_of(request, work)})


@SERVERS.add(
    "DELETE",
    "/{id}",
    Access.PROJECT,
    answers={204: None},
    examples=(example(status=204, id="{server}", last=True),),
)
async def delete_server(request: Request, _form: AnswerFormat) -> Response:
    """Delete a server and the ports made with it."""
    await write_server_of(request, instances.delete)
    return Response(status_code=204)


@SERVERS.add("GET", "/{id}/ips", Access.PROJECT, answers={200: OBJECT}, examples=_OF_SERVER)
async def list_addresses(request: Request, form: AnswerFormat) -> Response:
    """List the addresses of a server by network."""

    def work(tx: Transaction, instance: Instance) -> dict[str, list[Json]]:
        return addresses(compute_servers.views(tx, [instance], form)[0])

    return JSONResponse({"addresses": await read_server_of(request, work)})


@SERVERS.add(
    "GET", "/{id}/os-security-groups", Access.PROJECT, answers={200: OBJECT}, examples=_OF_SERVER
)
async def list_groups(request: Request, form: AnswerFormat) -> Response:
    """List the security groups of a server's ports."""

    def work(tx: Transaction, instance: Instance) -> list[Json]:
        return compute_servers.groups_of(tx, instance, form)

    return JSONResponse({"security_groups": await read_server_of(request, work)})


@SERVERS.add(
    "GET", "/{id}/os-interface", Access.PROJECT, answers={200: OBJECT}, examples=_OF_SERVER
)
async def list_interfaces(request: Request, _form: AnswerFormat) -> Response:
    """List the ports of a server."""

    def work(tx: Transaction, instance: Instance) -> list[Json]:
        ports = instances.own(instance, instances.ports_of(tx, instance.id))
        return [compute_servers.interface(port) for port in ports]

    return JSONResponse({"interfaceAttachments": await read_server_of(request, work)})


@SERVERS.add(
    "GET",
    "/{id}/os-volume_attachments",
    Access.PROJECT,
    answers={200: OBJECT},
    examples=_OF_SERVER,
)
async def list_volumes(request: Request, _form: AnswerFormat) -> Response:
    """List the volumes of a server; a9fe has none."""
    await read_server_of(request, lambda *_: None)
    return JSONResponse({"volumeAttachments": []})


@SERVERS.add(
    "GET",
    "/{id}/os-server-password",
    Access.PROJECT,
    answers={200: members(password=TEXT)},
    examples=_OF_SERVER,
)
async def show_password(request: Request, _form: AnswerFormat) -> Response:
    """Show the password that a server's guest posted."""
    return JSONResponse({"password": await read_server_of(request, lambda _, i: i.password)})


@SERVERS.add(
    "DELETE",
    "/{id}/os-server-password",
    Access.PROJECT,
    answers={204: None},
    examples=(example(status=204, id="{server}"),),
)
async def clear_password(request: Request, _form: AnswerFormat) -> Response:
    """Delete a server's password."""
    await write_server_of(request, lambda tx, i: guests.clear_password(tx, i.id))
    return Response(status_code=204)


OPERATIONS = tuple(SERVERS)
