"""Problems: what keeps an agent from building a resource on its host, with the reason."""

from dataclasses import dataclass

REASON_MAX = 500  # characters
PROBLEMS_MAX = 1000  # of one agent
NETWORK, ROUTER, PORT, AGENT = "network", "router", "port", "agent"
PROBLEM_KINDS = (NETWORK, ROUTER, PORT, AGENT)
"""The kinds of resources that have problems; "agent": what fails on the host as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Problem:
    """A resource that an agent cannot build, and why. `id` is "" for kind "agent"."""

    kind: str
    id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedProblem:
    """A problem with the agent that has it. `since` is the time of the report, ISO 8601 UTC."""

    problem: Problem
    agent_id: str
    agent_type: str
    host: str
    since: str

    @property
    def text(self) -> str:
        """The problem as `show` prints it."""
        return f"{self.problem.reason} ({self.agent_type} on {self.host}, since {self.since})"
