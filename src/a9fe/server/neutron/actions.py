"""Operations on parts of a resource: a router's interfaces, an address group's addresses."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from a9fe.api_tables import pool_tables
from a9fe.api_tables.converters import Converter
from a9fe.api_tables.envelope import member
from a9fe.api_tables.requests import InterfaceRequest, interface_request
from a9fe.api_tables.schemas import OBJECT, UUID, Schema, members, taken_by
from a9fe.model.resources import Router
from a9fe.model.rules import addresses as rules
from a9fe.model.subnet_pools import AddressGroup
from a9fe.operations import access
from a9fe.operations.answers import one_shown
from a9fe.operations.routers import routers
from a9fe.operations.security_groups import address_groups
from a9fe.operations.transaction import Json, Transaction
from a9fe.server.asgi import NEUTRON, Access, OperationTable, api_of, example, read_body

ROUTERS = OperationTable(f"{NEUTRON}/routers/{{id}}", chapter="Network: routers")
GROUPS = OperationTable(f"{NEUTRON}/address-groups/{{id}}", chapter="Network: address-groups")

_INTERFACE: Schema = {
    **members(("subnet_id", "port_id"), subnet_id=UUID, port_id=UUID),
    "description": "One of the two. A removal may name both: the port and one of its subnets",
}
_ADDRESSES = members(addresses={"type": "array", "maxItems": 1000, "items": taken_by(rules.cidr)})
_MORE = {"addresses": ["192.0.2.64/28"]}


async def _interface(
    request: Request, action: Callable[[Transaction, Router, InterfaceRequest], routers.Interface]
) -> Response:
    id, document = request.path_params["id"], await read_body(request)

    def work(tx: Transaction) -> dict[str, object]:
        router = tx.session.require(Router, id)
        return action(tx, router, interface_request(document)).shown()

    return JSONResponse(await api_of(request).write(request, work))


@ROUTERS.add(
    "PUT",
    "/add_router_interface",
    Access.PROJECT,
    body=_INTERFACE,
    answers={200: OBJECT},
    examples=(example({"subnet_id": "{subnet}"}, id="{router}"),),
)
async def add_router_interface(request: Request) -> Response:
    """Add an interface on a subnet, or a port as interface, to a router."""
    return await _interface(request, routers.add_interface)


@ROUTERS.add(
    "PUT",
    "/remove_router_interface",
    Access.PROJECT,
    body=_INTERFACE,
    answers={200: OBJECT},
    examples=(example({"subnet_id": "{subnet}"}, id="{router}", last=True),),
)
async def remove_router_interface(request: Request) -> Response:
    """Remove an interface from a router, by subnet or port."""
    return await _interface(request, routers.remove_interface)


async def _addresses(
    request: Request,
    action: Callable[[Transaction, AddressGroup, tuple[str, ...]], AddressGroup],
    read: Converter,
) -> Response:
    table = pool_tables.ADDRESS_GROUP
    id, document = request.path_params["id"], await read_body(request)

    def work(tx: Transaction) -> Json:
        group = access.require(tx, AddressGroup, id)
        access.check_change(tx, group)
        addresses = read("addresses", member(document, "addresses"))
        return {table.kind: one_shown(tx, action(tx, group, addresses), table)}

    return JSONResponse(await api_of(request).write(request, work))


@GROUPS.add(
    "PUT",
    "/add_addresses",
    Access.PROJECT,
    body=_ADDRESSES,
    answers={200: OBJECT},
    examples=(example(_MORE, id="{address_group}"),),
)
async def add_addresses(request: Request) -> Response:
    """Add addresses to an address group."""
    return await _addresses(request, address_groups.add, pool_tables.ADDRESSES_TO_ADD)


@GROUPS.add(
    "PUT",
    "/remove_addresses",
    Access.PROJECT,
    body=_ADDRESSES,
    answers={200: OBJECT},
    examples=(example(_MORE, id="{address_group}"),),
)
async def remove_addresses(request: Request) -> Response:
    """Remove addresses from an address group."""
    return await _addresses(request, address_groups.remove, pool_tables.ADDRESSES_TO_REMOVE)


OPERATIONS = (*ROUTERS, *GROUPS)
