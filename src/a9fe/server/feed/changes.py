"""What changes of the model mean for each follower of the feed.

A change is sent to the followers whose part has the resource now, and to those whose part had it
before: what leaves a part is deleted there, what enters it is upserted. To send too much is
harmless, to send too little is not: a metadata service keeps networks that it was sent for an
instance which has left since.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from a9fe.model.policy import ANY_HOST
from a9fe.model.resources import (
    ROUTER_INTERFACE_OWNERS,
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
from a9fe.server.feed.deliveries import Deliveries, Former, former
from a9fe.server.feed.relations import Relations, belongs_to_instance, may_be_instance
from a9fe.server.feed.roles import Follower, PortRelation
from a9fe.store import Change, Session

NOBODY: frozenset[str] = frozenset()


def deliveries(
    session: Session, changes: list[Change], followers: Collection[Follower]
) -> dict[Follower, list[Change]]:
    """Return what those changes send to each follower, by revision."""
    batch = _Batch(
        session=session,
        now=Relations(session),
        former=former(changes),
        out=Deliveries([f for f in followers if f.host != ANY_HOST]),
    )
    for change in changes:
        if judge := _JUDGES.get(change.kind):
            judge(batch, change)
    return batch.out.sorted() | {
        follower: [change for change in changes if change.kind in follower.role.kinds]
        for follower in followers
        if follower.host == ANY_HOST
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    """Some changes, the relations before and after them, and what is sent."""

    session: Session
    now: Relations
    former: Former
    out: Deliveries

    def serving_now_or_before(self, network_id: str) -> frozenset[Follower]:
        hosts = self.former.serving.get(network_id, NOBODY)
        return self.now.serving(network_id) | frozenset(self.out.on(hosts))

    def followers_of_instance(self, instance_id: str) -> set[Follower]:
        """Return the followers that serve, or served, a network of an instance."""
        networks = self.session.locations.networks_of(instance_id)
        networks |= self.former.networks.get(instance_id, NOBODY)
        serving = {f for network_id in networks for f in self.serving_now_or_before(network_id)}
        return serving & self.out.of_instances


# Judges: one for each kind of resource.


def _network_or_subnet(batch: _Batch, change: Change) -> None:
    network_id = getattr(change.resource, "network_id", change.id)
    if change.resource is None:
        batch.out.send(batch.out.followers, change.revision, change.kind, change.id)
        return
    to = set(batch.out.on(batch.now.hosts_of(network_id)))
    if batch.out.of_instances:
        for other in batch.session.locations.beside(network_id):
            to |= batch.now.serving(other) & batch.out.of_instances
    batch.out.send(to, change.revision, change.kind, change.resource)


def _binding(batch: _Batch, change: Change) -> None:
    binding = change.resource if isinstance(change.resource, Binding) else None
    if binding:
        batch.out.send(batch.out.on([binding.host]), change.revision, "binding", binding)
        _bound(batch, binding.host, binding.kind, binding.resource_id, change.revision)
    for before in change.before:
        if binding is None or before.host != binding.host:
            batch.out.send(batch.out.on([before.host]), change.revision, "binding", change.id)
        _bound(batch, before.host, before.device_owner, before.network_id, change.revision)


def _bound(batch: _Batch, host: str, kind: str, resource_id: str, revision: int) -> None:
    """Send what a host's agent has got, or lost, by a binding."""
    if kind == "dhcp":
        _send_served(batch, host, resource_id, revision)
        return
    router = batch.session.get(Router, resource_id)
    is_here = router and host in batch.session.locations.bound_hosts("l3", resource_id)
    what = router if router and is_here else resource_id
    batch.out.send(batch.out.on([host]), revision, "router", what)
    for floating in batch.session.find(FloatingIp, router_id=resource_id):
        batch.out.send(
            batch.out.on([host]), revision, "floatingip", floating if is_here else floating.id
        )


def _router(batch: _Batch, change: Change) -> None:
    if change.resource is None:
        batch.out.send(batch.out.followers, change.revision, "router", change.id)
    else:
        hosts = batch.session.locations.bound_hosts("l3", change.id)
        batch.out.send(batch.out.on(hosts), change.revision, "router", change.resource)


def _floating_ip(batch: _Batch, change: Change) -> None:
    """Send an associated floating IP to the host of its router; delete it where it was before."""
    floating = change.resource if isinstance(change.resource, FloatingIp) else None
    router_id = floating.router_id if floating else None
    if any(before.device_id for before in change.before):
        batch.out.send(batch.out.followers, change.revision, "floatingip", change.id)
    if floating and router_id:
        hosts = batch.session.locations.bound_hosts("l3", router_id)
        batch.out.send(batch.out.on(hosts), change.revision, "floatingip", floating)


def _instance(batch: _Batch, change: Change) -> None:
    networks = batch.session.locations.networks_of
    _send_to_serving(batch, change, networks)


def _security_group(batch: _Batch, change: Change) -> None:
    _send_to_serving(batch, change, batch.session.locations.networks_with)


def _send_to_serving(
    batch: _Batch, change: Change, networks: Callable[[str], frozenset[str]]
) -> None:
    """Send a resource to the followers that serve one of its networks; a deletion to all."""
    if change.resource is None:
        batch.out.send(batch.out.followers, change.revision, change.kind, change.id)
        return
    for network_id in networks(change.id):
        to = batch.now.serving(network_id)
        batch.out.send(to, change.revision, change.kind, change.resource)


def _port(batch: _Batch, change: Change) -> None:
    """Send a port, and the network and the instance that it takes to a host or away from it."""
    port = change.resource if isinstance(change.resource, Port) else None
    places = _places(change, port)
    for network_id in places.networks:
        to = {*batch.serving_now_or_before(network_id), *batch.out.on(places.hosts)}
        if "" in places.hosts:
            hosts = batch.now.hosts_of(network_id)
            hosts |= batch.former.with_port.get(network_id, NOBODY)
            to |= set(batch.out.on(hosts, PortRelation.UNBOUND))
        for instance_id in places.instances:
            to |= batch.followers_of_instance(instance_id)
        _send_port(batch, to, change.revision, port or change.id)
        if change.before:
            _send_moved(batch, places, network_id, change.revision)
    if change.before:
        for instance_id in sorted(places.instances):
            to = batch.followers_of_instance(instance_id)
            _send_instance(batch, instance_id, to, change.revision)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Places:
    """Where a port is and was; `hosts` has "" for a port without a host."""

    networks: frozenset[str]
    hosts: frozenset[str]
    instances: frozenset[str]
    is_router_interface: bool


def _places(change: Change, port: Port | None) -> _Places:
    before = change.before
    instances = {b.device_id for b in before if may_be_instance(b.device_owner)}
    if port and belongs_to_instance(port):
        instances.add(port.device_id)
    owners = {b.device_owner for b in before} | ({port.device_owner} if port else set())
    return _Places(
        networks=frozenset(b.network_id for b in before if b.network_id)
        | ({port.network_id} if port else set()),
        hosts=frozenset(b.host for b in before) | ({port.host} if port else set()),
        instances=frozenset(instances - {""}),
        is_router_interface=bool(owners & ROUTER_INTERFACE_OWNERS),
    )


def _send_moved(batch: _Batch, places: _Places, network_id: str, revision: int) -> None:
    """Send what hosts got or lost with a port: a router interface makes its host serve."""
    send = _send_served if places.is_router_interface else _send_network
    for host in places.hosts - {""}:
        send(batch, host, network_id, revision)


_JUDGES: Mapping[str, Callable[[_Batch, Change], None]] = {
    "network": _network_or_subnet,
    "subnet": _network_or_subnet,
    "port": _port,
    "router": _router,
    "floatingip": _floating_ip,
    "binding": _binding,
    "instance": _instance,
    "security_group": _security_group,
}
"""By kind; no follower is sent the other kinds."""


# Senders: a follower is sent the resource if it is in its part, else its deletion.


def _send_port(batch: _Batch, to: Iterable[Follower], revision: int, port: Port | str) -> None:
    for follower in batch.out.followers.intersection(to):
        if not isinstance(port, Port):
            batch.out.send([follower], revision, "port", port)
        elif batch.now.is_sent(follower, port):
            batch.out.send([follower], revision, "port", port)
            _send_groups(batch, follower, port, revision)
        else:
            batch.out.send([follower], revision, "port", port.id)


def _send_groups(batch: _Batch, follower: Follower, port: Port, revision: int) -> None:
    """Send the port's security groups; an instance reads their names."""
    if follower in batch.out.of_instances and port.security_groups:
        for group in batch.session.find(SecurityGroup, id=list(port.security_groups)):
            batch.out.send([follower], revision, "security_group", group)


def _send_served(batch: _Batch, host: str, network_id: str, revision: int) -> None:
    """Send a network and all ports on it, after a host began or stopped to serve it."""
    to = batch.out.on([host])
    if not to:
        return
    _send_network(batch, host, network_id, revision)
    ports = batch.session.find(Port, network_id=network_id)
    for port in ports:
        _send_port(batch, to, revision, port)
    of_instances = batch.out.of_instances.intersection(to)
    for instance_id in {p.device_id for p in ports if belongs_to_instance(p)}:
        _send_instance(batch, instance_id, of_instances, revision)


def _send_network(batch: _Batch, host: str, network_id: str, revision: int) -> None:
    """Send a network and its ports without a host, after a host may have got or lost it."""
    to = batch.out.on([host])
    if not to:
        return
    for port in batch.session.find(Port, network_id=network_id, host=""):
        _send_port(batch, batch.out.on([host], PortRelation.UNBOUND), revision, port)
    if batch.now.is_of_host(network_id, host):
        _send_networks(batch, to, [network_id], revision)
        return
    batch.out.send(to, revision, "network", network_id)
    for subnet in batch.session.find(Subnet, network_id=network_id):
        batch.out.send(to, revision, "subnet", subnet.id)


def _send_networks(
    batch: _Batch, to: Collection[Follower], network_ids: Iterable[str], revision: int
) -> None:
    ids = sorted(network_ids)
    found: list[Resource] = [
        *batch.session.find(Network, id=ids),
        *batch.session.find(Subnet, network_id=ids),
    ]
    for resource in found:
        kind = "network" if isinstance(resource, Network) else "subnet"
        batch.out.send(to, revision, kind, resource)


def _send_instance(batch: _Batch, instance_id: str, to: Iterable[Follower], revision: int) -> None:
    """Send an instance and all its ports, after it got or lost a port."""
    followers = batch.out.followers.intersection(to)
    instance = batch.session.get(Instance, instance_id) if followers else None
    if instance is None:
        return
    found = batch.session.find(Port, device_id=instance_id)
    ports = [port for port in found if belongs_to_instance(port)]
    for follower in followers:
        if batch.now.serves_instance(follower, instance_id):
            batch.out.send([follower], revision, "instance", instance)
            _send_networks(batch, [follower], {p.network_id for p in ports}, revision)
        else:
            batch.out.send([follower], revision, "instance", instance_id)
    for port in ports:
        _send_port(batch, followers, revision, port)
