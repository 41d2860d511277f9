"""The report that an agent sends with each heartbeat (POST /a9fe/v1/agents/report)."""

from dataclasses import dataclass

from a9fe.api_tables import converters as to
from a9fe.api_tables import schemas
from a9fe.model.errors import InvalidInput
from a9fe.model.problems import AGENT, PROBLEM_KINDS, PROBLEMS_MAX, REASON_MAX, Problem

PORTS_MAX = 10_000  # ports of one report
_NAME = to.header_text(minimum=1)
_PORTS = to.list_of(to.identifier, PORTS_MAX)


def _identifier_or_none(field: str, value: object) -> str:
    return "" if value == "" else to.identifier(field, value)


schemas.described(_identifier_or_none, {"type": "string", "pattern": "^([0-9A-Fa-f-]{36})?$"})
_PROBLEM: dict[str, to.Converter] = {
    "kind": to.choice(*PROBLEM_KINDS),
    "id": _identifier_or_none,
    "reason": to.one_line(REASON_MAX, minimum=1),
}


def _problem(field: str, value: object) -> Problem:
    """Read a problem. Its id is "" if the kind is "agent", else a resource's id."""
    given = to.only_members(field, value, _PROBLEM)
    found = {name: read(f"{field}.{name}", given[name]) for name, read in _PROBLEM.items()}
    if (found["kind"] == AGENT) != (found["id"] == ""):
        raise InvalidInput(f"{field}.id", found["id"], 'a resource\'s id; "" for kind agent')
    return Problem(**found)


schemas.described(
    _problem, schemas.members((), **{n: schemas.taken_by(r) for n, r in _PROBLEM.items()})
)
PROBLEMS = to.list_of(_problem, PROBLEMS_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentReport:
    """What an agent reports. `start`: its first report since it started.

    `ports_up` and `ports_down` are ids of ports whose status changed. `problems` are all that
    the agent has now; None: the same as in its last report.
    """

    agent_type: str
    binary: str
    host: str
    configurations: dict[str, str | int | bool]
    start: bool
    ports_up: tuple[str, ...]
    ports_down: tuple[str, ...]
    problems: tuple[Problem, ...] | None = None


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
        problems=_problems(document.get("problems")),
    )


def _problems(value: object) -> tuple[Problem, ...] | None:
    """Read the problems, one for each resource."""
    if value is None:
        return None
    found: tuple[Problem, ...] = PROBLEMS("problems", value)
    return tuple({(one.kind, one.id): one for one in found}.values())
