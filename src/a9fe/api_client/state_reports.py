"""State reports of agents: that they are alive, and which ports they have wired."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict

import structlog

from a9fe.api_client.agent_client import AgentClient
from a9fe.model.errors import A9feError
from a9fe.model.problems import Problem
from a9fe.runtime.config import Config
from a9fe.runtime.tasks import Backoff, jittered

log = structlog.get_logger()

RETRY = Backoff(first=0.1, ceiling=5.0)  # s; networks are scheduled after the first report
LOOK = 1.0  # s between checks whether the reported process is alive
UNUSUAL = 5  # failures in a row, about 2 s: longer than the server takes to start
Configurations = Mapping[str, str | int | bool]


class StateReporter:
    """Sends the reports of one agent. `start` is true until a report was accepted."""

    def __init__(self, client: AgentClient, agent_type: str, binary: str) -> None:
        """`agent_type` and `binary` as Neutron names them: "L3 agent", "neutron-l3-agent"."""
        self._client = client
        self._agent_type = agent_type
        self._binary = binary
        self._started = False

    async def report(
        self,
        configurations: Configurations,
        *,
        ports_up: Iterable[str] | None = None,
        ports_down: Iterable[str] | None = None,
        problems: Iterable[Problem] | None = None,
    ) -> str:
        """Report once. Return the agent's id. Raises ServerUnreachable or ApiError.

        `problems` are all that there are; None: as in the last report.
        """
        body: dict[str, object] = {
            "agent_type": self._agent_type,
            "binary": self._binary,
            "host": self._client.host,
            "configurations": dict(configurations),
            "start": not self._started,
        }
        for key, ports in (("ports_up", ports_up), ("ports_down", ports_down)):
            if ports is not None:
                body[key] = sorted(ports)
        if problems is not None:
            body["problems"] = [asdict(one) for one in problems]
        answer = await self._client.call("POST", "/a9fe/v1/agents/report", body)
        self._started = True
        return str(answer.get("agent_id", ""))

    async def run(
        self,
        interval: float,
        configurations: Callable[[], Configurations],
        is_alive: Callable[[], bool] = lambda: True,
    ) -> None:
        """Report every `interval` s, sooner after a failure, until cancelled.

        Send nothing while `is_alive` returns false. Failures are logged once.
        """
        failures = 0
        while True:
            if not is_alive():
                await asyncio.sleep(LOOK)
                continue
            try:
                await self.report(configurations())
            except A9feError as error:
                failures += 1
                write = log.warning if failures == UNUSUAL else log.debug
                write("cannot report to the server", reason=str(error))
            else:
                failures = 0
            await asyncio.sleep(jittered(RETRY, failures) if failures else interval)


async def keep_reporting(
    config: Config,
    agent_type: str,
    binary: str,
    is_alive: Callable[[], bool] = lambda: True,
    configurations: Callable[[], Configurations] = dict,
) -> None:
    """Report a process that wires no ports, so that `agent list` shows it, while it is alive."""
    client = AgentClient.of(config)
    try:
        reporter = StateReporter(client, agent_type, binary)
        await reporter.run(config.report_interval, configurations, is_alive)
    finally:
        await client.close()
