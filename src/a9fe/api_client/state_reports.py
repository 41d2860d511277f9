"""State reports of agents: that they are alive, and which ports they have wired."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import httpx
import structlog

from a9fe.api_client.agent_client import AgentClient
from a9fe.model.errors import A9feError
from a9fe.runtime.config import Config
from a9fe.runtime.tasks import Backoff, jittered

log = structlog.get_logger()

TIMEOUT = 10.0  # s: well below agent_down_time
RETRY = Backoff(first=0.1, ceiling=5.0)  # s; networks are scheduled after the first report
LOOK = 1.0  # s between checks whether the reported process is alive
UNUSUAL = 5  # failures in a row, about 2 s: longer than the server takes to start
Configurations = Mapping[str, str | int | bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentIdentity:
    """The reporting agent as Neutron names it: "L3 agent", "neutron-l3-agent", a host name."""

    agent_type: str
    binary: str
    host: str


class StateReporter:
    """Sends the reports of one agent. `start` is true until a report was accepted."""

    def __init__(
        self,
        url: str,
        identity: AgentIdentity,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        token: str = "",
    ) -> None:
        """`url` as in the option server_url; `token`: an API token for agents of this host."""
        self._client = AgentClient(url, identity.host, transport, token=token, timeout=TIMEOUT)
        self._identity = identity
        self._started = False

    async def report(
        self,
        configurations: Configurations,
        *,
        ports_up: Iterable[str] | None = None,
        ports_down: Iterable[str] | None = None,
    ) -> str:
        """Report once. Return the agent's id. Raises ServerUnreachable or ApiError."""
        body: dict[str, object] = {
            "agent_type": self._identity.agent_type,
            "binary": self._identity.binary,
            "host": self._identity.host,
            "configurations": dict(configurations),
            "start": not self._started,
        }
        for key, ports in (("ports_up", ports_up), ("ports_down", ports_down)):
            if ports is not None:
                body[key] = sorted(ports)
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

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


async def keep_reporting(
    config: Config, agent_type: str, binary: str, is_alive: Callable[[], bool] = lambda: True
) -> None:
    """Report a process that wires no ports, so that `agent list` shows it, while it is alive."""
    identity = AgentIdentity(agent_type=agent_type, binary=binary, host=config.host)
    reporter = StateReporter(config.server_url, identity, token=config.auth_token)
    try:
        await reporter.run(config.report_interval, dict, is_alive)
    finally:
        await reporter.close()
