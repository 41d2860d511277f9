"""Reports to the server which ports are wired (ACTIVE) and which are not (DOWN)."""

import asyncio
from collections.abc import Callable, Iterable, Set

import structlog

from a9fe.api_client.errors import ApiError
from a9fe.api_client.state_reports import Configurations, StateReporter
from a9fe.host_agent.converge import Outcome
from a9fe.model.errors import A9feError
from a9fe.model.resources import Port
from a9fe.plan import port_status
from a9fe.plan.problems import ports_left_out
from a9fe.runtime.tasks import Backoff, jittered

log = structlog.get_logger()

RETRY = Backoff(first=0.2, ceiling=10.0)


def port_states(
    ports: Iterable[Port], outcome: Outcome, unrouted: Set[str] = frozenset()
) -> port_status.PortStates:
    """Return which of the ports a pass found or made up or down (port_status.Wiring)."""
    failed = outcome.failures.keys()
    host = port_status.Wiring(
        devices=port_status.wired(outcome.desired, outcome.observed, failed),
        failed=failed,
        left_out=ports_left_out(outcome.desired),
        unrouted=unrouted,
    )
    return port_status.states(ports, host)


class PortReports:
    """Sends port states in a task of its own, so that a slow server delays no pass.

    A state is sent until the server takes or refuses it, or a later pass replaces it. Ports
    without a host are sent separately: a token bound to a host may not report them.
    """

    def __init__(
        self, reporter: StateReporter, configurations: Callable[[], Configurations]
    ) -> None:
        """`configurations` are sent with every report."""
        self._reporter = reporter
        self._configurations = configurations
        self._waiting: tuple[dict[str, bool], dict[str, bool]] = ({}, {})  # up or not, by port id
        self._news = asyncio.Event()

    def put(self, *states: port_status.PortStates) -> None:
        """Queue states: those of ports with a host, then those of ports without."""
        for waiting, new in zip(self._waiting, states, strict=False):
            waiting.update(dict.fromkeys(new.up, True) | dict.fromkeys(new.down, False))
        if any(self._waiting):
            self._news.set()

    async def run(self) -> None:
        """Send until cancelled."""
        failures = 0
        while True:
            await self._news.wait()
            self._news.clear()
            sent = [await self._send(waiting) for waiting in self._waiting]
            failures = 0 if all(sent) else failures + 1
            if failures:
                await asyncio.sleep(jittered(RETRY, failures))
                self._news.set()

    async def _send(self, waiting: dict[str, bool]) -> bool:
        """Send what waits. Return whether the server took or refused it."""
        states = dict(waiting)
        if not states:
            return True
        up = [port for port, is_up in states.items() if is_up]
        try:
            await self._reporter.report(
                self._configurations(), ports_up=up, ports_down=states.keys() - set(up)
            )
        except A9feError as error:
            log.debug("ports not reported", reason=str(error))
            if not isinstance(error, ApiError) or error.status >= 500:
                return False
        for port, is_up in states.items():
            if waiting.get(port) is is_up:
                del waiting[port]
        return True
