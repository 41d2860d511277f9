"""The process: a listening socket, a replica that follows the feed, and the handler over both."""

import asyncio
import os
import secrets
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, closing
from dataclasses import replace

import structlog

from a9fe.api_client import tls
from a9fe.api_client.agent_client import AgentClient
from a9fe.api_client.state_reports import keep_reporting
from a9fe.http.gc_tuning import tune_gc
from a9fe.http.metrics_socket import metrics_path, serve_metrics
from a9fe.http.report import Report
from a9fe.http.server.fair_handler import FairHandler
from a9fe.http.server.server import serve
from a9fe.http.server.sockets import tcp_listener, unix_listener
from a9fe.linux.kernel import libc
from a9fe.linux.processes import privileges
from a9fe.metadata.imds_tokens import Tokens
from a9fe.metadata.instance_view import Settings
from a9fe.metadata.openstack.vendordata import STATIC_JSON
from a9fe.metadata_service.documents import Documents, unprepared
from a9fe.metadata_service.dynamic_vendordata import (
    DynamicVendordata,
    certificates_of,
    providers_of,
)
from a9fe.metadata_service.guest_call import GuestCall
from a9fe.metadata_service.guest_writes import Writes, attributes_enabled, reach
from a9fe.metadata_service.identity.key_ring import KeyRing, key_ring_of, keys_path
from a9fe.metadata_service.identity.requests import require_key, token_actions
from a9fe.metadata_service.service import Service, always_certain, request_id
from a9fe.metadata_service.signed_headers import client_of_request
from a9fe.metadata_service.source import Source
from a9fe.metadata_service.token_gate import Imds
from a9fe.metadata_service.usage_reports import Tally, UsageReports, teller
from a9fe.metadata_service.waiters import Waiters
from a9fe.model.guest import MetadataOptions
from a9fe.model.policy import ANY_HOST
from a9fe.replica import Replica, confirmer_of, connector, follow, open_for, path_of
from a9fe.runtime import descriptors, directories, metrics, tasks
from a9fe.runtime.clock import SystemClock
from a9fe.runtime.config import Config
from a9fe.runtime.static_vendordata import VendordataFile
from a9fe.wire.limits import SERVICE_AT_ONCE, SERVICE_LIMITS, SERVICE_WAITING, Limits, fitting
from a9fe.wire.message import Answer, Request
from a9fe.wire.refusals import Refusal

PROCESS = "metadata-service"
BINARY = "a9fe-metadata-service"
AGENT = "service"  # the name under which it follows the feed

WAIT_MARGIN = 2  # seconds before a hop's patience ends, in which an answer is on its way

log = structlog.get_logger()


def run(config: Config) -> None:
    """Serve until SIGTERM or SIGINT. Opens what needs root, then becomes metadata_service_user."""
    limits = fitting(SERVICE_LIMITS, descriptors.raise_limit())
    owner = privileges.owner_of(config.metadata_service_user)
    sock = tcp_listener(
        config.metadata_listen, config.metadata_listen_port, config.metadata_backlog
    )
    metrics_sock = unix_listener(metrics_path(config.run_path, PROCESS), owner=owner)
    directories.ensure_own(os.path.dirname(path_of(config, AGENT)), owner)
    directories.ensure_own(keys_path(config), owner)
    tls.load(config.server_url)
    verify = certificates_of(config)
    privileges.drop(config.metadata_service_user)
    libc.give_memory_back()
    tasks.run(lambda: _serve(config, limits, sock, metrics_sock, verify=verify))


def make_service(
    config: Config,
    source: Source,
    report: Report,
    keys: KeyRing | None = None,
    tally: Tally | None = None,
    writes: Writes | None = None,
) -> Service:
    """The handler over `source`, configured by `config`; it signs with `keys`.

    `tally` counts requests without tokens, `writes` sends guests' writes to the server.
    """
    imds = imds_of(config, tally or Tally())
    signer = keys.document_signer(os.uname().machine) if keys else None
    vendordata = VendordataFile(config.vendordata_jsonfile_path, _vendordata_unusable)
    vendordata()  # what is wrong with it is said at the start, not at a VM's boot

    def settings() -> Settings:
        return Settings(
            dhcp_domain=config.dhcp_domain,
            vendordata=vendordata(),
            static_vendordata=STATIC_JSON in config.vendordata_providers,
            identity=signer,
            region=config.region_name,
            guest_attributes=config.enable_guest_attributes,
        )

    def refused(refusal: Refusal, request: Request) -> Answer:
        return report.refusal(refusal, request, request_id=request_id(request).encode())

    return Service(
        source=source,
        secret=config.metadata_proxy_shared_secret,
        settings=settings,
        now=SystemClock().now,
        random_bytes=secrets.token_bytes,
        source_lost_after=config.source_lost_after,
        refuse=refused,
        confirm=always_certain,
        gates=(imds.gate, attributes_enabled, *((require_key(keys),) if keys else ())),
        actions=(
            *imds.actions,
            *(token_actions(keys, config.identity_token_lifetime) if keys else ()),
            *(writes.actions() if writes else ()),
        ),
    )


def documents_of(
    config: Config, waiters: Waiters, providers: DynamicVendordata | None
) -> Documents:
    """What is read, waited for no longer than the hops before have patience."""
    patience = max(0, config.upstream_timeout - WAIT_MARGIN)
    return Documents(
        waiters,
        wait_max=min(config.metadata_wait_max, patience),
        prepare=providers.prepare if providers else unprepared,
    )


def imds_of(config: Config, tally: Tally) -> Imds:
    """Tokens as `config` says, every request counted."""

    def count(call: GuestCall, version: int) -> None:
        metrics.imds_asked(version)
        tally.count(call.view.instance.id, version, call.now)

    after = config.http_tokens_required_after
    options = MetadataOptions(
        http_tokens=config.http_tokens,
        http_tokens_required_after=None if after < 0 else after,
        http_put_response_hop_limit=config.http_put_response_hop_limit,
    )
    return Imds(tokens=Tokens(config.metadata_proxy_shared_secret), options=options, count=count)


async def _serve(
    config: Config,
    limits: Limits,
    sock: socket.socket,
    metrics_sock: socket.socket,
    *,
    verify: ssl.SSLContext | bool,
) -> None:
    """`verify`: the trusted certificates for vendor data targets."""
    clock, report = SystemClock(), Report(PROCESS, metrics)
    async with AsyncExitStack() as ended:
        replica = ended.enter_context(closing(open_for(config, AGENT)))
        calls = AgentClient(config.server_url, config.host, token=config.auth_token)
        ended.push_async_callback(calls.close)
        tally = Tally(metrics.IMDS_USAGE_LOST.inc)
        keys = key_ring_of(config, calls) if config.enable_identity else None
        writes = Writes(calls, lambda revision: reach(replica, revision), clock.monotonic)
        providers = providers_of(config, clock.monotonic, verify=verify)
        if providers:
            ended.push_async_callback(providers.close)
        waiters = waiters_of(replica)
        confirmer = await ended.enter_async_context(confirmer_of(config, AGENT, replica, clock))
        service = make_service(config, replica, report, keys, tally, writes)
        documents = documents_of(config, waiters, providers)
        service = replace(service, documents=documents, confirm=confirmer.certain)
        exporter = await serve_metrics(metrics_sock)
        ended.push_async_callback(exporter.close)
        turns = FairHandler(
            service,
            client_of_request,
            report.refusal,
            limits=SERVICE_AT_ONCE,
            waiting=SERVICE_WAITING,
        )
        ended.callback(turns.close)
        server = await serve(turns, sock=sock, report=report, limits=limits)
        ended.push_async_callback(server.close)
        ended.callback(waiters.close)
        tune_gc()
        listen = f"{config.metadata_listen}:{sock.getsockname()[1]}"
        log.info("ready", listen=listen, metrics=metrics_path(config.run_path, PROCESS))
        work: dict[str, Callable[[], Awaitable[None]]] = {
            "feed": lambda: follow(replica, connector(config, AGENT), clock),
            "usage": UsageReports(tally, teller(calls)).run,
            **({"identity": keys.run} if keys else {}),
            **heartbeat(config),
        }
        async with asyncio.TaskGroup() as group:
            for name, factory in work.items():
                group.create_task(tasks.supervise(name, factory))


def heartbeat(config: Config) -> dict[str, Callable[[], Awaitable[None]]]:
    """Reports the service for `agent list`. A service of all hosts reports for none."""
    if config.metadata_service_hosts == ANY_HOST:
        return {}
    return {"heartbeat": lambda: keep_reporting(config, "Metadata service", BINARY)}


def waiters_of(replica: Replica) -> Waiters:
    """Guests that wait for changes of the replica, counted."""
    waiters = Waiters(replica)
    metrics.WAITERS.set_function(lambda: len(waiters))
    return waiters


def _vendordata_unusable(path: str, reason: str) -> None:
    log.warning("vendordata_jsonfile_path cannot be used", path=path, reason=reason)
