"""The result of a pass, divided among its parts. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from a9fe.host_agent.converge import Outcome
from a9fe.plan.host import HostPlan
from a9fe.plan.operations import Operation, SetIsolation, SetTaps, scope
from a9fe.plan.parts import Part


@dataclass(slots=True)
class Result:
    """What a pass did in one part, and why it failed there: reasons by scope."""

    applied: list[Operation] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)


def divided(owner: str, outcome: Outcome) -> dict[Part | None, Result]:
    """The results by part; None: those of the whole host. O(objects of the pass)."""
    parts = _Names(owner, outcome)
    found: dict[Part | None, Result] = {part: Result() for part in outcome.plans}
    for operation in outcome.applied:
        for part in parts.of_operation(operation):
            found.setdefault(part, Result()).applied.append(operation)
    for where, reason in outcome.failures.items():
        found.setdefault(parts.of_scope(where), Result()).failures[where] = reason
    return found


class _Names:
    """The parts of a pass by the names of their objects."""

    def __init__(self, owner: str, outcome: Outcome) -> None:
        self._parts: dict[str, Part] = {}
        for part, plan in outcome.plans.items():
            names = (part.bridge, part.namespace(owner), *_devices(plan))
            self._parts |= dict.fromkeys(names, part)

    def of_operation(self, operation: Operation) -> Iterable[Part | None]:
        if isinstance(operation, SetTaps):
            return {self._parts.get(tap) for tap in operation.taps}
        if isinstance(operation, SetIsolation):
            return {self.of_scope(operation.bridge)}
        return {self.of_scope(scope(operation))}

    def of_scope(self, where: str) -> Part | None:
        return self._parts.get(where.partition(" ")[0])


def _devices(plan: HostPlan) -> Iterator[str]:
    yield from plan.taps
    for space in plan.namespaces.values():
        yield from (link.outer for link in space.links)
