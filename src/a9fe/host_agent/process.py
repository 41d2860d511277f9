"""A host's agent as a process: follow the feed, converge the host, report to the server.

The L3 and the DHCP agent are this with another `Role`. Nothing here decides what a host should
look like.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import structlog

from a9fe.api_client.state_reports import AgentIdentity, Configurations, StateReporter
from a9fe.host_agent.converge import Converger, Outcome, Work
from a9fe.linux.host import Host
from a9fe.linux.kernel_events import KernelEvents
from a9fe.linux.listeners.holder_link import HolderLink
from a9fe.linux.listeners.proxy_link import HOLDER_SOCKET, ProxyLink
from a9fe.model.errors import A9feError
from a9fe.model.resources import Port
from a9fe.plan import port_status
from a9fe.plan.host import HostPlan
from a9fe.plan.mark import Mark
from a9fe.plan.model_view import ModelView
from a9fe.replica.feed_follower import connector, follow, open_for
from a9fe.runtime import installation, tasks
from a9fe.runtime.clock import SystemClock
from a9fe.runtime.config import Config

log = structlog.get_logger()

CONTROL_SOCKET = "proxy-control.sock"  # the metadata proxy's, below run_path
DHCP_DIRECTORY = "dhcp"  # below state_path
IPV6_SETTINGS = "/proc/sys/net/ipv6"


def nothing_more(config: Config, proxy: ProxyLink) -> Mapping[str, Callable[[], Awaitable[None]]]:
    """No additional tasks."""
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What differs between the two agents.

    `owner` ("l3", "dhcp") selects its feed, replica and kernel objects. `ports` gives the ports
    whose status it reports, `configurations` the text of `agent show`. `look` is called after
    every pass; `more` are additional tasks by name.
    """

    owner: str
    agent_type: str
    binary: str
    plan: Callable[[ModelView], HostPlan]
    ports: Callable[[ModelView], Iterable[Port]]
    configurations: Callable[[ModelView], Configurations]
    look: Callable[[ModelView, Outcome], None] = lambda _model, _outcome: None
    more: Callable[[Config, ProxyLink], Mapping[str, Callable[[], Awaitable[None]]]] = nothing_more


def dhcp_confs(config: Config) -> str:
    """The directory below which each network's dnsmasq has its own."""
    return os.path.join(os.path.abspath(config.state_path), DHCP_DIRECTORY)


def host_has_ipv6() -> bool:
    """Whether this kernel has IPv6 at all, and so its settings."""
    return os.path.isdir(IPV6_SETTINGS)


async def serve(config: Config, role: Role) -> None:
    """Be that agent until cancelled. Namespaces, DHCP and listeners stay when it ends."""
    clock = SystemClock()
    mark = Mark(installation.ensure(config))
    replica = open_for(config, role.owner)
    reporter = StateReporter(config.server_url, _identity(config, role), token=config.auth_token)
    reports = PortReports(reporter, lambda: role.configurations(replica))
    control = os.path.join(config.run_path, CONTROL_SOCKET)

    def proxy_changed() -> None:
        converger.wake()

    def kernel_changed() -> None:
        converger.look()

    owner = f"{role.owner}_agent"
    proxy = ProxyLink(control, owner, backlog=config.metadata_backlog, changed=proxy_changed)
    holder = HolderLink(os.path.join(config.run_path, HOLDER_SOCKET), owner, proxy)
    events = KernelEvents(role.owner, kernel_changed)

    def passed(outcome: Outcome) -> None:
        reports.put(*port_status.by_binding(states(role, replica, outcome), role.ports(replica)))
        events.follow(dnsmasq_directories(outcome))
        role.look(replica, outcome)

    work = Work(owner=role.owner, plan=lambda: role.plan(replica), report=passed)
    converger = Converger(work, replica, Host(proxy, dhcp_confs(config), mark), clock)
    log.info(
        "ready",
        server=config.server_url,
        host=config.host,
        proxy=control,
        installation=mark.installation,
    )
    feed = connector(config, role.owner)
    try:
        async with asyncio.TaskGroup() as group:
            for name, factory in {
                "feed": lambda: follow(replica, feed, clock),
                "proxy": proxy.run,
                "holder": holder.run,
                "kernel events": events.run,
                "converge": converger.run,
                "heartbeat": lambda: reporter.run(
                    config.report_interval, lambda: role.configurations(replica)
                ),
                "ports": reports.run,
                **role.more(config, proxy),
            }.items():
                group.create_task(tasks.supervise(name, factory))
    finally:
        replica.close()
        await reporter.close()


def dnsmasq_directories(outcome: Outcome) -> Iterator[str]:
    """Counts of planned objects."""
    for plan in outcome.desired.namespaces.values():
        if plan.dnsmasq is not None:
            yield plan.dnsmasq.directory


def states(role: Role, view: ModelView, outcome: Outcome) -> port_status.PortStates:
    """What to report after a pass."""
    failed = outcome.failures.keys()
    devices = port_status.wired(outcome.desired, outcome.observed, failed)
    return port_status.states(role.ports(view), devices, failed)


class PortReports:
    """Sends port states in a task of its own, so that a slow server delays no pass.

    A failed call is not repeated, because every pass reports what still differs. Ports without a
    host are sent separately, because a token bound to a host may not report them.
    """

    def __init__(
        self, reporter: StateReporter, configurations: Callable[[], Configurations]
    ) -> None:
        """`configurations` go along with every report."""
        self._reporter = reporter
        self._configurations = configurations
        self._states: tuple[port_status.PortStates, ...] = ()
        self._news = asyncio.Event()

    def put(self, *states: port_status.PortStates) -> None:
        """Send these reports, one call each, instead of those not sent yet."""
        self._states = tuple(one for one in states if one.up or one.down)
        if self._states:
            self._news.set()

    async def run(self) -> None:
        """Send for ever."""
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


def _identity(config: Config, role: Role) -> AgentIdentity:
    return AgentIdentity(agent_type=role.agent_type, binary=role.binary, host=config.host)
