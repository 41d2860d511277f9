"""The work after a pass, part by part: port states, counts, watched processes. O(its parts)."""

from collections.abc import Callable

from a9fe.host_agent.converge import Outcome
from a9fe.host_agent.reports import Reports
from a9fe.host_agent.role import Role
from a9fe.host_agent.totals import Totals
from a9fe.plan.host import HostPlan
from a9fe.plan.model_view import ModelView

Follow = Callable[[str, str], None]
"""Follows the daemon of a namespace with that directory, "" for none."""


class AfterPass:
    """What an agent does with the outcome of each pass."""

    def __init__(
        self,
        role: Role,
        model: ModelView,
        reports: Reports,
        totals: Totals,
        follow: Follow,
    ) -> None:
        """`reports` send what it found, `totals` count, `follow` watches a daemon."""
        self._role = role
        self._model = model
        self._reports = reports
        self._follow = follow
        self._totals = totals

    def __call__(self, outcome: Outcome) -> None:
        """Do it. Event loop only."""
        role, model = self._role, self._model
        self._reports.passed(outcome, role.after_pass(model, outcome))
        for part, plan in outcome.plans.items():
            self._totals.set(part, role.counts(model, part))
            self._follow(part.namespace(role.owner), _daemon_directory(plan))


def _daemon_directory(plan: HostPlan) -> str:
    found = (space.dnsmasq or space.radvd for space in plan.namespaces.values())
    return next((one.directory for one in found if one is not None), "")
