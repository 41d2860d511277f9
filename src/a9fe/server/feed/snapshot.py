"""All that a follower is sent when it starts anew."""

from collections.abc import Iterable
from typing import TypeVar

from a9fe.model.policy import ANY_HOST
from a9fe.model.resources import (
    KINDS,
    Binding,
    Instance,
    Network,
    Port,
    Resource,
    Router,
    SecurityGroup,
    Subnet,
)
from a9fe.model.subnet_pools import FloatingIp
from a9fe.server.feed.relations import belongs_to_instance
from a9fe.server.feed.roles import Follower, PortRelation, Service
from a9fe.store import Session

R = TypeVar("R", bound=Resource)
IDS_PER_QUERY = 5_000


def snapshot(session: Session, follower: Follower) -> Iterable[Resource]:
    """Yield the follower's part, in the order of its role's kinds."""
    found = _all(session, follower) if follower.host == ANY_HOST else _part(session, follower)
    for kind in follower.role.kinds:
        yield from found[kind]


def _all(session: Session, follower: Follower) -> dict[str, Iterable[Resource]]:
    return {kind: session.find(KINDS[kind]) for kind in follower.role.kinds}


def _part(session: Session, follower: Follower) -> dict[str, Iterable[Resource]]:
    host, role = follower.host, follower.role
    bindings = session.find(Binding, host=host)
    bound = frozenset(b.resource_id for b in bindings if b.kind == "dhcp")
    routers = {b.resource_id for b in bindings if b.kind == "l3"}
    by = {Service.DHCP: bound, Service.ROUTER: session.locations.routed_here(host)}
    served = frozenset[str]().union(*(by[service] for service in role.serves_by))
    networks = bound | session.locations.networks_here(host)
    ports = {p.id: p for p in _find(session, Port, "network_id", served)}
    ports |= {p.id: p for p in session.find(Port, host=host)}
    if PortRelation.UNBOUND in role.ports:
        ports |= {p.id: p for p in _find(session, Port, "network_id", networks) if not p.host}
    instances: list[Instance] = []
    if role.follows_instances:
        instances = _instances(session, served)
        of_instances = _find(session, Port, "device_id", {i.id for i in instances})
        ports |= {p.id: p for p in of_instances if belongs_to_instance(p)}
        networks |= {p.network_id for p in of_instances}
    return {
        "network": _find(session, Network, "id", networks),
        "subnet": _find(session, Subnet, "network_id", networks),
        "port": ports.values(),
        "router": _find(session, Router, "id", routers),
        "floatingip": _find(session, FloatingIp, "router_id", routers),
        "binding": bindings,
        "instance": instances,
        "security_group": _groups(session, ports.values()) if role.follows_instances else (),
    }


def _instances(session: Session, served: frozenset[str]) -> list[Instance]:
    devices = session.locations.devices_on(served) if served else frozenset()
    return _find(session, Instance, "id", devices)


def _groups(session: Session, ports: Iterable[Port]) -> list[SecurityGroup]:
    return _find(session, SecurityGroup, "id", {id for p in ports for id in p.security_groups})


def _find(session: Session, cls: type[R], field: str, values: Iterable[str]) -> list[R]:
    ids = sorted(values)
    chunks = [ids[i : i + IDS_PER_QUERY] for i in range(0, len(ids), IDS_PER_QUERY)]
    return [found for chunk in chunks for found in session.find(cls, **{field: chunk})]
