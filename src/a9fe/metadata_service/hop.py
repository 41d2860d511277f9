"""The metadata service as a hop: replica, handler and background tasks, from configuration."""

import os
import secrets
import ssl
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass

import structlog

from a9fe.api_client.agent_client import AgentClient
from a9fe.api_client.state_reports import keep_reporting
from a9fe.http.hop import Hop, Task
from a9fe.http.report import Report
from a9fe.http.server.fair_handler import FairHandler
from a9fe.metadata.imds_tokens import Tokens
from a9fe.metadata.instance_view import Settings
from a9fe.metadata.openstack.vendordata import STATIC_JSON
from a9fe.metadata_service.documents import DocumentReader, unprepared
from a9fe.metadata_service.dynamic_vendordata import DynamicVendordata, providers_of
from a9fe.metadata_service.guest_call import GuestCall
from a9fe.metadata_service.guest_writes import GuestWrites, attributes_enabled, wait_for_revision
from a9fe.metadata_service.identity.key_ring import KeyRing, key_ring_of
from a9fe.metadata_service.identity.requests import require_key, token_actions
from a9fe.metadata_service.service import Service, request_id
from a9fe.metadata_service.signed_headers import client_of_request
from a9fe.metadata_service.token_gate import TokenGate
from a9fe.metadata_service.usage_reports import UsageReports, UsageTally, deliverer
from a9fe.metadata_service.waiters import Waiters
from a9fe.model.guest import MetadataOptions
from a9fe.model.policy import ANY_HOST
from a9fe.replica import Replica, confirmer_of, connector, follow, open_for
from a9fe.runtime import metrics
from a9fe.runtime.clock import SystemClock
from a9fe.runtime.config import Config
from a9fe.runtime.static_vendordata import VendordataFile
from a9fe.wire.limits import SERVICE_AT_ONCE, SERVICE_WAITING
from a9fe.wire.message import Answer, Request
from a9fe.wire.refusals import Refusal

BINARY = "a9fe-metadata-service"
FEED_AGENT = "service"  # this process's name in the change feed
WAIT_MARGIN = 2  # s between the end of the longest wait and the timeout of the hop before

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the handler and the background tasks share. `keys`, `providers`: None if off."""

    replica: Replica
    confirm: Callable[[], Awaitable[bool]]
    calls: AgentClient
    writes: GuestWrites
    tally: UsageTally
    waiters: Waiters
    keys: KeyRing | None
    providers: DynamicVendordata | None


async def build_hop(
    config: Config, report: Report, *, verify: ssl.SSLContext | bool = False
) -> Hop:
    """Build hop 3. Call it inside a running loop, as the user that owns replica and keys.

    `verify`: the certificates to trust of vendor data providers (see certificates_of).
    """
    clock = SystemClock()
    async with AsyncExitStack() as closers:
        replica = closers.enter_context(closing(open_for(config, FEED_AGENT)))
        calls = AgentClient.of(config)
        closers.push_async_callback(calls.close)
        providers = providers_of(config, clock.monotonic, verify=verify)
        if providers is not None:
            closers.push_async_callback(providers.close)
        confirmer = await closers.enter_async_context(
            confirmer_of(config, FEED_AGENT, replica, clock)
        )
        parts = Parts(
            replica=replica,
            confirm=confirmer.certain,
            calls=calls,
            writes=GuestWrites(
                calls, lambda revision: wait_for_revision(replica, revision), clock.monotonic
            ),
            tally=UsageTally(metrics.IMDS_USAGE_LOST.inc),
            waiters=_waiters_of(replica),
            keys=key_ring_of(config, calls) if config.enable_identity else None,
            providers=providers,
        )
        turns = FairHandler(
            service_of(config, report, parts),
            client_of_request,
            report.refusal,
            limits=SERVICE_AT_ONCE,
            waiting=SERVICE_WAITING,
        )
        closers.callback(turns.close)
        return Hop(handler=turns, tasks=_tasks(config, parts), closers=closers.pop_all())


def service_of(config: Config, report: Report, parts: Parts) -> Service:
    """Return the handler over the parts."""
    gate, keys = token_gate_of(config, parts.tally), parts.keys

    def refuse(refusal: Refusal, request: Request) -> Answer:
        return report.refusal(refusal, request, request_id=request_id(request).encode())

    return Service(
        source=parts.replica,
        secret=config.metadata_proxy_shared_secret,
        settings=_settings_of(config, keys),
        now=SystemClock().now,
        random_bytes=secrets.token_bytes,
        source_lost_after=config.source_lost_after,
        refuse=refuse,
        confirm=parts.confirm,
        gates=(gate.gate, attributes_enabled, *((require_key(keys),) if keys else ())),
        documents=_reader_of(config, parts),
        actions=(
            *gate.actions,
            *(token_actions(keys, config.identity_token_lifetime) if keys else ()),
            *parts.writes.actions(),
        ),
    )


def token_gate_of(config: Config, tally: UsageTally) -> TokenGate:
    """Return IMDSv2 with the options of `config`; `tally` counts every request."""

    def count(call: GuestCall, version: int) -> None:
        metrics.imds_asked(version)
        tally.count(call.view.instance.id, version, call.now)

    after = config.http_tokens_required_after
    options = MetadataOptions(
        http_tokens=config.http_tokens,
        http_tokens_required_after=None if after < 0 else after,
        http_put_response_hop_limit=config.http_put_response_hop_limit,
    )
    return TokenGate(
        tokens=Tokens(config.metadata_proxy_shared_secret), options=options, count=count
    )


def _tasks(config: Config, parts: Parts) -> dict[str, Task]:
    """Return the background tasks. A service of all hosts reports no heartbeat of one host."""
    tasks: dict[str, Task] = {
        "feed": lambda: follow(parts.replica, connector(config, FEED_AGENT), SystemClock()),
        "usage": UsageReports(parts.tally, deliverer(parts.calls)).run,
        "waiters": parts.waiters.run,
    }
    if parts.keys is not None:
        tasks["identity"] = parts.keys.run
    if config.metadata_service_hosts != ANY_HOST:
        tasks["heartbeat"] = lambda: keep_reporting(
            config,
            "Metadata service",
            BINARY,
            configurations=lambda: {"instances": len(parts.replica.all("instance"))},
        )
    return tasks


def _settings_of(config: Config, keys: KeyRing | None) -> Callable[[], Settings]:
    """Return a function that returns the settings, with vendor data as its file is now."""
    signer = keys.document_signer(os.uname().machine) if keys else None
    vendordata = VendordataFile(config.vendordata_jsonfile_path, _vendordata_unusable)
    vendordata()  # log an unusable file at the start, not when the first VM boots

    def settings() -> Settings:
        return Settings(
            dhcp_domain=config.dhcp_domain,
            vendordata=vendordata(),
            static_vendordata=STATIC_JSON in config.vendordata_providers,
            identity=signer,
            region=config.region_name,
            guest_attributes=config.enable_guest_attributes,
        )

    return settings


def _reader_of(config: Config, parts: Parts) -> DocumentReader:
    """Return the reader of documents. Waits end before the hop before times out."""
    longest = max(0, config.upstream_timeout - WAIT_MARGIN)
    return DocumentReader(
        parts.waiters,
        wait_max=min(config.metadata_wait_max, longest),
        prepare=parts.providers.prepare if parts.providers else unprepared,
    )


def _waiters_of(replica: Replica) -> Waiters:
    """Return the guests that wait for changes of the replica, with a metric of their number."""
    waiters = Waiters(replica)
    metrics.WAITERS.set_function(lambda: len(waiters))
    return waiters


def _vendordata_unusable(path: str, reason: str) -> None:
    log.warning("vendordata_jsonfile_path cannot be used", path=path, reason=reason)
