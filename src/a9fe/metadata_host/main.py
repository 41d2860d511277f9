"""The metadata host's process: the listeners handed over, and the socket of proxies."""

import os
import socket
import ssl
from dataclasses import dataclass

import structlog

from a9fe.api_client import tls
from a9fe.http.hop import serving
from a9fe.http.metrics_socket import metrics_path
from a9fe.http.report import report_of
from a9fe.http.server.server import Admit
from a9fe.http.server.sockets import unix_listener
from a9fe.linux.kernel import libc
from a9fe.linux.processes import privileges
from a9fe.metadata_agent.main import ROOT, admit_only
from a9fe.metadata_host.hop import FEED_AGENT, build_hop
from a9fe.metadata_proxy.control import Control
from a9fe.metadata_proxy.guests import serve_agents, serving_guests
from a9fe.metadata_service.dynamic_vendordata import certificates_of
from a9fe.metadata_service.identity.key_ring import keys_path
from a9fe.replica import path_of
from a9fe.runtime import descriptors, tasks
from a9fe.runtime.config import Config
from a9fe.runtime.state import directories, imds_key
from a9fe.wire.handover import PROXY_SOCKET
from a9fe.wire.limits import AGENT_LIMITS, LIMITS, Limits, fitting

PROCESS = "metadata-host"

log = structlog.get_logger("a9fe.metadata_host")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """What was opened as root. `admit` decides about clients of `proxies`."""

    limits: Limits
    proxy_limits: Limits
    control: socket.socket
    proxies: socket.socket
    exporter: socket.socket
    admit: Admit
    verify: ssl.SSLContext | bool


def run(config: Config) -> None:
    """Serve until SIGTERM or SIGINT. Opens what needs root, then becomes metadata_proxy_user."""
    most = descriptors.raise_limit()
    own = privileges.owner_of(config.metadata_proxy_user)
    path = os.path.join(config.run_path, PROXY_SOCKET)
    control = unix_listener(path, kind=socket.SOCK_SEQPACKET, owner=own)
    proxies = unix_listener(config.metadata_proxy_socket, owner=own)
    exporter = unix_listener(metrics_path(config.run_path, PROCESS), owner=own)
    for directory in (
        os.path.dirname(path_of(config, FEED_AGENT)),
        keys_path(config),
        str(imds_key.directory_of(config)),
    ):
        directories.ensure_own(directory, own)
    tls.load(config.server_url)
    verify = certificates_of(config)
    privileges.drop(config.metadata_proxy_user)
    libc.give_memory_back()
    opened = _Opened(
        limits=fitting(LIMITS, most),
        proxy_limits=fitting(AGENT_LIMITS, most),
        control=control,
        proxies=proxies,
        exporter=exporter,
        admit=admit_only({ROOT, os.geteuid()}),
        verify=verify,
    )
    tasks.run(lambda: _serve(config, opened))


async def _serve(config: Config, opened: _Opened) -> None:
    report = report_of(config, PROCESS)
    hop = await build_hop(config, report, verify=opened.verify)
    async with (
        serving(
            hop,
            opened.proxies,
            opened.exporter,
            limits=opened.proxy_limits,
            report=report,
            admit=opened.admit,
            backlog=config.metadata_backlog,
        ),
        serving_guests(config, hop, opened.limits, report) as held,
    ):
        control = opened.control.getsockname()
        log.info("ready", control=control, proxies=config.metadata_proxy_socket)
        await serve_agents(hop, Control(opened.control, held))
