"""One pass over a host: observe it, and apply the difference to the plan.

A pass starts from what the kernel shows and remembers nothing, so a kill at any moment, and any
order of changes, end in the same host. The difference also removes what has this installation's
mark and is not planned.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from a9fe.model.errors import A9feError
from a9fe.plan.diff import operations
from a9fe.plan.filters import admission
from a9fe.plan.host import HostPlan, PortSecurity
from a9fe.plan.operations import Operation, is_spoilt, scope


class Host(Protocol):
    """The kernel of this host (a9fe.linux.host). Called in a thread, one call at a time."""

    def observe(self, owner: str, /) -> HostPlan:
        """Return all objects with names of the agent ("l3" or "dhcp"), and every bridge."""
        ...

    def recognise(self, filters: PortSecurity, /) -> bool:
        """Whether exactly these filters are loaded; they are then known, so that SetTaps can
        change them.
        """
        ...

    def apply(self, operation: Operation, /) -> None:
        """Do one operation. Raises any exception if it fails."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of a pass. `failures`: reasons by scope (plan.operations.scope)."""

    desired: HostPlan
    observed: HostPlan
    applied: tuple[Operation, ...] = ()
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def settled(self) -> bool:
        """Whether the host already was as planned."""
        return not self.applied and not self.failures


def converge(
    host: Host, owner: str, desired: HostPlan, stopping: Callable[[], bool] = lambda: False
) -> Outcome:
    """Make one pass; end it early if `stopping`.

    A failure ends the work in its scope (plan.operations.scope) only.
    """
    observed = _recognised(host, desired, host.observe(owner))
    applied: list[Operation] = []
    failures: dict[str, str] = {}
    for operation in operations(desired, observed):
        if stopping():
            break
        if is_spoilt(operation, failures):
            continue
        try:
            host.apply(operation)
        except Exception as error:  # noqa: BLE001 - the other scopes are served, whatever it is
            failures[scope(operation)] = f"{type(operation).__name__}: {reason_of(error)}"
        else:
            applied.append(operation)
    return Outcome(desired=desired, observed=observed, applied=tuple(applied), failures=failures)


def _recognised(host: Host, desired: HostPlan, observed: HostPlan) -> HostPlan:
    """The observation without filters that have only the marker of the planned ones."""
    filters = admission.effective(desired, observed)
    if filters is None or filters != observed.port_security or host.recognise(filters):
        return observed
    return replace(observed, port_security=None)


def reason_of(error: Exception) -> str:
    """Return the text of our own and the kernel's errors; of others, with the class."""
    is_plain = isinstance(error, A9feError | OSError)
    return str(error) if is_plain else f"{type(error).__name__}: {error}"
