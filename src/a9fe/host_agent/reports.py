"""What an agent reports after its passes: states of ports, and problems with their reasons."""

from a9fe.api_client.state_reports import Configurations, StateReporter
from a9fe.host_agent.converge import Outcome
from a9fe.host_agent.port_reports import PortReports, port_states
from a9fe.host_agent.problem_reports import ProblemReports
from a9fe.host_agent.role import Role, Tasks
from a9fe.plan import port_status
from a9fe.plan.host import HostPlan
from a9fe.plan.model_view import ModelView
from a9fe.plan.problems import problems


class Reports:
    """Sends the reports of one agent in tasks of their own, so that no pass waits for them."""

    def __init__(self, role: Role, model: ModelView, reporter: StateReporter) -> None:
        """Send nothing before a pass."""
        self._role, self._model, self._reporter = role, model, reporter
        self._ports = PortReports(reporter, self._configurations)
        self._problems = ProblemReports(reporter, self._configurations)

    def passed(self, outcome: Outcome) -> None:
        """Report what a pass over the whole host found and could not build."""
        role, model = self._role, self._model
        parts = tuple(role.parts(model))
        ports = tuple(port for part in parts for port in role.ports(model, part))
        unrouted = frozenset(id for part in parts for id in role.unrouted(model, part))
        states = port_states(ports, outcome, unrouted)
        self._ports.put(*port_status.by_binding(states, ports))
        self._problems.put(problems(outcome.failures, outcome.desired, parts))

    def failed(self, reason: str) -> None:
        """Report that a pass could not plan or observe."""
        self._problems.put(problems({"host": reason}, HostPlan()), ())

    def tasks(self, interval: float) -> Tasks:
        """The tasks that send; a heartbeat every `interval` seconds."""
        return {
            "heartbeat": lambda: self._reporter.run(interval, self._configurations),
            "ports": self._ports.run,
            "problems": self._problems.run,
        }

    def _configurations(self) -> Configurations:
        return self._role.configurations(self._model)
