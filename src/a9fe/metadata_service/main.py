"""The metadata service's process: a TCP socket, served by the service's hop."""

import os
import socket
import ssl

import structlog

from a9fe.api_client import tls
from a9fe.http.hop import serving
from a9fe.http.metrics_socket import metrics_path
from a9fe.http.report import report_of
from a9fe.http.server.sockets import tcp_listener, unix_listener
from a9fe.linux.kernel import libc
from a9fe.linux.processes import privileges
from a9fe.metadata_service.dynamic_vendordata import certificates_of
from a9fe.metadata_service.hop import FEED_AGENT, build_hop
from a9fe.metadata_service.identity.key_ring import keys_path
from a9fe.replica import path_of
from a9fe.runtime import descriptors, tasks
from a9fe.runtime.config import Config
from a9fe.runtime.state import directories
from a9fe.wire.limits import SERVICE_LIMITS, Limits, fitting

PROCESS = "metadata-service"

log = structlog.get_logger()


def run(config: Config) -> None:
    """Serve until SIGTERM or SIGINT. Opens what needs root, then becomes metadata_service_user."""
    limits = fitting(SERVICE_LIMITS, descriptors.raise_limit())
    owner = privileges.owner_of(config.metadata_service_user)
    sock = tcp_listener(
        config.metadata_listen, config.metadata_listen_port, config.metadata_backlog
    )
    exporter = unix_listener(metrics_path(config.run_path, PROCESS), owner=owner)
    directories.ensure_own(os.path.dirname(path_of(config, FEED_AGENT)), owner)
    directories.ensure_own(keys_path(config), owner)
    tls.load(config.server_url)
    verify = certificates_of(config)
    privileges.drop(config.metadata_service_user)
    libc.give_memory_back()
    tasks.run(lambda: _serve(config, limits, sock, exporter, verify=verify))


async def _serve(
    config: Config,
    limits: Limits,
    sock: socket.socket,
    exporter: socket.socket,
    *,
    verify: ssl.SSLContext | bool,
) -> None:
    report = report_of(config, PROCESS)
    hop = await build_hop(config, report, verify=verify)
    async with serving(hop, sock, exporter, limits=limits, report=report):
        listen = f"{config.metadata_listen}:{sock.getsockname()[1]}"
        log.info("ready", listen=listen, metrics=metrics_path(config.run_path, PROCESS))
        await hop.run()
