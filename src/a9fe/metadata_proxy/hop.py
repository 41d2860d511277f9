"""The metadata proxy as a hop: upstream, rate limit and fair queue, as configuration asks."""

from contextlib import AsyncExitStack

from a9fe.http.hop import Hop, Task
from a9fe.http.report import Report
from a9fe.http.server.rate_gate import rate_limited
from a9fe.http.upstream.addresses import Addresses
from a9fe.http.upstream.health_log import HealthLog
from a9fe.http.upstream.target import Target
from a9fe.http.upstream.waiting_pool import UpstreamPools
from a9fe.metadata_proxy.proxy import MetadataProxy, Watcher, fair_handler_of
from a9fe.metadata_proxy.relay import answer_for_guest
from a9fe.runtime.config import Config
from a9fe.wire.message import Handler

AGENT_MARGIN = 2.0  # seconds more than the agent waits, so that the agent's refusal comes first
AGENT_RESTART_WAIT = 10.0  # seconds for which requests wait for a restart of the agent


def build_hop(
    config: Config,
    report: Report,
    *,
    watcher: Watcher | None = None,
    upstream: Handler | None = None,
) -> Hop:
    """Build hop 1. Call it inside a running loop.

    `watcher` is called with each request, for debugging. `upstream` is the metadata agent in this
    process; None connects to metadata_proxy_socket.
    """
    closers, tasks = AsyncExitStack(), dict[str, Task]()
    if upstream is None:
        upstream = pools = agent_at(config)
        closers.callback(pools.close)
        tasks["waits"] = pools.run
    proxy = MetadataProxy(upstream, report, watcher)
    fair = fair_handler_of(rate_limited(proxy.handle, config, report), report)
    closers.callback(fair.close)
    return Hop(handler=fair, outgoing=answer_for_guest, tasks=tasks, closers=closers)


def agent_at(config: Config) -> UpstreamPools:
    """The metadata agent behind its Unix socket."""
    return UpstreamPools(
        Addresses([Target(path=config.metadata_proxy_socket)], HealthLog()),
        timeout=config.upstream_timeout + AGENT_MARGIN,
        restart_wait=AGENT_RESTART_WAIT,
    )
