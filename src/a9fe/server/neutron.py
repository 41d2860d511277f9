"""Handlers of Neutron's API: resources, router interfaces, schedulers, extensions, versions."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from a9fe.model.errors import InvalidInput, NotFound
from a9fe.model.resources import Agent, Binding, Network, Router
from a9fe.model.rules_scheduling import DHCP_AGENT, L3_AGENT
from a9fe.model.subnet_pools import AddressGroup
from a9fe.server import (
    access,
    address_groups,
    body,
    extensions,
    pool_tables,
    quotas,
    resources,
    routers,
    scheduling,
    tags,
)
from a9fe.server import converters as to
from a9fe.server.api import api_of, query_of
from a9fe.server.call import Call
from a9fe.server.listing import fields_of
from a9fe.server.resources import ALL, COLLECTIONS, OURS, Collection, Json, shown
from a9fe.server.tables import AGENT, NETWORK, ROUTER

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
            request, lambda call: resources.list_all(call, collection, query, url)
        )
        answer: dict[str, object] = {plural: found.items}
        if found.links:
            answer[f"{plural}_links"] = found.links
        return JSONResponse(answer)

    return listed


def _create_handler(collection: Collection) -> Handler:
    async def created(request: Request) -> Response:
        document = await body.read(request)
        made = await api_of(request).write(
            request, lambda call: _create(call, collection, document)
        )
        return JSONResponse(made, status_code=201)

    return created


def _show_handler(collection: Collection) -> Handler:
    async def one(request: Request) -> Response:
        id, fields = request.path_params["id"], _fields(request)

        def work(call: Call) -> Json:
            found = resources.require(call, collection, id)
            return shown(call, [found], collection.table, fields)[0]

        kind = collection.table.kind
        return JSONResponse({kind: await api_of(request).read(request, work)})

    return one


def _update_handler(collection: Collection) -> Handler:
    kind = collection.table.kind

    async def updated(request: Request) -> Response:
        id, constraint = request.path_params["id"], _constraint(request)
        document = body.member(await body.read(request), kind)
        changed = await api_of(request).write(
            request, lambda call: resources.update(call, collection, id, document, constraint)
        )
        return JSONResponse({kind: changed})

    return updated


def _delete_handler(collection: Collection) -> Handler:
    async def deleted(request: Request) -> Response:
        id, constraint = request.path_params["id"], _constraint(request)
        await api_of(request).write(
            request, lambda call: resources.delete(call, collection, id, constraint)
        )
        return Response(status_code=204)

    return deleted


def _fields(request: Request) -> frozenset[str]:
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


def _create(call: Call, collection: Collection, document: object) -> Json:
    """One, or several as one transaction; each of several may stand in an envelope of its own."""
    kind, plural = collection.table.kind, collection.table.plural
    if not isinstance(document, dict) or plural not in document:
        return {kind: resources.create(call, collection, body.member(document, kind))}
    items = body.member(document, plural)
    if not isinstance(items, list) or not 0 < len(items) <= BULK_MAX:
        raise InvalidInput(plural, items, f"a list of 1 to {BULK_MAX}")
    inner = [
        item[kind] if isinstance(item, dict) and item.keys() == {kind} else item for item in items
    ]
    return {plural: [resources.create(call, collection, item) for item in inner]}


def _interface(action: Callable[[Call, Router, object], routers.Interface], name: str) -> Route:
    async def handler(request: Request) -> Response:
        id, document = request.path_params["id"], await body.read(request)

        def work(call: Call) -> dict[str, object]:
            return action(call, call.session.require(Router, id), document).shown()

        return JSONResponse(await api_of(request).write(request, work))

    return Route(f"{BASE}/routers/{{id}}/{name}", handler, methods=["PUT"])


def _addresses(action: Callable[[Call, Any, object], Any], name: str) -> Route:
    table = pool_tables.ADDRESS_GROUP

    async def handler(request: Request) -> Response:
        id, document = request.path_params["id"], await body.read(request)

        def work(call: Call) -> Json:
            group = access.require(call, AddressGroup, id)
            return {table.kind: resources.one_shown(call, action(call, group, document), table)}

        return JSONResponse(await api_of(request).write(request, work))

    return Route(f"{BASE}/{table.path}/{{id}}/{name}", handler, methods=["PUT"])


def _served(call: Call, kind: str, agent_id: str) -> list[str]:
    agent = call.session.require(Agent, agent_id)
    return [b.resource_id for b in call.session.find(Binding, kind=kind, agent_id=agent.id)]


async def networks_of_agent(request: Request) -> Response:
    """GET /agents/{id}/dhcp-networks."""

    def work(call: Call) -> list[Json]:
        ids = _served(call, scheduling.DHCP, request.path_params["id"])
        return shown(call, call.session.find(Network, id=ids), NETWORK, _fields(request))

    return JSONResponse({"networks": await api_of(request).read(request, work)})


async def routers_of_agent(request: Request) -> Response:
    """GET /agents/{id}/l3-routers."""

    def work(call: Call) -> list[Json]:
        ids = _served(call, scheduling.L3, request.path_params["id"])
        return shown(call, call.session.find(Router, id=ids), ROUTER, _fields(request))

    return JSONResponse({"routers": await api_of(request).read(request, work)})


def _agents_of(call: Call, kind: str, resource_id: str) -> list[Json]:
    ids = [b.agent_id for b in scheduling.bindings_of(call, kind, resource_id)]
    return shown(call, call.session.find(Agent, id=ids), AGENT, ALL)


async def agents_of_network(request: Request) -> Response:
    """GET /networks/{id}/dhcp-agents."""

    def work(call: Call) -> list[Json]:
        network = call.session.require(Network, request.path_params["id"])
        return _agents_of(call, scheduling.DHCP, network.id)

    return JSONResponse({"agents": await api_of(request).read(request, work)})


async def agents_of_router(request: Request) -> Response:
    """GET /routers/{id}/l3-agents."""

    def work(call: Call) -> list[Json]:
        router = call.session.require(Router, request.path_params["id"])
        return _agents_of(call, scheduling.L3, router.id)

    return JSONResponse({"agents": await api_of(request).read(request, work)})


def _id_in(document: object, name: str) -> str:
    id: str = to.identifier(name, body.member(document, name))
    return id


async def add_network(request: Request) -> Response:
    """POST /agents/{id}/dhcp-networks {"network_id"}."""
    network_id = _id_in(await body.read(request), "network_id")

    def work(call: Call) -> None:
        agent = call.session.require(Agent, request.path_params["id"])
        scheduling.bind_network(call, call.session.require(Network, network_id), agent)

    await api_of(request).write(request, work)
    return JSONResponse(None, status_code=201)


async def remove_network(request: Request) -> Response:
    """DELETE /agents/{id}/dhcp-networks/{network_id}."""

    def work(call: Call) -> None:
        agent = call.session.require(Agent, request.path_params["id"])
        network = call.session.require(Network, request.path_params["network_id"])
        scheduling.unbind_network(call, network, agent)

    await api_of(request).write(request, work)
    return Response(status_code=204)


async def add_router(request: Request) -> Response:
    """POST /agents/{id}/l3-routers {"router_id"}."""
    router_id = _id_in(await body.read(request), "router_id")

    def work(call: Call) -> None:
        agent = call.session.require(Agent, request.path_params["id"])
        scheduling.bind_router(call, call.session.require(Router, router_id), agent)

    await api_of(request).write(request, work)
    return JSONResponse(None, status_code=201)


async def remove_router(request: Request) -> Response:
    """DELETE /agents/{id}/l3-routers/{router_id}."""

    def work(call: Call) -> None:
        agent = call.session.require(Agent, request.path_params["id"])
        router = call.session.require(Router, request.path_params["router_id"])
        scheduling.unbind_router(call, router, agent)

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

    def work(call: Call) -> list[Json]:
        found: dict[tuple[str, str], bool] = {}
        for agent in call.session.find(Agent):
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
        _addresses(address_groups.add, "add_addresses"),
        _addresses(address_groups.remove, "remove_addresses"),
    ]
    for name, collection in COLLECTIONS.items():
        if name not in OURS:
            found += collection_routes(BASE, collection)
        if collection.table.tagged:
            found += tags.routes(BASE, collection)
    return found
