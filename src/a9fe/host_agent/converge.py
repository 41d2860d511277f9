"""One pass over a host, or over some parts of it: observe, and apply the difference to the plan.

A pass starts from what the kernel shows, so a kill at any moment, and any order of changes, end in
the same host. The difference also removes what has this installation's mark and is not planned.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

from a9fe.model.errors import A9feError
from a9fe.plan import parts
from a9fe.plan.diff import operations
from a9fe.plan.filters import admission
from a9fe.plan.host import ANY_FILTER, HostPlan, PortSecurity
from a9fe.plan.operations import Operation, is_spoilt, scope
from a9fe.plan.parts import Look, Part

Plans = Mapping[Part, HostPlan]

WAITING = 8  # operations that wait for another process at once


class FiltersUnknown(A9feError):
    """The loaded filters are not those that this process knows: a whole pass is due."""


class Host(Protocol):
    """The kernel of this host (a9fe.linux.host). Called in a thread, one call at a time."""

    def observe(self, owner: str, look: Look | None = None, /) -> HostPlan:
        """Return all objects with names of the agent ("l3" or "dhcp"), and every bridge.

        With `look` only those objects; their `port_security` is None if it is not known.
        """
        ...

    def named(self, owner: str, /) -> frozenset[str]:
        """Return the names of all namespaces and bridges that may be the agent's."""
        ...

    def recognise(self, filters: PortSecurity, /) -> bool:
        """Whether exactly these filters are loaded; they are then known, so that SetTaps can
        change them.
        """
        ...

    def apply(self, operation: Operation, /) -> Callable[[], None] | None:
        """Do one operation. Raises any exception if it fails.

        The result is None, or what remains to do, which waits for another process: call it.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of a pass. `failures`: reasons by scope (plan.operations.scope).

    `plans` are those of the parts in the pass, and `desired` is their union. `whole`: it was a
    pass over the whole host.
    """

    desired: HostPlan
    observed: HostPlan
    applied: tuple[Operation, ...] = ()
    failures: dict[str, str] = field(default_factory=dict)
    plans: Plans = field(default_factory=dict)
    whole: bool = False

    @property
    def settled(self) -> bool:
        """Whether the host already was as planned."""
        return not self.applied and not self.failures


def converge(
    host: Host,
    owner: str,
    desired: HostPlan,
    stopping: Callable[[], bool] = lambda: False,
    *,
    failed: Mapping[str, str] | None = None,
    plans: Plans | None = None,
) -> Outcome:
    """Make one pass over the whole host; end it early if `stopping`.

    A failure ends the work in its scope (plan.operations.scope) only; `failed` are those of
    planning.
    """
    observed = _recognised(host, desired, host.observe(owner))
    steps = operations(desired, observed)
    applied, failures = _apply(host, steps, {**(failed or {}), **observed.unreadable}, stopping)
    return Outcome(
        desired=desired,
        observed=observed,
        applied=applied,
        failures=failures,
        plans=plans or {},
        whole=True,
    )


def converge_parts(
    host: Host,
    owner: str,
    plans: Plans,
    former: Plans,
    stopping: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Make one pass over some parts; as `converge`. O(objects of these parts).

    `former` are their plans of the last pass. Raises FiltersUnknown before it changes anything.
    """
    desired = parts.union(plans.values(), parts.NONE[owner])
    observed = host.observe(owner, parts.look(owner, plans, former))
    if observed.port_security is None and desired.port_security != ANY_FILTER:
        raise FiltersUnknown("the loaded filters are not those that this process knows")
    steps = operations(desired, observed, of_parts=True)
    applied, failures = _apply(host, steps, observed.unreadable, stopping)
    return Outcome(
        desired=desired, observed=observed, applied=applied, failures=failures, plans=plans
    )


def _apply(
    host: Host,
    steps: tuple[Operation, ...],
    failed: Mapping[str, str],
    stopping: Callable[[], bool],
) -> tuple[tuple[Operation, ...], dict[str, str]]:
    work = _Work(host, failed)
    for operation in steps:
        if stopping():
            break
        if not is_spoilt(operation, work.failures):
            work.apply(operation)
    work.end()
    return tuple(work.applied), work.failures


class _Work:
    """The operations of a pass that are done, and the reasons why others failed, by scope.

    Operations wait for other processes together: nothing depends on one that waits.
    """

    def __init__(self, host: Host, failed: Mapping[str, str]) -> None:
        self._host = host
        self._waiting: deque[tuple[Operation, Callable[[], None]]] = deque()
        self.applied: list[Operation] = []
        self.failures = dict(failed)

    def apply(self, operation: Operation) -> None:
        with self._noting(operation):
            rest = self._host.apply(operation)
            if rest is None:
                self.applied.append(operation)
            else:
                self._waiting.append((operation, rest))
        self.end(WAITING)

    def end(self, left: int = 0) -> None:
        """End what waits, the oldest first, until at most `left` operations wait."""
        while len(self._waiting) > left:
            operation, rest = self._waiting.popleft()
            with self._noting(operation):
                rest()
                self.applied.append(operation)

    @contextmanager
    def _noting(self, operation: Operation) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - the other scopes are served, whatever it is
            self.failures[scope(operation)] = f"{type(operation).__name__}: {reason_of(error)}"


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
