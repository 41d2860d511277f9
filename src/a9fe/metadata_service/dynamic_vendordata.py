"""Dynamic vendor data (Nova's DynamicJSON): ask the providers in parallel, bounded and cached.

A provider that hangs, redirects or sends too much loses only its own key of one instance's
document, after a bounded time, and delays no other provider or instance.
"""

import asyncio
import hashlib
import ssl
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import httpx
import structlog

from a9fe.api_client import tls
from a9fe.metadata.instance_view import InstanceView
from a9fe.metadata.openstack import provider_names, vendordata
from a9fe.metadata.openstack.vendordata import ProviderTarget
from a9fe.metadata.rendered import Json
from a9fe.model.errors import A9feError
from a9fe.runtime import metrics, tasks
from a9fe.runtime.config import Config
from a9fe.runtime.errors import StartError
from a9fe.wire.refusals import Refusal

ANSWER_MAX = 1024 * 1024  # bytes of a provider's answer
AT_ONCE = 200  # requests in flight to one provider
CACHE_BYTES = 64 * 1024 * 1024  # of cached answers, as received
ENTRY_BYTES = 1024  # roughly, of a cached empty answer
FAILURE_CACHED = 10.0  # s until a failed provider is asked again for the same instance
HEADERS = {
    "content-type": "application/json",
    "accept": "application/json",
    "user-agent": "openstack-nova-vendordata",
}

log = structlog.get_logger()
CacheKey = tuple[str, bytes]
"""Name of the provider, and hash of the request."""


class ProvidersFailed(A9feError):
    """A provider failed, and vendordata_dynamic_failure_fatal is set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderLimits:
    """Seconds to connect, to receive the whole answer, and to cache it."""

    connect: float = 5.0
    read: float = 5.0
    cached: float = 300.0


@dataclass(frozen=True, slots=True)
class _Cached:
    content: Json
    size: int
    failed: bool
    until: float


class DynamicVendordata:
    """The providers. Concurrent reads of one instance share one request to each provider."""

    def __init__(
        self,
        targets: Sequence[ProviderTarget],
        *,
        limits: ProviderLimits,
        monotonic: Callable[[], float],
        fatal: bool = False,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        """Open no connection yet. `fatal`: raise ProvidersFailed if one provider fails."""
        self._targets = targets
        self._limits = limits
        self._now = monotonic
        self._fatal = fatal
        self._cache: OrderedDict[CacheKey, _Cached] = OrderedDict()
        self._size = 0
        self._pending: dict[CacheKey, asyncio.Task[_Cached]] = {}
        self._free = {target.name: asyncio.Semaphore(AT_ONCE) for target in targets}
        self._client = httpx.AsyncClient(
            headers=HEADERS,
            verify=verify,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(limits.read, connect=limits.connect),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
        )

    async def close(self) -> None:
        """Cancel pending requests and close all connections."""
        for task in self._pending.values():
            task.cancel()
        await asyncio.gather(*self._pending.values(), return_exceptions=True)
        await self._client.aclose()

    async def prepare(self, view: InstanceView, _: frozenset[str]) -> InstanceView | Refusal:
        """Return the view with the answers. A Prepare: vendor data is the only need of entries."""
        try:
            return replace(view, dynamic_vendordata=await self.of(view))
        except ProvidersFailed:
            return Refusal.VENDORDATA_FAILED

    async def of(self, view: InstanceView) -> Mapping[str, Json]:
        """Return each provider's answer by name, `{}` if it failed. Raises ProvidersFailed."""
        body = vendordata.request_body(view)
        found = await asyncio.gather(*(self._one(t, body) for t in self._targets))
        if self._fatal and any(cached.failed for cached in found):
            raise ProvidersFailed
        pairs = zip(self._targets, found, strict=True)
        return {target.name: cached.content for target, cached in pairs}

    async def _one(self, target: ProviderTarget, body: bytes) -> _Cached:
        key = (target.name, hashlib.blake2b(body, digest_size=16).digest())
        cached = self._cache.get(key)
        if cached is not None and cached.until > self._now():
            metrics.VENDORDATA.labels(target.name, "kept").inc()
            return cached
        task = self._pending.get(key)
        if task is None:
            task = tasks.spawn(self._request(target, body, key), "vendor data")
            self._pending[key] = task
            task.add_done_callback(lambda _: self._pending.pop(key, None))
        return await asyncio.shield(task)  # other readers still wait for the answer

    async def _request(self, target: ProviderTarget, body: bytes, key: CacheKey) -> _Cached:
        reason, size = "", 0
        content: Json = {}
        try:
            async with asyncio.timeout(self._limits.connect + self._limits.read):
                async with self._free[target.name]:
                    content, size = await self._answer(target, body)
        except (TimeoutError, httpx.TimeoutException):
            reason = "timeout"
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
        except ValueError as error:
            reason = str(error)
        self._record(target, reason)
        seconds = min(FAILURE_CACHED, self._limits.cached) if reason else self._limits.cached
        cached = _Cached(content, size + ENTRY_BYTES, bool(reason), self._now() + seconds)
        self._store(key, cached)
        return cached

    def _store(self, key: CacheKey, cached: _Cached) -> None:
        before = self._cache.pop(key, None)
        self._cache[key] = cached
        self._size += cached.size - (before.size if before else 0)
        while self._size > CACHE_BYTES:
            _, oldest = self._cache.popitem(last=False)
            self._size -= oldest.size

    async def _answer(self, target: ProviderTarget, request_body: bytes) -> tuple[Json, int]:
        body = bytearray()
        async with self._client.stream("POST", target.url, content=request_body) as answer:
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > ANSWER_MAX:
                    raise ValueError(f"more than {ANSWER_MAX} bytes")
        return vendordata.answer_of(answer.status_code, bytes(body)), len(body)

    def _record(self, target: ProviderTarget, reason: str) -> None:
        metrics.VENDORDATA.labels(target.name, "failed" if reason else "ok").inc()
        if reason:
            log.warning("vendor data provider failed", provider=target.name, reason=reason)


def providers_of(
    config: Config, monotonic: Callable[[], float], *, verify: ssl.SSLContext | bool
) -> DynamicVendordata | None:
    """Return the providers of `config`; None unless vendordata_providers has DynamicJSON.

    `verify`: see certificates_of.
    """
    if provider_names.DYNAMIC_JSON not in config.vendordata_providers:
        return None
    return DynamicVendordata(
        vendordata.parse_targets(config.vendordata_dynamic_targets),
        limits=ProviderLimits(
            connect=config.vendordata_dynamic_connect_timeout,
            read=config.vendordata_dynamic_read_timeout,
            cached=config.vendordata_dynamic_cache_time,
        ),
        monotonic=monotonic,
        fatal=config.vendordata_dynamic_failure_fatal,
        verify=verify,
    )


def certificates_of(config: Config) -> ssl.SSLContext | bool:
    """Return the certificates to trust of providers; False if there are no providers.

    Call it before privileges are dropped. Raises StartError for unreadable certificates.
    """
    if provider_names.DYNAMIC_JSON not in config.vendordata_providers:
        return False
    path = config.vendordata_dynamic_ssl_certfile
    if not path:
        return tls.trusted()
    try:
        return ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise StartError(f"vendordata_dynamic_ssl_certfile: {path}: {error}") from error
