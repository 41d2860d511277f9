"""The metadata service as a hop: the service behind signed headers, its replica and fair queue."""

import ssl
from contextlib import AsyncExitStack

from a9fe.api_client.state_reports import keep_reporting
from a9fe.http.hop import Hop, Task
from a9fe.http.report import Report
from a9fe.http.server.fair_handler import FairHandler
from a9fe.metadata_service.parts import Parts, open_parts, service_of, tasks_of
from a9fe.metadata_service.signed_headers import client_of_request
from a9fe.metadata_service.signed_service import SignedService
from a9fe.model.policy import ANY_HOST
from a9fe.replica import Replica, connector, follow, open_with_confirmer
from a9fe.runtime.clock import SystemClock
from a9fe.runtime.config import Config
from a9fe.wire.limits import SERVICE_AT_ONCE, SERVICE_WAITING

AGENT_TYPE, BINARY = "Metadata service", "a9fe-metadata-service"
FEED_AGENT = "service"  # this process's name in the change feed


async def build_hop(
    config: Config, report: Report, *, verify: ssl.SSLContext | bool = False
) -> Hop:
    """Build hop 3. Call it inside a running loop, as the user that owns replica and keys.

    `verify`: the certificates to trust of vendor data providers (see certificates_of).
    """
    clock, secret = SystemClock(), config.metadata_proxy_shared_secret
    async with AsyncExitStack() as closers:
        replica, confirmer = await closers.enter_async_context(
            open_with_confirmer(config, FEED_AGENT, clock)
        )
        parts = open_parts(
            config, replica, confirm=confirmer.certain, closers=closers, verify=verify
        )
        service = service_of(config, report, parts, token_secret=secret)
        turns = FairHandler(
            SignedService(service=service, secret=secret),
            client_of_request,
            report.refusal,
            limits=SERVICE_AT_ONCE,
            waiting=SERVICE_WAITING,
        )
        closers.callback(turns.close)
        return Hop(handler=turns, tasks=_tasks(config, parts), closers=closers.pop_all())


def _tasks(config: Config, parts: Parts) -> dict[str, Task]:
    """Return the background tasks. A service of all hosts reports no heartbeat of one host."""
    tasks = {
        "feed": lambda: follow(parts.replica, connector(config, FEED_AGENT), SystemClock()),
        **tasks_of(parts),
    }
    if config.metadata_service_hosts != ANY_HOST:
        tasks["heartbeat"] = lambda: report_heartbeat(config, parts.replica)
    return tasks


async def report_heartbeat(config: Config, replica: Replica) -> None:
    """Report the service as alive until cancelled."""
    await keep_reporting(
        config,
        AGENT_TYPE,
        BINARY,
        configurations=lambda: {"instances": len(replica.all("instance"))},
    )
