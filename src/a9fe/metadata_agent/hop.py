"""The metadata agent as a hop: replica, confirmer, upstream and fair queue, from configuration."""

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, closing

import structlog

from a9fe.api_client.state_reports import Configurations, keep_reporting
from a9fe.http.hop import Hop, Task
from a9fe.http.report import Report
from a9fe.http.server.fair_handler import FairHandler
from a9fe.http.upstream.addresses import Addresses
from a9fe.http.upstream.health_log import HealthLog
from a9fe.http.upstream.names import Names, known_now
from a9fe.http.upstream.target import Target
from a9fe.http.upstream.waiting_pool import UpstreamPools
from a9fe.metadata_agent.agent import MetadataAgent, signer
from a9fe.metadata_agent.lookup_key import client_of_request
from a9fe.metadata_agent.port_finder import PortFinder
from a9fe.metadata_agent.upstream_tls import client_context
from a9fe.replica import Replica, connector, follow, open_with_confirmer
from a9fe.runtime.clock import SystemClock
from a9fe.runtime.config import Config
from a9fe.runtime.hosts import parse_hosts
from a9fe.runtime.options import HOST
from a9fe.wire.limits import AT_ONCE, WAITING
from a9fe.wire.message import Answer, Handler

AGENT_TYPE, BINARY = "Metadata agent", "neutron-metadata-agent"
FEED_AGENT = "metadata"  # this agent's name in the change feed
SERVICE_RESTART_WAIT = 10.0  # s that requests wait for a restart
HINT_INTERVAL = 60.0  # s between two log lines about refused signatures
SIGNATURE = b"proxy request signature"  # in the body of Nova's and our 403 for a wrong signature

log = structlog.get_logger("a9fe.metadata_agent")


async def build_hop(
    config: Config,
    report: Report,
    *,
    upstream: Handler | None = None,
    targets: Sequence[Target] = (),
) -> Hop:
    """Build hop 2. Call it inside a running loop.

    `upstream` is the metadata service in this process; None connects to `targets`, or, if there
    are none, to those of the configuration (see `service_targets`).
    """
    clock = SystemClock()
    tasks: dict[str, Task] = {}
    async with AsyncExitStack() as closers:
        replica, confirmer = await closers.enter_async_context(
            open_with_confirmer(config, FEED_AGENT, clock)
        )
        if upstream is None:
            targets = targets or service_targets(config)
            addresses = Addresses(known_now(targets), HealthLog())
            tasks["upstream names"] = Names(targets, addresses).keep_up_to_date
            upstream = pools = closers.enter_context(closing(service_at(config, addresses)))
            tasks["waits"] = pools.run
        agent = MetadataAgent(
            finder=finder_of(config, replica, confirmer.certain),
            upstream=upstream,
            report=report,
            sign=signer(config.metadata_proxy_shared_secret),
            on_forbidden=SignatureHints(),
        )
        turns = FairHandler(
            agent.handle, client_of_request, report.refusal, limits=AT_ONCE, waiting=WAITING
        )
        closers.callback(turns.close)
        return Hop(
            handler=turns,
            tasks={
                **tasks,
                "feed": lambda: follow(replica, connector(config, FEED_AGENT), clock),
                "heartbeat": lambda: report_heartbeat(config, replica),
            },
            closers=closers.pop_all(),
        )


def finder_of(
    config: Config, replica: Replica, confirm: Callable[[], Awaitable[bool]]
) -> PortFinder:
    """Return the finder of ports in this host's replica; `confirm` updates it from the server."""
    return PortFinder(
        host=config.host,
        source=replica,
        confirm=confirm,
        source_lost_after=config.source_lost_after,
        now=SystemClock().now,
    )


async def report_heartbeat(config: Config, replica: Replica) -> None:
    """Report the agent as alive until cancelled."""
    await keep_reporting(
        config, AGENT_TYPE, BINARY, configurations=lambda: configurations(config, replica)
    )


def configurations(config: Config, replica: Replica) -> Configurations:
    """Return what the agent reports of itself, with Neutron's keys, and what it serves."""
    upstream: Configurations = {
        "nova_metadata_host": config.nova_metadata_host,
        "nova_metadata_port": config.nova_metadata_port,
    }
    return {
        "metadata_proxy_socket": config.metadata_proxy_socket,
        **({} if config.metadata_shape == HOST else upstream),
        "metadata_shape": config.metadata_shape,
        "log_agent_heartbeats": False,
        "networks": len(replica.all("network")),
        "ports": len(replica.all("port")),
    }


def service_targets(config: Config) -> list[Target]:
    """Return the addresses and names of the metadata service, or of Nova's metadata API.

    Reads the files of TLS options. Raises InvalidOption.
    """
    tls = client_context(config)
    hosts = parse_hosts(config.nova_metadata_host, config.nova_metadata_port)
    return [Target(host=host, port=port, tls=tls) for host, port in hosts]


def service_at(config: Config, addresses: Addresses) -> UpstreamPools:
    """Return connections to the metadata service."""
    return UpstreamPools(
        addresses, timeout=config.upstream_timeout, restart_wait=SERVICE_RESTART_WAIT
    )


class SignatureHints:
    """Log a hint, at most once in HINT_INTERVAL, when the service refuses our signature.

    Other 403s are about the guest's request, such as one for a token that it must not have.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` is monotonic, in seconds."""
        self._clock = clock
        self._logged_at = -HINT_INTERVAL

    def __call__(self, answer: Answer) -> None:
        """Check a 403 of the service."""
        if SIGNATURE in answer.body and self._clock() >= self._logged_at + HINT_INTERVAL:
            self._logged_at = self._clock()
            log.warning(
                "the service refused our signature",
                hint="metadata_proxy_shared_secret must be the same there and here",
            )
