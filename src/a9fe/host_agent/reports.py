"""What an agent reports after its passes: states of ports, problems with their reasons, and the
events of ports to the operator's hooks.
"""

from collections.abc import Callable

from a9fe.api_client.state_reports import Configurations, StateReporter
from a9fe.host_agent.converge import Outcome
from a9fe.host_agent.hooks import Hooks
from a9fe.host_agent.port_events import PortEvents
from a9fe.host_agent.port_reports import PortReports, port_states
from a9fe.host_agent.problem_reports import ProblemReports
from a9fe.host_agent.role import Role, Tasks
from a9fe.plan import port_status
from a9fe.plan.host import HostPlan
from a9fe.plan.model_view import ModelView
from a9fe.plan.parts import Part
from a9fe.plan.problems import ByPart, joined, problems


class Reports:
    """Sends the reports of one agent in tasks of their own, so that no pass waits for them."""

    def __init__(
        self,
        role: Role,
        model: ModelView,
        reporter: StateReporter,
        configurations: Callable[[], Configurations],
        hooks: Hooks,
    ) -> None:
        """Send nothing, and run no hook, before a pass. `configurations` are sent with every
        report.
        """
        self._hooks, self._events = hooks, PortEvents()
        self._role, self._model, self._reporter = role, model, reporter
        self._configurations = configurations
        self._ports = PortReports(reporter, configurations)
        self._problems = ProblemReports(reporter, configurations)

    def passed(self, outcome: Outcome, more: ByPart) -> None:
        """Report what a pass found and could not build, and `more` problems. O(ports of its
        parts).
        """
        role, model = self._role, self._model
        by_part = {part: tuple(role.ports(model, part)) for part in outcome.plans}
        ports = tuple(port for found in by_part.values() for port in found)
        unrouted = frozenset(id for part in by_part for id in role.unrouted(model, part))
        states = port_states(ports, outcome, unrouted)
        self._ports.put(*port_status.by_binding(states, ports))
        failed = problems(outcome.failures, outcome.desired, by_part)
        self._problems.put(joined(failed, more), None if outcome.whole else by_part)
        self._hooks.put(self._events.passed(by_part, states, whole=outcome.whole))

    def failed(self, reason: str, part: Part | None) -> None:
        """Report that a part could not be planned or observed; None: the whole host."""
        if part is None:
            self._problems.put(problems({"host": reason}, HostPlan()), ())
        else:
            scope = part.namespace(self._role.owner) or part.bridge or str(part)
            self._problems.put(problems({scope: reason}, HostPlan(), (part,)), (part,))

    def tasks(self, interval: float) -> Tasks:
        """The tasks that send; a heartbeat every `interval` seconds."""
        return {
            "heartbeat": lambda: self._reporter.run(interval, self._configurations),
            "ports": self._ports.run,
            "problems": self._problems.run,
            "hooks": self._hooks.run,
        }
