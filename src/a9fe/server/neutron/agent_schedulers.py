"""Bindings of networks and routers to agents (dhcp_agent_scheduler, l3_agent_scheduler)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from a9fe.api_tables import converters as to
from a9fe.api_tables.attributes import AttributeTable
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
    Example,
    Operation,
    OperationTable,
    api_of,
    asked_fields,
    example,
    read_body,
    resource_schema,
)

R = TypeVar("R", Network, Router)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduler(Generic[R]):
    """A kind of agent and the resources that are bound to its agents.

    `kind` is the kind of the bindings, `agent` the agent's name with its article in summaries.
    `served` and `serving` are the last part of the two paths. `example` is the variable with an
    agent's id in examples.
    """

    kind: str
    resource: type[R]
    table: AttributeTable
    agent: str
    served: str
    serving: str
    example: str
    bind: Callable[[Transaction, R, Agent], None]
    unbind: Callable[[Transaction, R, Agent], None]


DHCP = Scheduler(
    kind=scheduling.DHCP,
    resource=Network,
    table=NETWORK,
    agent="a DHCP agent",
    served="/dhcp-networks",
    serving="/dhcp-agents",
    example="{dhcp_agent}",
    bind=scheduling.bind_network,
    unbind=scheduling.unbind_network,
)
L3 = Scheduler(
    kind=scheduling.L3,
    resource=Router,
    table=ROUTER,
    agent="an L3 agent",
    served="/l3-routers",
    serving="/l3-agents",
    example="{l3_agent}",
    bind=scheduling.bind_router,
    unbind=scheduling.unbind_router,
)


def _of_agents(scheduler: Scheduler[R]) -> Iterator[Operation]:
    """Yield the operations on the resources that an agent serves."""
    rows = OperationTable(f"{NEUTRON}/agents/{{id}}", chapter="Network: agents")
    name, plural = scheduler.table.kind, scheduler.table.plural
    id_name = f"{name}_id"

    @rows.add(
        "GET",
        scheduler.served,
        Access.ADMIN,
        summary=f"List the {plural} that {scheduler.agent} serves",
        answers={200: enclosed_list(plural, resource_schema(plural))},
        examples=(example(id=scheduler.example),),
    )
    async def list_served(request: Request) -> Response:
        def work(tx: Transaction) -> list[Json]:
            agent = tx.session.require(Agent, request.path_params["id"])
            bindings = tx.session.find(Binding, kind=scheduler.kind, agent_id=agent.id)
            found = tx.session.find(scheduler.resource, id=[b.resource_id for b in bindings])
            return shown(tx, found, scheduler.table, asked_fields(request))

        return JSONResponse({plural: await api_of(request).read(request, work)})

    @rows.add(
        "DELETE",
        f"{scheduler.served}/{{{id_name}}}",
        Access.ADMIN,
        summary=f"Unbind a {name} from {scheduler.agent}",
        answers={204: None},
        examples=(Example(status=204, values={"id": scheduler.example, id_name: f"{{{name}}}"}),),
    )
    async def unbind(request: Request) -> Response:
        def work(tx: Transaction) -> None:
            agent = tx.session.require(Agent, request.path_params["id"])
            resource = tx.session.require(scheduler.resource, request.path_params[id_name])
            scheduler.unbind(tx, resource, agent)

        await api_of(request).write(request, work)
        return Response(status_code=204)

    @rows.add(
        "POST",
        scheduler.served,
        Access.ADMIN,
        summary=f"Bind a {name} to {scheduler.agent}",
        body=members((), **{id_name: UUID}),
        answers={201: NULL},
        examples=(example({id_name: f"{{{name}}}"}, 201, id=scheduler.example),),
    )
    async def bind(request: Request) -> Response:
        id: str = to.identifier(id_name, member(await read_body(request), id_name))

        def work(tx: Transaction) -> None:
            agent = tx.session.require(Agent, request.path_params["id"])
            scheduler.bind(tx, tx.session.require(scheduler.resource, id), agent)

        await api_of(request).write(request, work)
        return JSONResponse(None, status_code=201)

    yield from rows


def _of_resources(scheduler: Scheduler[R]) -> Iterator[Operation]:
    """Yield the operation on the agents that serve a resource."""
    path, name = scheduler.table.path, scheduler.table.kind
    rows = OperationTable(f"{NEUTRON}/{path}/{{id}}", chapter=f"Network: {path}")
    agents = scheduler.agent.partition(" ")[2] + "s"

    @rows.add(
        "GET",
        scheduler.serving,
        Access.ADMIN,
        summary=f"List the {agents} that serve a {name}",
        answers={200: enclosed_list("agents", resource_schema("agents"))},
        examples=(example(id=f"{{{name}}}"),),
    )
    async def list_serving(request: Request) -> Response:
        def work(tx: Transaction) -> list[Json]:
            resource = tx.session.require(scheduler.resource, request.path_params["id"])
            bindings = scheduling.bindings_of(tx, scheduler.kind, resource.id)
            found = tx.session.find(Agent, id=[b.agent_id for b in bindings])
            return shown(tx, found, AGENT, ALL)

        return JSONResponse({"agents": await api_of(request).read(request, work)})

    yield from rows


OPERATIONS = (
    *_of_agents(DHCP),
    *_of_agents(L3),
    *_of_resources(DHCP),
    *_of_resources(L3),
)
