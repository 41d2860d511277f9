"""A metadata service over a fake source, the real replica or the store; signed requests to it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from a9fe.api_client.feed import FeedEvent
from a9fe.metadata.instance_view import Settings
from a9fe.metadata_service.origin import Origin
from a9fe.metadata_service.service import Service, Source
from a9fe.metadata_service.signed_service import SignedService
from a9fe.model.resources import KIND_OF, Instance, Port, Resource
from a9fe.model.user_data import KnownInstance, loaded
from a9fe.replica import Replica
from a9fe.wire.freshness import Freshness
from a9fe.wire.message import Answer, Request
from a9fe.wire.refusals import Refusal, refuse
from a9fe.wire.trusted import sign
from tests.golden.metadata.scenarios import (
    INSTANCE_ID,
    PROJECT,
    one_card,
    zeros,
)

SECRET = "a shared secret"
NOW = 1_000_000.0
LOST_AFTER = 60.0
OTHER_ID = "11111111-2222-4333-8444-555555555555"
META_DATA = b"/openstack/latest/meta_data.json"
ORIGIN = Origin(instance_id=INSTANCE_ID, tenant_id=PROJECT)
VIEW = one_card()
RESOURCES: tuple[Resource, ...] = (
    VIEW.instance,
    *VIEW.ports,
    *VIEW.networks.values(),
    *VIEW.subnets.values(),
)


SYNCED = Freshness(ever_synced=True, synced_now=True, lost_for=0.0)


@dataclass
class FakeSource:
    """A source with the given resources and freshness."""

    resources: tuple[Resource, ...]
    fresh: Freshness

    def get(self, kind: str, id: str) -> Resource | None:
        found = (r for r in self.resources if KIND_OF[type(r)] == kind and r.id == id)
        return next(found, None)

    def instance(self, id: str) -> KnownInstance | None:
        found = self.get("instance", id)
        return loaded(found) if isinstance(found, Instance) else None

    def ports_by_device(self, device_id: str) -> tuple[Port, ...]:
        ports = (r for r in self.resources if isinstance(r, Port))
        return tuple(port for port in ports if port.device_id == device_id)

    def freshness(self, now: float) -> Freshness:
        return self.fresh


def replica(resources: tuple[Resource, ...], fresh: Freshness) -> Replica:
    """Return a real replica in that state, reached by events."""
    made = Replica()
    if not fresh.ever_synced:
        return made
    made.apply(FeedEvent(event="snapshot", revision=1, kind="", object=None, id=""), NOW)
    for resource in resources:
        kind = KIND_OF[type(resource)]
        made.apply(
            FeedEvent(event="upsert", revision=1, kind=kind, object=resource, id=resource.id), NOW
        )
    made.apply(FeedEvent(event="synced", revision=1, kind="", object=None, id=""), NOW)
    if not fresh.synced_now:
        made.lost(NOW - fresh.lost_for)
    return made


async def always_certain() -> bool:
    """Confirm every miss."""
    return True


def signed_service(**of: Any) -> SignedService:
    """Return a Service of these fields, behind signed headers."""
    return SignedService(service=Service(**of), secret=SECRET)


MakeSource = Callable[[tuple[Resource, ...], Freshness], Source]


@dataclass
class Asking:
    """A service over a source, and its refusals."""

    make_source: MakeSource
    resources: tuple[Resource, ...] = RESOURCES
    fresh: Freshness = SYNCED
    settings: Settings = field(default_factory=Settings)
    refused: list[Refusal] = field(default_factory=list)
    certain: bool = True
    news: Callable[[], None] = lambda: None

    def __call__(self, request: Request) -> Answer:
        return asyncio.run(self._asked(request))

    async def _asked(self, request: Request) -> Answer:
        def count(refusal: Refusal, _: Request, request_id: str) -> Answer:
            self.refused.append(refusal)
            return refuse(refusal, request_id)

        async def confirm() -> bool:
            self.news()
            return self.certain

        source = self.make_source(self.resources, self.fresh)
        service = signed_service(
            confirm=confirm,
            source=source,
            settings=lambda: self.settings,
            now=lambda: NOW,
            random_bytes=zeros,
            source_lost_after=LOST_AFTER,
            refuse=count,
        )
        answer = service(request)
        return answer if isinstance(answer, Answer) else await answer


def signed(
    target: bytes = META_DATA,
    *,
    method: bytes = b"GET",
    instance_id: str = INSTANCE_ID,
    tenant_id: str = PROJECT,
    extra: tuple[tuple[bytes, bytes], ...] = (),
) -> Request:
    """Return a request with the four headers of Neutron's agent."""
    return Request(
        method=method,
        target=target,
        headers=(
            (b"x-forwarded-for", b"10.1.0.7"),
            (b"x-instance-id", instance_id.encode()),
            (b"x-tenant-id", tenant_id.encode()),
            (b"x-instance-id-signature", sign(SECRET, instance_id).encode()),
            *extra,
        ),
    )


def without(request: Request, *names: bytes) -> Request:
    return replace(request, headers=tuple(h for h in request.headers if h[0] not in names))
