"""A host agent as a process: the tasks of its role, put together."""

import asyncio
import os
from collections.abc import Iterator

import structlog

from a9fe.api_client.agent_client import AgentClient
from a9fe.api_client.state_reports import StateReporter
from a9fe.host_agent.converge import Outcome
from a9fe.host_agent.converger import Converger, Work
from a9fe.host_agent.hooks import Hooks
from a9fe.host_agent.reports import Reports
from a9fe.host_agent.role import Role, Tasks, dhcp_confs
from a9fe.linux.host import Host
from a9fe.linux.kernel_events import KernelEvents
from a9fe.linux.listeners.holder_link import HolderLink
from a9fe.linux.listeners.proxy_link import ProxyLink
from a9fe.plan.mark import Mark
from a9fe.replica import connector, follow, open_for
from a9fe.runtime import tasks
from a9fe.runtime.clock import SystemClock
from a9fe.runtime.config import Config
from a9fe.runtime.state import installation
from a9fe.wire.handover import HOLDER_SOCKET, PROXY_SOCKET

log = structlog.get_logger()


async def serve(config: Config, role: Role) -> None:
    """Run the agent until cancelled. Namespaces, DHCP and listeners remain when it ends."""
    clock = SystemClock()
    mark = Mark(installation.ensure(config))
    replica = open_for(config, role.owner)
    client = AgentClient.of(config)
    reporter = StateReporter(client, role.agent_type, role.binary)
    reports = Reports(role, replica, reporter, Hooks(config.hooks_path, config.host))
    control = os.path.join(config.run_path, PROXY_SOCKET)

    def proxy_changed() -> None:
        converger.wake()

    def kernel_changed() -> None:
        converger.kernel_changed()

    owner = f"{role.owner}_agent"
    proxy = ProxyLink(control, owner, backlog=config.metadata_backlog, changed=proxy_changed)
    holder = HolderLink(os.path.join(config.run_path, HOLDER_SOCKET), owner, proxy)
    events = KernelEvents(role.owner, kernel_changed)

    def passed(outcome: Outcome) -> None:
        reports.passed(outcome)
        events.follow(_dnsmasq_directories(outcome))
        role.after_pass(replica, outcome)

    work = Work(
        owner=role.owner,
        plan=lambda: role.plan(replica),
        after_pass=passed,
        after_error=reports.failed,
    )
    converger = Converger(work, replica, Host(proxy, dhcp_confs(config), mark), clock)
    log.info(
        "ready",
        server=config.server_url,
        host=config.host,
        proxy=control,
        installation=mark.installation,
    )
    try:
        await _run_all(
            {
                "feed": lambda: follow(replica, connector(config, role.owner), clock),
                "proxy": proxy.run,
                "holder": holder.run,
                "kernel events": events.run,
                "converge": converger.run,
                **reports.tasks(config.report_interval),
                **role.tasks(config, proxy),
            }
        )
    finally:
        replica.close()
        await client.close()


async def _run_all(work: Tasks) -> None:
    async with asyncio.TaskGroup() as group:
        for name, factory in work.items():
            group.create_task(tasks.supervise(name, factory))


def _dnsmasq_directories(outcome: Outcome) -> Iterator[str]:
    for plan in outcome.desired.namespaces.values():
        if plan.dnsmasq is not None:
            yield plan.dnsmasq.directory
