"""Asking the providers of dynamic vendor data: in parallel, with bounds, and remembering.

A provider may hang, redirect, or answer without end: it costs its own key of one instance, for a
bounded time, and nobody else waits.
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
from a9fe.metadata.openstack import vendordata
from a9fe.metadata.openstack.vendordata import Target
from a9fe.metadata.rendered import Json
from a9fe.model.errors import A9feError
from a9fe.runtime import metrics, tasks
from a9fe.runtime.config import Config
from a9fe.runtime.errors import StartError
from a9fe.wire.refusals import Refusal

ANSWER_MAX = 1024 * 1024  # bytes of a provider's answer
AT_ONCE = 200  # questions under way to one provider
KEPT_BYTES = 64 * 1024 * 1024  # of answers remembered, as they came
ENTRY_BYTES = 1024  # what remembering an empty one takes, about
FAILURE_KEPT = 10.0  # seconds before a provider that failed is asked again for the instance
HEADERS = {
    "content-type": "application/json",
    "accept": "application/json",
    "user-agent": "openstack-nova-vendordata",
}

log = structlog.get_logger()
Key = tuple[str, bytes]


class ProvidersFailed(A9feError):
    """A provider failed, and vendordata_dynamic_failure_fatal says that it matters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds: to connect, to have the whole answer, and how long an answer is kept."""

    connect: float = 5.0
    read: float = 5.0
    kept: float = 300.0


@dataclass(frozen=True, slots=True)
class _Kept:
    content: Json
    size: int
    failed: bool
    until: float


class DynamicVendordata:
    """The providers. One question to each for one state of an instance, however many ask."""

    def __init__(
        self,
        targets: Sequence[Target],
        *,
        limits: Limits,
        monotonic: Callable[[], float],
        fatal: bool = False,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        """Nothing is opened before it is asked. `fatal`: a failure is ProvidersFailed."""
        self._targets = targets
        self._limits = limits
        self._now = monotonic
        self._fatal = fatal
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._size = 0
        self._asking: dict[Key, asyncio.Task[_Kept]] = {}
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
        """Ask no more."""
        for task in self._asking.values():
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)
        await self._client.aclose()

    async def prepare(self, view: InstanceView, _: frozenset[str]) -> InstanceView | Refusal:
        """The view with the answers; the needs of entries are all this one."""
        try:
            return replace(view, dynamic_vendordata=await self.of(view))
        except ProvidersFailed:
            return Refusal.VENDORDATA_FAILED

    async def of(self, view: InstanceView) -> Mapping[str, Json]:
        """Each provider's answer by its name, `{}` for one that failed. Raises ProvidersFailed."""
        question = vendordata.question(view)
        found = await asyncio.gather(*(self._one(t, question) for t in self._targets))
        if self._fatal and any(kept.failed for kept in found):
            raise ProvidersFailed
        pairs = zip(self._targets, found, strict=True)
        return {target.name: kept.content for target, kept in pairs}

    async def _one(self, target: Target, question: bytes) -> _Kept:
        key = (target.name, hashlib.blake2b(question, digest_size=16).digest())
        kept = self._kept.get(key)
        if kept is not None and kept.until > self._now():
            metrics.VENDORDATA.labels(target.name, "kept").inc()
            return kept
        task = self._asking.get(key)
        if task is None:
            task = tasks.spawn(self._ask(target, question, key), "vendor data")
            self._asking[key] = task
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(task)  # who hangs up takes the answer from nobody

    async def _ask(self, target: Target, question: bytes, key: Key) -> _Kept:
        reason, size = "", 0
        content: Json = {}
        try:
            async with asyncio.timeout(self._limits.connect + self._limits.read):
                async with self._free[target.name]:
                    content, size = await self._answer(target, question)
        except (TimeoutError, httpx.TimeoutException):
            reason = "timeout"
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
        except ValueError as error:
            reason = str(error)
        self._say(target, reason)
        seconds = min(FAILURE_KEPT, self._limits.kept) if reason else self._limits.kept
        kept = _Kept(content, size + ENTRY_BYTES, bool(reason), self._now() + seconds)
        self._keep(key, kept)
        return kept

    def _keep(self, key: Key, kept: _Kept) -> None:
        before = self._kept.pop(key, None)
        self._kept[key] = kept
        self._size += kept.size - (before.size if before else 0)
        while self._size > KEPT_BYTES:
            _, oldest = self._kept.popitem(last=False)
            self._size -= oldest.size

    async def _answer(self, target: Target, question: bytes) -> tuple[Json, int]:
        body = bytearray()
        async with self._client.stream("POST", target.url, content=question) as answer:
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > ANSWER_MAX:
                    raise ValueError(f"more than {ANSWER_MAX} bytes")
        return vendordata.answer_of(answer.status_code, bytes(body)), len(body)

    def _say(self, target: Target, reason: str) -> None:
        metrics.VENDORDATA.labels(target.name, "failed" if reason else "ok").inc()
        if reason:
            log.warning("vendor data provider failed", provider=target.name, reason=reason)


def providers_of(
    config: Config, monotonic: Callable[[], float], *, verify: ssl.SSLContext | bool
) -> DynamicVendordata | None:
    """The targets of `config`; None unless DynamicJSON is one of its vendordata_providers.

    `verify` is from certificates_of.
    """
    if vendordata.DYNAMIC_JSON not in config.vendordata_providers:
        return None
    return DynamicVendordata(
        vendordata.parse_targets(config.vendordata_dynamic_targets),
        limits=Limits(
            connect=config.vendordata_dynamic_connect_timeout,
            read=config.vendordata_dynamic_read_timeout,
            kept=config.vendordata_dynamic_cache_time,
        ),
        monotonic=monotonic,
        fatal=config.vendordata_dynamic_failure_fatal,
        verify=verify,
    )


def certificates_of(config: Config) -> ssl.SSLContext | bool:
    """The trusted certificates for the targets; False if there are no targets.

    Call it before privileges are dropped. Raises StartError for unreadable certificates.
    """
    if vendordata.DYNAMIC_JSON not in config.vendordata_providers:
        return False
    path = config.vendordata_dynamic_ssl_certfile
    if not path:
        return tls.trusted()
    try:
        return ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise StartError(f"vendordata_dynamic_ssl_certfile: {path}: {error}") from error
