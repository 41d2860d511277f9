"""POST /a9fe/v1/agents/report: an agent's heartbeat, its ports' status, and its problems."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from a9fe.api_tables import converters as to
from a9fe.api_tables.agent_reports import PROBLEMS, read_report
from a9fe.api_tables.schemas import UUID, enclosed, members, nullable, taken_by, text_of
from a9fe.model.policy import check_reports
from a9fe.operations.agents import agents
from a9fe.server.asgi import NATIVE, Access, OperationTable, api_of, caller_of, example, read_body

REPORTS = OperationTable(f"{NATIVE}/agents/report", chapter="About the server")
_IDS = {"type": "array", "items": UUID}
_NAME = text_of(to.NAME_MAX)


@REPORTS.add(
    "POST",
    "",
    Access.AGENT,
    body=members(
        ("configurations", "start", "ports_up", "ports_down", "problems"),
        agent_type=_NAME,
        binary=_NAME,
        host=_NAME,
        configurations=taken_by(to.simple_map),
        start={"type": "boolean"},
        ports_up=_IDS,
        ports_down=_IDS,
        problems=nullable(taken_by(PROBLEMS)),
    ),
    answers={200: enclosed("agent_id", UUID)},
    examples=(
        example(
            {
                "agent_type": "DHCP agent",
                "binary": "neutron-dhcp-agent",
                "host": "node1",
                "start": True,
            },
            save={"dhcp_agent": "agent_id"},
        ),
        example(
            {
                "agent_type": "L3 agent",
                "binary": "neutron-l3-agent",
                "host": "node1",
                "problems": [{"kind": "agent", "id": "", "reason": "nft: no such program"}],
            },
            save={"l3_agent": "agent_id"},
        ),
    ),
)
async def report(request: Request) -> Response:
    """Record an agent's heartbeat, the status of its ports, and its problems."""
    document = await read_body(request)
    if isinstance(document, dict):
        check_reports(caller_of(request), document.get("host"))
    received = read_report(document)
    agent = await api_of(request).write(request, lambda tx: agents.report(tx, received))
    return JSONResponse({"agent_id": agent.id})


OPERATIONS = tuple(REPORTS)
