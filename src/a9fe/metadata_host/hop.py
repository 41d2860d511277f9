"""The host shape from configuration: one replica, one fair queue, the service's parts."""

import ssl
from collections.abc import Awaitable
from contextlib import AsyncExitStack

from a9fe.http.hop import Hop, Task
from a9fe.http.report import Report
from a9fe.http.server.fair_handler import FairHandler
from a9fe.http.server.rate_gate import rate_limited
from a9fe.metadata_agent import hop as agent_hop
from a9fe.metadata_agent import lookup_key
from a9fe.metadata_host.handler import MetadataHost
from a9fe.metadata_host.proxy_edge import of_proxy
from a9fe.metadata_service import hop as service_hop
from a9fe.metadata_service.parts import Parts, open_parts, service_of, tasks_of
from a9fe.replica import connector, follow, open_with_confirmer
from a9fe.runtime.clock import SystemClock
from a9fe.runtime.config import Config
from a9fe.runtime.state import imds_key
from a9fe.wire import shares
from a9fe.wire.limits import REFUSED_PAUSE, SERVICE_AT_ONCE, SERVICE_WAITING
from a9fe.wire.message import Answer, Handler, Request
from a9fe.wire.shares import Client

FEED_AGENT = service_hop.FEED_AGENT  # the role that is sent all that look-up and documents read


async def build_hop(
    config: Config, report: Report, *, verify: ssl.SSLContext | bool = False
) -> Hop:
    """Build the three hops. Call it inside a running loop, as the user that owns the state.

    Requests with a listener are a guest's; those without are a proxy's (proxy_edge.py). `verify`:
    the certificates to trust of vendor data providers (see certificates_of).
    """
    async with AsyncExitStack() as closers:
        replica, confirmer = await closers.enter_async_context(
            open_with_confirmer(config, FEED_AGENT, SystemClock())
        )
        parts = open_parts(
            config, replica, confirm=confirmer.certain, closers=closers, verify=verify
        )
        host = MetadataHost(
            finder=agent_hop.finder_of(config, replica, confirmer.certain),
            service=service_of(config, report, parts, token_secret=imds_key.ensure(config)),
            report=report,
        )
        turns = FairHandler(
            handler_of(host, config, report),
            client_of_request,
            report.refusal,
            limits=SERVICE_AT_ONCE,
            waiting=SERVICE_WAITING,
            pause=REFUSED_PAUSE,
        )
        closers.callback(turns.close)
        return Hop(handler=turns, tasks=_tasks(config, parts), closers=closers.pop_all())


def handler_of(host: MetadataHost, config: Config, report: Report) -> Handler:
    """Return the handler of guests' requests, which are rate-limited, and of proxies'."""
    guests = rate_limited(host.of_guest, config, report)

    def handle(request: Request) -> Answer | Awaitable[Answer]:
        return of_proxy(host, request) if request.listener is None else guests(request)

    return handle


def client_of_request(request: Request) -> Client:
    """Return the client for fair queueing and bounds, as hop 1 or hop 2 counts it."""
    if request.listener is not None:
        return shares.client_of_request(request)
    return lookup_key.client_of_request(request)


def _tasks(config: Config, parts: Parts) -> dict[str, Task]:
    return {
        "feed": lambda: follow(parts.replica, connector(config, FEED_AGENT), SystemClock()),
        **tasks_of(parts),
        "agent heartbeat": lambda: agent_hop.report_heartbeat(config, parts.replica),
        "service heartbeat": lambda: service_hop.report_heartbeat(config, parts.replica),
    }
