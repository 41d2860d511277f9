"""The metadata agent's process: a Unix socket for the proxy, served by the agent's hop."""

import os
import socket
from collections.abc import Sequence

import structlog

from a9fe.api_client import tls
from a9fe.http.hop import serving
from a9fe.http.metrics_socket import metrics_path
from a9fe.http.report import report_of
from a9fe.http.server.server import Admit
from a9fe.http.server.sockets import unix_listener
from a9fe.http.upstream.target import Target
from a9fe.linux.kernel import libc
from a9fe.linux.listeners import peer_credentials
from a9fe.linux.processes import privileges
from a9fe.metadata_agent.hop import FEED_AGENT, build_hop, service_targets
from a9fe.model.errors import A9feError
from a9fe.replica import path_of
from a9fe.runtime import descriptors, tasks
from a9fe.runtime.config import Config
from a9fe.runtime.state import directories
from a9fe.wire.limits import AGENT_LIMITS, Limits, fitting

PROCESS = "metadata-agent"
ROOT = 0

log = structlog.get_logger("a9fe.metadata_agent")


def run(config: Config) -> None:
    """Serve until SIGTERM or SIGINT. Opens what needs root, then becomes metadata_agent_user."""
    targets = service_targets(config)  # reads certificates, as root
    limits = fitting(AGENT_LIMITS, descriptors.raise_limit())
    own = privileges.owner_of(config.metadata_agent_user)
    proxy = privileges.owner_of(config.metadata_proxy_user)
    sock = unix_listener(config.metadata_proxy_socket, owner=proxy)
    exporter = unix_listener(metrics_path(config.run_path, PROCESS), owner=own)
    directories.ensure_own(os.path.dirname(path_of(config, FEED_AGENT)), own)
    tls.load(config.server_url)
    privileges.drop(config.metadata_agent_user)
    libc.give_memory_back()
    allowed = {ROOT, os.geteuid(), *(proxy[:1] if proxy else ())}
    admit = admit_only(allowed)
    tasks.run(lambda: _serve(config, targets, limits, sock, exporter, admit))


def admit_only(uids: set[int]) -> Admit:
    """Admit connections of these users' processes; log and close others."""
    allowed = frozenset(uids)

    def admit(sock: socket.socket) -> bool:
        try:
            peer_credentials.require(sock, allowed)
        except A9feError as error:
            log.warning("connection refused", reason=str(error))
            return False
        return True

    return admit


async def _serve(
    config: Config,
    targets: Sequence[Target],
    limits: Limits,
    sock: socket.socket,
    exporter: socket.socket,
    admit: Admit,
) -> None:
    report = report_of(config, PROCESS)
    hop = await build_hop(config, report, targets=targets)
    async with serving(
        hop,
        sock,
        exporter,
        limits=limits,
        report=report,
        admit=admit,
        backlog=config.metadata_backlog,
    ):
        upstream = ", ".join(map(str, targets))
        log.info("ready", listen=config.metadata_proxy_socket, upstream=upstream)
        await hop.run()
