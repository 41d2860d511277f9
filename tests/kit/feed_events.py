"""Events of the change feed, as tests write them."""

from a9fe.api_client.feed import FeedEvent
from a9fe.model.resources import KIND_OF, FixedIp, Instance, Port, Resource
from a9fe.replica import Replica

NOW = 1000.0


def upsert(revision: int, resource: Resource) -> FeedEvent:
    kind = KIND_OF[type(resource)]
    return FeedEvent(event="upsert", revision=revision, kind=kind, id=resource.id, object=resource)


def delete(revision: int, kind: str, id: str) -> FeedEvent:
    return FeedEvent(event="delete", revision=revision, kind=kind, id=id)


def plain(event: str, revision: int) -> FeedEvent:
    return FeedEvent(event=event, revision=revision)


def port(id: str, *ips: str, network: str = "n", device: str = "") -> Port:
    fixed = tuple(FixedIp(subnet_id="s", ip_address=ip) for ip in ips)
    return Port(id=id, network_id=network, mac_address=id, fixed_ips=fixed, device_id=device)


def feed(replica: Replica, *events: FeedEvent, now: float = NOW) -> None:
    for event in events:
        replica.apply(event, now)


def snapshot(revision: int, *resources: Resource) -> list[FeedEvent]:
    body = [upsert(revision, resource) for resource in resources]
    return [plain("snapshot", revision), *body, plain("synced", revision)]


def vm(id: str, user_data: bytes | None) -> Instance:
    return Instance(id=id, name=id, user_data=user_data)
