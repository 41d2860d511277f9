"""Discovery of Neutron's API: its versions, resources, extensions and availability zones."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from a9fe.api_tables.schemas import OBJECT
from a9fe.model.errors import NotFound
from a9fe.model.resources import Agent
from a9fe.model.rules.scheduling import DHCP_AGENT, L3_AGENT
from a9fe.operations.collections import COLLECTIONS, OURS
from a9fe.operations.transaction import Json, Transaction
from a9fe.server.asgi import NEUTRON, Access, OperationTable, api_of, example, root_of
from a9fe.server.neutron import extensions

ABOUT = OperationTable("", chapter="About the server")
EXTENSIONS = OperationTable(f"{NEUTRON}/extensions", chapter="Network: extensions")
_SERVED_BY = {DHCP_AGENT: "network", L3_AGENT: "router"}


@ABOUT.add("GET", "/", Access.ANYONE, answers={200: OBJECT}, can_fail=False, examples=(example(),))
async def show_versions(request: Request) -> Response:
    """List the versions of the network API."""
    link = {"href": f"{root_of(request)}{NEUTRON}/", "rel": "self"}
    version = {"id": "v2.0", "status": "CURRENT", "links": [link]}
    return JSONResponse({"versions": [version]})


@ABOUT.add(
    "GET", NEUTRON, Access.PROJECT, answers={200: OBJECT}, can_fail=False, examples=(example(),)
)
@ABOUT.add(
    "GET",
    f"{NEUTRON}/",
    Access.PROJECT,
    answers={200: OBJECT},
    can_fail=False,
    examples=(example(),),
)
async def list_resources(request: Request) -> Response:
    """List the resources of the network API."""
    root = root_of(request)
    names = [n for n in COLLECTIONS if n not in OURS]
    path = {n: COLLECTIONS[n].table.path for n in names}
    links = {n: [{"href": f"{root}{NEUTRON}/{path[n]}", "rel": "self"}] for n in names}
    return JSONResponse(
        {
            "resources": [
                {"name": n.removesuffix("s"), "collection": n, "links": links[n]} for n in names
            ]
        }
    )


@ABOUT.add(
    "GET",
    f"{NEUTRON}/availability_zones",
    Access.PROJECT,
    answers={200: OBJECT},
    examples=(example(),),
)
async def list_availability_zones(request: Request) -> Response:
    """List the availability zones of the agents.

    A zone is available if an agent in it, of the type that serves the resource, is enabled.
    """

    def work(tx: Transaction) -> list[Json]:
        found: dict[tuple[str, str], bool] = {}
        for agent in tx.session.find(Agent):
            served = _SERVED_BY.get(agent.agent_type)
            if served is not None:
                key = (agent.availability_zone, served)
                found[key] = found.get(key, False) or agent.admin_state_up
        return [
            {"name": name, "resource": served, "state": "available" if up else "unavailable"}
            for (name, served), up in sorted(found.items())
        ]

    return JSONResponse({"availability_zones": await api_of(request).read(request, work)})


@EXTENSIONS.add("GET", "", Access.PROJECT, answers={200: OBJECT}, examples=(example(),))
async def list_extensions(_request: Request) -> Response:
    """List the extensions of the network API."""
    return JSONResponse({"extensions": [extensions.shown(a) for a in extensions.EXTENSIONS]})


@EXTENSIONS.add(
    "GET", "/{alias}", Access.PROJECT, answers={200: OBJECT}, examples=(example(alias="router"),)
)
async def show_extension(request: Request) -> Response:
    """Show an extension of the network API."""
    alias = request.path_params["alias"]
    if alias not in extensions.EXTENSIONS:
        raise NotFound("extension", alias)
    return JSONResponse({"extension": extensions.shown(alias)})


OPERATIONS = (*ABOUT, *EXTENSIONS)
