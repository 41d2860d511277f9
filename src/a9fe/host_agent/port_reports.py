"""Reports to the server which ports are wired (ACTIVE) and which are not (DOWN)."""

import asyncio
from collections.abc import Callable, Iterable, Set

import structlog

from a9fe.api_client.state_reports import Configurations, StateReporter
from a9fe.host_agent.converge import Outcome
from a9fe.model.errors import A9feError
from a9fe.model.resources import Port
from a9fe.plan import port_status
from a9fe.plan.problems import ports_left_out

log = structlog.get_logger()


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

    A failed report is not repeated, because every pass reports what still differs. Ports without a
    host are sent separately, because a token bound to a host may not report them.
    """

    def __init__(
        self, reporter: StateReporter, configurations: Callable[[], Configurations]
    ) -> None:
        """`configurations` are sent with every report."""
        self._reporter = reporter
        self._configurations = configurations
        self._states: tuple[port_status.PortStates, ...] = ()
        self._news = asyncio.Event()

    def put(self, *states: port_status.PortStates) -> None:
        """Queue these states, one report each, in place of states that are not sent yet."""
        self._states = tuple(one for one in states if one.up or one.down)
        if self._states:
            self._news.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            for states in self._states:
                await self._send(states)

    async def _send(self, states: port_status.PortStates) -> None:
        try:
            await self._reporter.report(
                self._configurations(), ports_up=states.up, ports_down=states.down
            )
        except A9feError as error:
            log.debug("ports not reported", reason=str(error))
