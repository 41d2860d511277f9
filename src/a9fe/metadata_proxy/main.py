"""The process: a control socket for the agents, an upstream, and what it is handed."""

import os
import socket

import structlog

from a9fe.http.memory import settle
from a9fe.http.metrics_socket import metrics_path, serve_metrics
from a9fe.http.report import Report
from a9fe.http.server.server import Server
from a9fe.http.server.sockets import unix_listener
from a9fe.http.upstream.pool import Target
from a9fe.http.upstream.waiting_pool import Lanes
from a9fe.linux.kernel import libc
from a9fe.linux.processes import privileges
from a9fe.metadata_proxy.control import Control
from a9fe.metadata_proxy.held import HeldListeners
from a9fe.metadata_proxy.proxy import MetadataProxy, in_turns, log_request
from a9fe.metadata_proxy.relay import homeward
from a9fe.runtime import descriptors, metrics, tasks
from a9fe.runtime.config import Config
from a9fe.wire.limits import LIMITS, Limits, fitting
from a9fe.wire.rate_limit import RateLimiter, Window

PROCESS = "metadata-proxy"
AGENT_MARGIN = 2.0  # seconds more than the agent waits, so that its answer comes before ours
AGENT_PATIENCE = 10.0  # seconds that a restart of the agent may take unseen, back-off included

log = structlog.get_logger("a9fe.metadata_proxy")


def run(config: Config) -> None:
    """Serve until SIGTERM or SIGINT. Opens what needs root, then becomes metadata_proxy_user."""
    limits = fitting(LIMITS, descriptors.raise_limit())
    owner = privileges.owner_of(config.metadata_proxy_user)
    control = unix_listener(control_path(config), kind=socket.SOCK_SEQPACKET, owner=owner)
    exporter = unix_listener(metrics_path(config.run_path, PROCESS), owner=owner)
    privileges.drop(config.metadata_proxy_user)
    libc.give_memory_back()
    tasks.run(lambda: _serve(config, limits, control, exporter))


def control_path(config: Config) -> str:
    """Where the agents hand listeners over."""
    return os.path.join(config.run_path, "proxy-control.sock")


def upstream_of(config: Config) -> Lanes:
    """The agent."""
    return Lanes(
        Target(path=config.metadata_proxy_socket),
        timeout=config.upstream_timeout + AGENT_MARGIN,
        patience=AGENT_PATIENCE,
    )


def limiter_of(config: Config) -> RateLimiter | None:
    """The rate limit that the options ask for, None for none."""
    if not config.rate_limit_enabled:
        return None
    base = Window(limit=config.base_query_rate_limit, duration=config.base_window_duration)
    burst = Window(limit=config.burst_query_rate_limit, duration=config.burst_window_duration)
    return RateLimiter((base, burst))


async def _serve(
    config: Config, limits: Limits, control: socket.socket, exporter: socket.socket
) -> None:
    report = Report(PROCESS, metrics)
    upstream = upstream_of(config)
    proxy = MetadataProxy(
        upstream, report, limiter_of(config), log_request if config.debug else None
    )
    turns = in_turns(proxy, report)
    server = Server(
        turns, limits=limits, report=report, backlog=config.metadata_backlog, outgoing=homeward
    )
    held = HeldListeners(server)
    exposing = await serve_metrics(exporter)
    settle()
    log.info("ready", control=control_path(config), upstream=str(upstream.target))
    try:
        await Control(control, held).run()
    finally:
        held.close()
        await server.close()
        turns.close()
        await exposing.close()
        upstream.close()
