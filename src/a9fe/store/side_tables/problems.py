"""Problems that agents report, and the hosts of wired ports. They are not in the change log."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from a9fe.model.problems import AGENT, Problem, ReportedProblem
from a9fe.store.schema.problem_tables import problems, wired_ports
from a9fe.store.schema.queries import IN_CHUNK
from a9fe.store.schema.tables import agents

_SHOWN = select(problems, agents.c.agent_type, agents.c.host).join(
    agents, agents.c.id == problems.c.agent_id
)


class Problems:
    """Read and write problems inside a transaction."""

    def __init__(self, connection: Connection) -> None:
        """Use the transaction of `connection`."""
        self._connection = connection

    def of(self, resource_ids: Collection[str]) -> list[ReportedProblem]:
        """Return the problems of resources (or agents, by their ids), by host and agent type."""
        wanted = sorted(resource_ids)
        found: list[ReportedProblem] = []
        for start in range(0, len(wanted), IN_CHUNK):
            query = _SHOWN.where(problems.c.resource_id.in_(wanted[start : start + IN_CHUNK]))
            found += [_reported(row) for row in self._connection.execute(query)]
        return sorted(found, key=lambda one: (one.host, one.agent_type, one.problem))

    def of_agent(self, agent_id: str) -> dict[Problem, str]:
        """Return what an agent reported last, each with its `since`."""
        query = select(problems).where(problems.c.agent_id == agent_id)
        return {_problem(row): row.since for row in self._connection.execute(query)}

    def replace(self, agent_id: str, gone: Iterable[Problem], new: Mapping[Problem, str]) -> None:
        """Delete the problems `gone` of an agent, and add `new` ones, each with its `since`."""
        for one in gone:
            at = (problems.c.kind == one.kind) & (problems.c.resource_id == (one.id or agent_id))
            self._connection.execute(delete(problems).where(problems.c.agent_id == agent_id, at))
        rows = [
            {
                "agent_id": agent_id,
                "kind": one.kind,
                "resource_id": one.id or agent_id,
                "reason": one.reason,
                "since": since,
            }
            for one, since in new.items()
        ]
        if rows:
            self._connection.execute(insert(problems), rows)

    def forget(self, agent_id: str, resource_id: str) -> None:
        """Delete an agent's problem of a resource that it no longer serves."""
        at = (problems.c.agent_id == agent_id) & (problems.c.resource_id == resource_id)
        self._connection.execute(delete(problems).where(at))

    def wired_on(self, port_ids: Collection[str]) -> Mapping[str, str]:
        """Return the host that wired each port, for ports without a binding to a host."""
        query = select(wired_ports).where(wired_ports.c.port_id.in_(sorted(port_ids)))
        return {row.port_id: row.host for row in self._connection.execute(query)}

    def set_wired_on(self, port_id: str, host: str) -> None:
        """Record the host that wired a port; "" for none."""
        at = wired_ports.c.port_id == port_id
        self._connection.execute(delete(wired_ports).where(at))
        if host:
            self._connection.execute(insert(wired_ports).values(port_id=port_id, host=host))


def _problem(row: Any) -> Problem:  # noqa: ANN401 - a row of SQLAlchemy's
    id = "" if row.kind == AGENT else row.resource_id
    return Problem(kind=row.kind, id=id, reason=row.reason)


def _reported(row: Any) -> ReportedProblem:  # noqa: ANN401 - a row of SQLAlchemy's
    return ReportedProblem(
        problem=_problem(row),
        agent_id=row.agent_id,
        agent_type=row.agent_type,
        host=row.host,
        since=row.since,
    )
