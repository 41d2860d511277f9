"""The process: a Unix socket for the proxy, a replica of ports, an upstream to the service."""

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, closing

import structlog

from a9fe.api_client import tls
from a9fe.api_client.state_reports import keep_reporting
from a9fe.http.gc_tuning import tune_gc
from a9fe.http.metrics_socket import metrics_path, serve_metrics
from a9fe.http.report import Report
from a9fe.http.server.fair_handler import FairHandler
from a9fe.http.server.server import Admit, serve
from a9fe.http.server.sockets import unix_listener
from a9fe.http.upstream.pool import Target
from a9fe.http.upstream.waiting_pool import UpstreamPools
from a9fe.linux.kernel import libc
from a9fe.linux.listeners import peer_credentials
from a9fe.linux.processes import privileges
from a9fe.metadata_agent.agent import MetadataAgent, signer
from a9fe.metadata_agent.lookup_key import client_of_request
from a9fe.model.errors import A9feError, InvalidInput
from a9fe.replica import confirmer_of, connector, follow, open_for, path_of
from a9fe.runtime import descriptors, directories, metrics, tasks
from a9fe.runtime.clock import SystemClock
from a9fe.runtime.config import Config
from a9fe.wire.limits import AGENT_LIMITS, AT_ONCE, WAITING, Limits, fitting
from a9fe.wire.message import Answer

PROCESS = "metadata-agent"
BINARY = "neutron-metadata-agent"
AGENT = "metadata"  # the name under which it follows the feed
ROOT = 0
FORBIDDEN = 403
SIGNATURE = b"proxy request signature"  # in what Nova, and our service, say to a wrong one
HINT_INTERVAL = 60.0  # seconds
SERVICE_PATIENCE = 10.0  # seconds that a restart of the service may take unseen, back-off included

log = structlog.get_logger("a9fe.metadata_agent")


def run(config: Config) -> None:
    """Serve until SIGTERM or SIGINT. Opens what needs root, then becomes metadata_agent_user."""
    if config.nova_metadata_protocol != "http":
        raise InvalidInput("nova_metadata_protocol", config.nova_metadata_protocol, "http")
    limits = fitting(AGENT_LIMITS, descriptors.raise_limit())
    own = privileges.owner_of(config.metadata_agent_user)
    proxy = privileges.owner_of(config.metadata_proxy_user)
    sock = unix_listener(config.metadata_proxy_socket, owner=proxy)
    exporter = unix_listener(metrics_path(config.run_path, PROCESS), owner=own)
    directories.ensure_own(os.path.dirname(path_of(config, AGENT)), own)
    tls.load(config.server_url)
    privileges.drop(config.metadata_agent_user)
    libc.give_memory_back()
    allowed = {ROOT, os.geteuid(), *(proxy[:1] if proxy else ())}
    tasks.run(lambda: _serve(config, limits, sock, exporter, admit_only(allowed)))


def admit_only(uids: set[int]) -> Admit:
    """Lets in the processes of these users; others are logged and closed."""
    allowed = frozenset(uids)

    def admit(sock: socket.socket) -> bool:
        try:
            peer_credentials.require(sock, allowed)
        except A9feError as error:
            log.warning("connection refused", reason=str(error))
            return False
        return True

    return admit


class ServiceHints:
    """Says to the operator, now and then, what a service's 403 means that is about signatures.

    A guest gets others by itself, asking for tokens that it is not given.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` is monotonic, in seconds."""
        self._clock = clock
        self._said_at = -HINT_INTERVAL

    def __call__(self, answer: Answer) -> Answer:
        """Look at an answer that goes home."""
        if answer.status == FORBIDDEN and SIGNATURE in answer.body:
            self._say()
        return answer

    def _say(self) -> None:
        if self._clock() >= self._said_at + HINT_INTERVAL:
            self._said_at = self._clock()
            log.warning(
                "the service refused our signature",
                hint="metadata_proxy_shared_secret must be the same there and here",
            )


async def _serve(
    config: Config, limits: Limits, sock: socket.socket, exporter: socket.socket, admit: Admit
) -> None:
    clock, report = SystemClock(), Report(PROCESS, metrics)
    target = Target(host=config.nova_metadata_host, port=config.nova_metadata_port)
    async with AsyncExitStack() as ended:
        replica = ended.enter_context(closing(open_for(config, AGENT)))
        upstream = ended.enter_context(
            closing(
                UpstreamPools(target, timeout=config.upstream_timeout, patience=SERVICE_PATIENCE)
            )
        )
        confirmer = await ended.enter_async_context(confirmer_of(config, AGENT, replica, clock))
        agent = MetadataAgent(
            source=replica,
            upstream=upstream,
            report=report,
            sign=signer(config.metadata_proxy_shared_secret),
            confirm=confirmer.certain,
            source_lost_after=config.source_lost_after,
            now=clock.now,
            debug=config.debug,
        )
        exposing = await serve_metrics(exporter)
        ended.push_async_callback(exposing.close)
        turns = FairHandler(
            agent.handle, client_of_request, report.refusal, limits=AT_ONCE, waiting=WAITING
        )
        ended.callback(turns.close)
        server = await serve(
            turns,
            sock=sock,
            limits=limits,
            report=report,
            admit=admit,
            backlog=config.metadata_backlog,
            outgoing=ServiceHints(),
        )
        ended.push_async_callback(server.close)
        tune_gc()
        log.info("ready", listen=config.metadata_proxy_socket, upstream=str(target))
        work: dict[str, Callable[[], Awaitable[None]]] = {
            "feed": lambda: follow(replica, connector(config, AGENT), clock),
            "heartbeat": lambda: keep_reporting(config, "Metadata agent", BINARY),
        }
        async with asyncio.TaskGroup() as group:
            for name, factory in work.items():
                group.create_task(tasks.supervise(name, factory))
