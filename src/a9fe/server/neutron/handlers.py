"""Handlers of Neutron's API: resources, router interfaces, schedulers, extensions, versions."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from a9fe.api_tables import converters as to
from a9fe.api_tables import pool_tables
from a9fe.api_tables.converters import Converter
from a9fe.api_tables.envelope import member
from a9fe.api_tables.neutron_tables import AGENT, NETWORK, ROUTER
from a9fe.api_tables.requests import InterfaceRequest, interface_request
from a9fe.model.errors import NotFound
from a9fe.model.resources import Agent, Binding, Network, Router
from a9fe.model.rules.scheduling import DHCP_AGENT, L3_AGENT
from a9fe.model.subnet_pools import AddressGroup
from a9fe.operations import access
from a9fe.operations.agents import scheduling
from a9fe.operations.answers import ALL, Json, one_shown, shown
from a9fe.operations.collections import COLLECTIONS, OURS
from a9fe.operations.routers import routers
from a9fe.operations.security_groups import address_groups
from a9fe.operations.transaction import Transaction
from a9fe.server.asgi import body
from a9fe.server.asgi.api import api_of
from a9fe.server.asgi.collection_routes import asked_fields, collection_routes
from a9fe.server.neutron import extensions, quotas, tags

BASE = "/v2.0"
BULK_MAX = 1000  # resources of one POST


async def versions(request: Request) -> Response:
    """GET /: the versions document that clients discover the API by."""
    link = {"href": f"{str(request.base_url).rstrip('/')}{BASE}/", "rel": "self"}
    version = {"id": "v2.0", "status": "CURRENT", "links": [link]}
    return JSONResponse({"versions": [version]})


async def resource_list(request: Request) -> Response:
    """GET /v2.0: the resources there are."""
    root = str(request.base_url).rstrip("/")
    names = [n for n in COLLECTIONS if n not in OURS]
    path = {n: COLLECTIONS[n].table.path for n in names}
    links = {n: [{"href": f"{root}{BASE}/{path[n]}", "rel": "self"}] for n in names}
    return JSONResponse(
        {
            "resources": [
                {"name": n.removesuffix("s"), "collection": n, "links": links[n]} for n in names
            ]
        }
    )


def _interface(
    action: Callable[[Transaction, Router, InterfaceRequest], routers.Interface], name: str
) -> Route:
    async def handler(request: Request) -> Response:
        id, document = request.path_params["id"], await body.read(request)

        def work(tx: Transaction) -> dict[str, object]:
            router = tx.session.require(Router, id)
            return action(tx, router, interface_request(document)).shown()

        return JSONResponse(await api_of(request).write(request, work))

    return Route(f"{BASE}/routers/{{id}}/{name}", handler, methods=["PUT"])


def _addresses(
    action: Callable[[Transaction, AddressGroup, tuple[str, ...]], AddressGroup],
    read: Converter,
    name: str,
) -> Route:
    table = pool_tables.ADDRESS_GROUP

    async def handler(request: Request) -> Response:
        id, document = request.path_params["id"], await body.read(request)

        def work(tx: Transaction) -> Json:
            group = access.require(tx, AddressGroup, id)
            access.check_change(tx, group)
            addresses = read("addresses", member(document, "addresses"))
            return {table.kind: one_shown(tx, action(tx, group, addresses), table)}

        return JSONResponse(await api_of(request).write(request, work))

    return Route(f"{BASE}/{table.path}/{{id}}/{name}", handler, methods=["PUT"])


def _served(tx: Transaction, kind: str, agent_id: str) -> list[str]:
    agent = tx.session.require(Agent, agent_id)
    return [b.resource_id for b in tx.session.find(Binding, kind=kind, agent_id=agent.id)]


async def networks_of_agent(request: Request) -> Response:
    """GET /agents/{id}/dhcp-networks."""

    def work(tx: Transaction) -> list[Json]:
        ids = _served(tx, scheduling.DHCP, request.path_params["id"])
        return shown(tx, tx.session.find(Network, id=ids), NETWORK, asked_fields(request))

    return JSONResponse({"networks": await api_of(request).read(request, work)})


async def routers_of_agent(request: Request) -> Response:
    """GET /agents/{id}/l3-routers."""

    def work(tx: Transaction) -> list[Json]:
        ids = _served(tx, scheduling.L3, request.path_params["id"])
        return shown(tx, tx.session.find(Router, id=ids), ROUTER, asked_fields(request))

    return JSONResponse({"routers": await api_of(request).read(request, work)})


def _agents_of(tx: Transaction, kind: str, resource_id: str) -> list[Json]:
    ids = [b.agent_id for b in scheduling.bindings_of(tx, kind, resource_id)]
    return shown(tx, tx.session.find(Agent, id=ids), AGENT, ALL)


async def agents_of_network(request: Request) -> Response:
    """GET /networks/{id}/dhcp-agents."""

    def work(tx: Transaction) -> list[Json]:
        network = tx.session.require(Network, request.path_params["id"])
        return _agents_of(tx, scheduling.DHCP, network.id)

    return JSONResponse({"agents": await api_of(request).read(request, work)})


async def agents_of_router(request: Request) -> Response:
    """GET /routers/{id}/l3-agents."""

    def work(tx: Transaction) -> list[Json]:
        router = tx.session.require(Router, request.path_params["id"])
        return _agents_of(tx, scheduling.L3, router.id)

    return JSONResponse({"agents": await api_of(request).read(request, work)})


def _id_in(document: object, name: str) -> str:
    id: str = to.identifier(name, member(document, name))
    return id


async def add_network(request: Request) -> Response:
    """POST /agents/{id}/dhcp-networks {"network_id"}."""
    network_id = _id_in(await body.read(request), "network_id")

    def work(tx: Transaction) -> None:
        agent = tx.session.require(Agent, request.path_params["id"])
        scheduling.bind_network(tx, tx.session.require(Network, network_id), agent)

    await api_of(request).write(request, work)
    return JSONResponse(None, status_code=201)


async def remove_network(request: Request) -> Response:
    """DELETE /agents/{id}/dhcp-networks/{network_id}."""

    def work(tx: Transaction) -> None:
        agent = tx.session.require(Agent, request.path_params["id"])
        network = tx.session.require(Network, request.path_params["network_id"])
        scheduling.unbind_network(tx, network, agent)

    await api_of(request).write(request, work)
    return Response(status_code=204)


async def add_router(request: Request) -> Response:
    """POST /agents/{id}/l3-routers {"router_id"}."""
    router_id = _id_in(await body.read(request), "router_id")

    def work(tx: Transaction) -> None:
        agent = tx.session.require(Agent, request.path_params["id"])
        scheduling.bind_router(tx, tx.session.require(Router, router_id), agent)

    await api_of(request).write(request, work)
    return JSONResponse(None, status_code=201)


async def remove_router(request: Request) -> Response:
    """DELETE /agents/{id}/l3-routers/{router_id}."""

    def work(tx: Transaction) -> None:
        agent = tx.session.require(Agent, request.path_params["id"])
        router = tx.session.require(Router, request.path_params["router_id"])
        scheduling.unbind_router(tx, router, agent)

    await api_of(request).write(request, work)
    return Response(status_code=204)


async def list_extensions(_request: Request) -> Response:
    """GET /extensions."""
    return JSONResponse({"extensions": [extensions.shown(a) for a in extensions.EXTENSIONS]})


async def show_extension(request: Request) -> Response:
    """GET /extensions/{alias}."""
    alias = request.path_params["alias"]
    if alias not in extensions.EXTENSIONS:
        raise NotFound("extension", alias)
    return JSONResponse({"extension": extensions.shown(alias)})


async def availability_zones(request: Request) -> Response:
    """GET /availability_zones: those of the agents, by what they serve."""

    def work(tx: Transaction) -> list[Json]:
        found: dict[tuple[str, str], bool] = {}
        for agent in tx.session.find(Agent):
            served = AGENT_SERVES.get(agent.agent_type)
            if served is not None:
                key = (agent.availability_zone, served)
                found[key] = found.get(key, False) or agent.admin_state_up
        return [
            {"name": name, "resource": served, "state": "available" if up else "unavailable"}
            for (name, served), up in sorted(found.items())
        ]

    return JSONResponse({"availability_zones": await api_of(request).read(request, work)})


AGENT_SERVES = {DHCP_AGENT: "network", L3_AGENT: "router"}


def routes() -> list[Route]:
    """All of Neutron's paths."""
    agent = f"{BASE}/agents/{{id}}"
    found = [
        Route("/", versions, methods=["GET"]),
        Route(BASE, resource_list, methods=["GET"]),
        Route(f"{BASE}/", resource_list, methods=["GET"]),
        Route(f"{BASE}/extensions", list_extensions, methods=["GET"]),
        Route(f"{BASE}/extensions/{{alias}}", show_extension, methods=["GET"]),
        Route(f"{BASE}/availability_zones", availability_zones, methods=["GET"]),
        *quotas.routes(),
        Route(f"{agent}/dhcp-networks", networks_of_agent, methods=["GET"]),
        Route(f"{agent}/dhcp-networks", add_network, methods=["POST"]),
        Route(f"{agent}/dhcp-networks/{{network_id}}", remove_network, methods=["DELETE"]),
        Route(f"{agent}/l3-routers", routers_of_agent, methods=["GET"]),
        Route(f"{agent}/l3-routers", add_router, methods=["POST"]),
        Route(f"{agent}/l3-routers/{{router_id}}", remove_router, methods=["DELETE"]),
        Route(f"{BASE}/networks/{{id}}/dhcp-agents", agents_of_network, methods=["GET"]),
        Route(f"{BASE}/routers/{{id}}/l3-agents", agents_of_router, methods=["GET"]),
        _interface(routers.add_interface, "add_router_interface"),
        _interface(routers.remove_interface, "remove_router_interface"),
        _addresses(address_groups.add, pool_tables.ADDRESSES_TO_ADD, "add_addresses"),
        _addresses(address_groups.remove, pool_tables.ADDRESSES_TO_REMOVE, "remove_addresses"),
    ]
    for name, collection in COLLECTIONS.items():
        if name not in OURS:
            found += collection_routes(BASE, collection)
        if collection.table.tagged:
            found += tags.routes(BASE, collection)
    return found
