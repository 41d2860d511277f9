"""Bindings of networks and routers to agents (dhcp_agent_scheduler, l3_agent_scheduler)."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from a9fe.api_tables import converters as to
from a9fe.api_tables.envelope import member
from a9fe.api_tables.neutron_tables import AGENT, NETWORK, ROUTER
from a9fe.api_tables.schemas import NULL, UUID, enclosed_list, members
from a9fe.model.resources import Agent, Binding, Network, Router
from a9fe.operations.agents import scheduling
from a9fe.operations.answers import ALL, shown
from a9fe.operations.transaction import Json, Transaction
from a9fe.server.asgi import (
    NEUTRON,
    Access,
    OperationTable,
    api_of,
    asked_fields,
    example,
    read_body,
    resource_schema,
)

AGENTS = OperationTable(f"{NEUTRON}/agents/{{id}}", chapter="Network: agents")
NETWORKS = OperationTable(f"{NEUTRON}/networks/{{id}}", chapter="Network: networks")
ROUTERS = OperationTable(f"{NEUTRON}/routers/{{id}}", chapter="Network: routers")
_AGENT_LIST = enclosed_list("agents", resource_schema("agents"))


def _resources_of(tx: Transaction, kind: str, agent_id: str) -> list[str]:
    agent = tx.session.require(Agent, agent_id)
    return [b.resource_id for b in tx.session.find(Binding, kind=kind, agent_id=agent.id)]


def _agents_of(tx: Transaction, kind: str, resource_id: str) -> list[Json]:
    ids = [b.agent_id for b in scheduling.bindings_of(tx, kind, resource_id)]
    return shown(tx, tx.session.find(Agent, id=ids), AGENT, ALL)


def _id_in(document: object, name: str) -> str:
    id: str = to.identifier(name, member(document, name))
    return id


@AGENTS.add(
    "GET",
    "/dhcp-networks",
    Access.ADMIN,
    answers={200: enclosed_list("networks", resource_schema("networks"))},
    examples=(example(id="{dhcp_agent}"),),
)
async def list_networks(request: Request) -> Response:
    """List the networks that a DHCP agent serves."""

    def work(tx: Transaction) -> list[Json]:
        ids = _resources_of(tx, scheduling.DHCP, request.path_params["id"])
        return shown(tx, tx.session.find(Network, id=ids), NETWORK, asked_fields(request))

    return JSONResponse({"networks": await api_of(request).read(request, work)})


@AGENTS.add(
    "DELETE",
    "/dhcp-networks/{network_id}",
    Access.ADMIN,
    answers={204: None},
    examples=(example(status=204, id="{dhcp_agent}", network_id="{network}"),),
)
async def unbind_network(request: Request) -> Response:
    """Unbind a network from a DHCP agent."""

    def work(tx: Transaction) -> None:
        agent = tx.session.require(Agent, request.path_params["id"])
        network = tx.session.require(Network, request.path_params["network_id"])
        scheduling.unbind_network(tx, network, agent)

    await api_of(request).write(request, work)
    return Response(status_code=204)


@AGENTS.add(
    "POST",
    "/dhcp-networks",
    Access.ADMIN,
    body=members(network_id=UUID),
    answers={201: NULL},
    examples=(example({"network_id": "{network}"}, 201, id="{dhcp_agent}"),),
)
async def bind_network(request: Request) -> Response:
    """Bind a network to a DHCP agent."""
    network_id = _id_in(await read_body(request), "network_id")

    def work(tx: Transaction) -> None:
        agent = tx.session.require(Agent, request.path_params["id"])
        scheduling.bind_network(tx, tx.session.require(Network, network_id), agent)

    await api_of(request).write(request, work)
    return JSONResponse(None, status_code=201)


@AGENTS.add(
    "GET",
    "/l3-routers",
    Access.ADMIN,
    answers={200: enclosed_list("routers", resource_schema("routers"))},
    examples=(example(id="{l3_agent}"),),
)
async def list_routers(request: Request) -> Response:
    """List the routers that an L3 agent serves."""

    def work(tx: Transaction) -> list[Json]:
        ids = _resources_of(tx, scheduling.L3, request.path_params["id"])
        return shown(tx, tx.session.find(Router, id=ids), ROUTER, asked_fields(request))

    return JSONResponse({"routers": await api_of(request).read(request, work)})


@AGENTS.add(
    "DELETE",
    "/l3-routers/{router_id}",
    Access.ADMIN,
    answers={204: None},
    examples=(example(status=204, id="{l3_agent}", router_id="{router}"),),
)
async def unbind_router(request: Request) -> Response:
    """Unbind a router from an L3 agent."""

    def work(tx: Transaction) -> None:
        agent = tx.session.require(Agent, request.path_params["id"])
        router = tx.session.require(Router, request.path_params["router_id"])
        scheduling.unbind_router(tx, router, agent)

    await api_of(request).write(request, work)
    return Response(status_code=204)


@AGENTS.add(
    "POST",
    "/l3-routers",
    Access.ADMIN,
    body=members(router_id=UUID),
    answers={201: NULL},
    examples=(example({"router_id": "{router}"}, 201, id="{l3_agent}"),),
)
async def bind_router(request: Request) -> Response:
    """Bind a router to an L3 agent."""
    router_id = _id_in(await read_body(request), "router_id")

    def work(tx: Transaction) -> None:
        agent = tx.session.require(Agent, request.path_params["id"])
        scheduling.bind_router(tx, tx.session.require(Router, router_id), agent)

    await api_of(request).write(request, work)
    return JSONResponse(None, status_code=201)


@NETWORKS.add(
    "GET",
    "/dhcp-agents",
    Access.ADMIN,
    answers={200: _AGENT_LIST},
    examples=(example(id="{network}"),),
)
async def list_dhcp_agents(request: Request) -> Response:
    """List the DHCP agents that serve a network."""

    def work(tx: Transaction) -> list[Json]:
        network = tx.session.require(Network, request.path_params["id"])
        return _agents_of(tx, scheduling.DHCP, network.id)

    return JSONResponse({"agents": await api_of(request).read(request, work)})


@ROUTERS.add(
    "GET",
    "/l3-agents",
    Access.ADMIN,
    answers={200: _AGENT_LIST},
    examples=(example(id="{router}"),),
)
async def list_l3_agents(request: Request) -> Response:
    """List the L3 agents that serve a router."""

    def work(tx: Transaction) -> list[Json]:
        router = tx.session.require(Router, request.path_params["id"])
        return _agents_of(tx, scheduling.L3, router.id)

    return JSONResponse({"agents": await api_of(request).read(request, work)})


OPERATIONS = (*AGENTS, *NETWORKS, *ROUTERS)
