"""GET /a9fe/v1/{networks,routers,ports,agents}/{id}/status: whether agents have put it into
effect, and otherwise why not. Neutron's API has no fields for this.
"""

from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from a9fe.api_tables import converters as to
from a9fe.api_tables.schemas import TEXT, UUID, enclosed, members
from a9fe.operations import access
from a9fe.operations.agents.resource_status import ResourceStatus, status_of
from a9fe.operations.collections import COLLECTIONS, Collection
from a9fe.operations.transaction import Json, Transaction
from a9fe.server.asgi import (
    NATIVE,
    Access,
    Operation,
    OperationTable,
    api_of,
    example,
    last_values,
)

WAIT_MAX = 25  # s, less than clients wait for an answer
_SECONDS = to.integer(0, WAIT_MAX)
_PROBLEM = members((), agent_id=UUID, agent_type=TEXT, host=TEXT, since=TEXT, reason=TEXT)
_STATUS = members(
    (),
    status=TEXT,
    ready={"type": "boolean"},
    status_reason=TEXT,
    problems={"type": "array", "items": _PROBLEM},
)
_EXAMPLES = {
    "networks": "{network}",
    "routers": "{router}",
    "ports": "{port}",
    "agents": "{dhcp_agent}",
}


def _shown(found: ResourceStatus) -> Json:
    return {
        "status": found.status,
        "ready": found.ready,
        "status_reason": found.reason,
        "problems": [
            {
                "agent_id": one.agent_id,
                "agent_type": one.agent_type,
                "host": one.host,
                "since": one.since,
                "reason": one.problem.reason,
            }
            for one in found.problems
        ],
    }


def _operations(plural: str, variable: str) -> Iterator[Operation]:
    collection: Collection = COLLECTIONS[plural]
    kind = collection.table.kind
    rows = OperationTable(f"{NATIVE}/{plural}/{{id}}", chapter=f"a9fe: status of {plural}")
    waits = plural == "ports"

    @rows.add(
        "GET",
        "/status",
        Access.ADMIN if plural == "agents" else Access.PROJECT,
        summary=f"Show the status of {'an' if kind == 'agent' else 'a'} {kind}, and its problems",
        query={"wait": f"Seconds to wait until the port is ACTIVE, at most {WAIT_MAX}"}
        if waits
        else {},
        answers={200: enclosed("status", _STATUS)},
        examples=(example(id=variable, query="wait=0" if waits else ""),),
    )
    async def status(request: Request) -> Response:
        id = request.path_params["id"]

        def work(tx: Transaction) -> ResourceStatus:
            return status_of(tx, access.require(tx, collection.cls, id, kind))

        seconds = _SECONDS("wait", last_values(request).get("wait", 0)) if waits else 0
        found = await api_of(request).read(request, work)
        if seconds and not found.ready:
            await api_of(request).port_watch.active(id, seconds)
            found = await api_of(request).read(request, work)
        return JSONResponse({"status": _shown(found)})

    yield from rows


OPERATIONS = tuple(row for item in _EXAMPLES.items() for row in _operations(*item))
