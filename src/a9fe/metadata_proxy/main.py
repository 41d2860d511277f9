"""The metadata proxy's process: a control socket, the hop, and the listeners handed over."""

import os
import socket

import structlog

from a9fe.http.gc_tuning import tune_gc
from a9fe.http.metrics_socket import metrics_path, serve_metrics
from a9fe.http.report import report_of
from a9fe.http.server.sockets import unix_listener
from a9fe.linux.kernel import libc
from a9fe.linux.processes import privileges
from a9fe.metadata_proxy.control import Control
from a9fe.metadata_proxy.guests import serve_agents, serving_guests
from a9fe.metadata_proxy.hop import build_hop
from a9fe.runtime import descriptors, tasks
from a9fe.runtime.config import Config
from a9fe.wire.handover import PROXY_SOCKET
from a9fe.wire.limits import LIMITS, Limits, fitting

PROCESS = "metadata-proxy"

log = structlog.get_logger("a9fe.metadata_proxy")


def run(config: Config) -> None:
    """Serve until SIGTERM or SIGINT. Opens its sockets, then becomes metadata_proxy_user."""
    limits = fitting(LIMITS, descriptors.raise_limit())
    owner = privileges.owner_of(config.metadata_proxy_user)
    path = os.path.join(config.run_path, PROXY_SOCKET)
    control = unix_listener(path, kind=socket.SOCK_SEQPACKET, owner=owner)
    exporter = unix_listener(metrics_path(config.run_path, PROCESS), owner=owner)
    privileges.drop(config.metadata_proxy_user)
    libc.give_memory_back()
    tasks.run(lambda: _serve(config, limits, control, exporter))


async def _serve(
    config: Config, limits: Limits, control: socket.socket, exporter: socket.socket
) -> None:
    report = report_of(config, PROCESS)
    hop = build_hop(config, report)
    exposing = await serve_metrics(exporter)
    try:
        async with serving_guests(config, hop, limits, report) as held:
            tune_gc()
            log.info("ready", control=control.getsockname(), upstream=config.metadata_proxy_socket)
            await serve_agents(hop, Control(control, held))
    finally:
        await exposing.close()
        await hop.close()
