"""A host agent as a process: the tasks of its role, put together."""

import asyncio
import os
from collections.abc import Collection

import structlog

from a9fe.api_client.agent_client import AgentClient
from a9fe.api_client.state_reports import StateReporter
from a9fe.host_agent.after_pass import AfterPass
from a9fe.host_agent.converger import Converger, Work
from a9fe.host_agent.hooks import Hooks
from a9fe.host_agent.reports import Reports
from a9fe.host_agent.role import Role, Tasks, dhcp_confs
from a9fe.host_agent.totals import Totals
from a9fe.http.gc_tuning import collect_rarely
from a9fe.http.metrics_socket import expose, metrics_path
from a9fe.linux.host import Host
from a9fe.linux.kernel_events import KernelEvents
from a9fe.linux.listeners.holder_link import HolderLink
from a9fe.linux.listeners.proxy_link import ProxyLink
from a9fe.plan.filters.connect_limit import ConnectLimit
from a9fe.plan.mark import Mark
from a9fe.replica import connector, follow, open_for
from a9fe.runtime import tasks
from a9fe.runtime.clock import SystemClock
from a9fe.runtime.config import Config
from a9fe.runtime.state import installation
from a9fe.wire.handover import HOLDER_SOCKET, PROXY_SOCKET

log = structlog.get_logger()


def connect_limit(config: Config) -> ConnectLimit | None:
    """The limit of a VM's connections: that of its requests, so that a connection is one."""
    rate = config.guest_request_rate
    return ConnectLimit(rate, config.guest_request_burst) if rate else None


async def serve(config: Config, role: Role) -> None:
    """Run the agent until cancelled. Namespaces, DHCP and listeners remain when it ends."""
    collect_rarely()
    clock = SystemClock()
    mark = Mark(installation.ensure(config))
    replica = open_for(config, role.owner)
    client = AgentClient.of(config)
    reporter = StateReporter(client, role.agent_type, role.binary)
    totals = Totals(role.settings)
    hooks = Hooks(config.hooks_path, config.host)
    reports = Reports(role, replica, reporter, totals.configurations, hooks)
    control = os.path.join(config.run_path, PROXY_SOCKET)

    def proxy_changed() -> None:
        converger.wake()

    def kernel_changed(names: Collection[str] | None) -> None:
        converger.kernel_changed(names)

    owner = f"{role.owner}_agent"
    proxy = ProxyLink(control, owner, backlog=config.metadata_backlog, changed=proxy_changed)
    holder = HolderLink(os.path.join(config.run_path, HOLDER_SOCKET), owner, proxy)
    kernel = Host(proxy, dhcp_confs(config), mark, connect_limit(config))
    events = KernelEvents(role.owner, kernel_changed, kernel.numbers.name_of)
    work = Work(
        owner=role.owner,
        parts=lambda: role.parts(replica),
        plan=lambda part: role.plan(replica, part),
        after_pass=AfterPass(role, replica, reports, totals, events.follow),
        after_error=reports.failed,
    )
    converger = Converger(work, replica, kernel, clock)
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
                "metrics": lambda: expose(metrics_path(config.run_path, f"{role.owner}-agent")),
                "converge": lambda: _converge(converger, proxy),
                **reports.tasks(config.report_interval),
                **role.tasks(config, proxy),
            }
        )
    finally:
        replica.close()
        await client.close()


async def _converge(converger: Converger, proxy: ProxyLink) -> None:
    """Converge when the listeners are back, so that the first pass finds them served."""
    await proxy.settled()
    await converger.run()


async def _run_all(work: Tasks) -> None:
    async with asyncio.TaskGroup() as group:
        for name, factory in work.items():
            group.create_task(tasks.supervise(name, factory))
