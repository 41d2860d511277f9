"""The report that an agent sends with each heartbeat (POST /a9fe/v1/agents/report)."""

from dataclasses import dataclass

from a9fe.api_tables import converters as to
from a9fe.model.errors import InvalidInput

PORTS_MAX = 10_000  # ports of one report
_NAME = to.header_text(minimum=1)
_PORTS = to.list_of(to.identifier, PORTS_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentReport:
    """What an agent reports. `start`: its first report since it started.

    `ports_up` and `ports_down` are ids of ports whose status changed.
    """

    agent_type: str
    binary: str
    host: str
    configurations: dict[str, str | int | bool]
    start: bool
    ports_up: tuple[str, ...]
    ports_down: tuple[str, ...]


def read_report(document: object) -> AgentReport:
    """Read the body of a report. Raises InvalidInput."""
    if not isinstance(document, dict):
        raise InvalidInput("body", document, "an object")
    return AgentReport(
        start=to.boolean("start", document.get("start", False)),
        agent_type=_NAME("agent_type", document.get("agent_type")),
        binary=_NAME("binary", document.get("binary")),
        host=_NAME("host", document.get("host")),
        configurations=to.simple_map("configurations", document.get("configurations", {})),
        ports_up=_PORTS("ports_up", document.get("ports_up") or []),
        ports_down=_PORTS("ports_down", document.get("ports_down") or []),
    )
