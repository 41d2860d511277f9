"""The service and its background tasks over a replica, from configuration.

Shared by hop 3 and the host shape.
"""

import os
import secrets
import ssl
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import structlog

from a9fe.api_client.agent_client import AgentClient
from a9fe.http.hop import Task
from a9fe.http.report import Report
from a9fe.metadata.imds_tokens import Tokens
from a9fe.metadata.instance_view import Settings
from a9fe.metadata.openstack.provider_names import STATIC_JSON
from a9fe.metadata_service.documents import DocumentReader, unprepared
from a9fe.metadata_service.dynamic_vendordata import DynamicVendordata, providers_of
from a9fe.metadata_service.guest_call import GuestCall
from a9fe.metadata_service.guest_writes import GuestWrites, attributes_enabled, wait_for_revision
from a9fe.metadata_service.identity.key_ring import KeyRing, key_ring_of
from a9fe.metadata_service.identity.requests import require_key, token_actions
from a9fe.metadata_service.kept_views import KeptViews
from a9fe.metadata_service.service import Service
from a9fe.metadata_service.token_gate import TokenGate
from a9fe.metadata_service.usage_reports import UsageReports, UsageTally, deliverer
from a9fe.metadata_service.waiters import Waiters
from a9fe.model.guest import MetadataOptions
from a9fe.replica import Replica
from a9fe.runtime import metrics
from a9fe.runtime.clock import SystemClock
from a9fe.runtime.config import Config
from a9fe.runtime.static_vendordata import VendordataFile
from a9fe.wire.message import Answer, Request
from a9fe.wire.refusals import Refusal

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


def open_parts(
    config: Config,
    replica: Replica,
    *,
    confirm: Callable[[], Awaitable[bool]],
    closers: AsyncExitStack,
    verify: ssl.SSLContext | bool = False,
) -> Parts:
    """Return the parts over a replica; `closers` gets what must be closed.

    Call it inside a running loop, as the user that owns the identity keys. `confirm` updates the
    replica from the server. `verify`: see certificates_of.
    """
    clock = SystemClock()
    calls = AgentClient.of(config)
    closers.push_async_callback(calls.close)
    providers = providers_of(config, clock.monotonic, verify=verify)
    if providers is not None:
        closers.push_async_callback(providers.close)
    return Parts(
        replica=replica,
        confirm=confirm,
        calls=calls,
        writes=GuestWrites(
            calls, lambda revision: wait_for_revision(replica, revision), clock.monotonic
        ),
        tally=UsageTally(metrics.IMDS_USAGE_LOST.inc),
        waiters=_waiters_of(replica),
        keys=key_ring_of(config, calls) if config.enable_identity else None,
        providers=providers,
    )


def service_of(config: Config, report: Report, parts: Parts, *, token_secret: str) -> Service:
    """Return the service over the parts. `token_secret` makes and checks IMDSv2 tokens."""
    gate, keys = token_gate_of(config, parts.tally, token_secret), parts.keys

    def refuse(refusal: Refusal, request: Request, request_id: str) -> Answer:
        return report.refusal(refusal, request, request_id=request_id.encode())

    return Service(
        source=parts.replica,
        settings=_settings_of(config, keys),
        now=SystemClock().now,
        random_bytes=secrets.token_bytes,
        source_lost_after=config.source_lost_after,
        refuse=refuse,
        confirm=parts.confirm,
        gates=(gate.gate,),
        path_gates=(attributes_enabled, *((require_key(keys),) if keys else ())),
        documents=_reader_of(config, parts),
        actions=(
            *gate.actions,
            *(token_actions(keys, config.identity_token_lifetime) if keys else ()),
            *parts.writes.actions(),
        ),
        views=KeptViews(parts.replica),
    )


def token_gate_of(config: Config, tally: UsageTally, secret: str) -> TokenGate:
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
    return TokenGate(tokens=Tokens(secret), options=options, count=count)


def tasks_of(parts: Parts) -> dict[str, Task]:
    """Return the background tasks, without those that follow the feed and report heartbeats."""
    tasks: dict[str, Task] = {
        "usage": UsageReports(parts.tally, deliverer(parts.calls)).run,
        "waiters": parts.waiters.run,
    }
    if parts.keys is not None:
        tasks["identity"] = parts.keys.run
    return tasks


def _settings_of(config: Config, keys: KeyRing | None) -> Callable[[], Settings]:
    """Return a function that returns the settings, with vendor data as its file is now.

    It returns the same object as long as the file is unchanged.
    """
    signer = keys.document_signer(os.uname().machine) if keys else None
    vendordata = VendordataFile(config.vendordata_jsonfile_path, _vendordata_unusable)
    vendordata()  # log an unusable file at the start, not when the first VM boots

    present = Settings(
        dhcp_domain=config.dhcp_domain,
        static_vendordata=STATIC_JSON in config.vendordata_providers,
        identity=signer,
        region=config.region_name,
        guest_attributes=config.enable_guest_attributes,
    )

    if not config.vendordata_jsonfile_path:
        return lambda: present

    def settings() -> Settings:
        nonlocal present
        found = vendordata()
        if found is not present.vendordata:
            present = replace(present, vendordata=found)
        return present

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
