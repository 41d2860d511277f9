"""A host's part of the model: what each of its agents is sent, and what changes of it.

| agent    | networks, subnets | ports                                | and                     |
|----------|-------------------|--------------------------------------|-------------------------|
| dhcp     | of the host       | on networks that its agent serves    | its bindings            |
| l3       | of the host       | on networks that its routers are on  | its routers, bindings   |
| metadata | of the host       | on networks of either sort           | its routers             |
| service  | of the host and   | the same, and the other ports of the | instances behind those  |
|          | of its instances  | instances behind them                | ports, their groups     |

Of host "*", a metadata service's for the whole cloud, a part is all there is of its kinds.
A network is of a host that serves it or has a port of it. Every agent is sent its host's own
ports, and the DHCP agent those of no host on the host's networks: their taps need filters.

A change is told to whom it concerns now, and to whom it did before: what leaves a host's part is
a delete there, what enters it an upsert. Too much is harmless, too little is not: the service
keeps a network that it was sent for an instance which has left.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import TypeVar

from a9fe.model.policy import ANY_HOST
from a9fe.model.resources import (
    KINDS,
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
from a9fe.store import Change, Session

R = TypeVar("R", bound=Resource)
Key = tuple[str, str]
"""A host, and the kind of its agent."""

KINDS_OF: dict[str, tuple[str, ...]] = {
    "l3": ("network", "subnet", "port", "router", "binding"),
    "dhcp": ("network", "subnet", "port", "binding"),
    "metadata": ("network", "port", "router"),
    "service": ("network", "subnet", "security_group", "port", "instance"),
}
"""What each kind of agent follows, in the order in which a snapshot sends it."""

BY_DHCP = ("dhcp", "metadata", "service")
BY_ROUTER = ("l3", "metadata", "service")
CHUNK = 5_000  # ids of one query


def belongs_to_instance(port: Port) -> bool:
    """Whether an instance may be behind the port."""
    return bool(port.device_id) and not port.device_owner.startswith("network:")


class _Known:
    """What was found out about hosts, for the time of one batch."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._served: dict[str, frozenset[Key]] = {}
        self._bound: dict[str, frozenset[str]] = {}

    def served(self, network_id: str) -> frozenset[Key]:
        """Whose network it is to serve."""
        if network_id not in self._served:
            routed = self.session.locations.router_hosts(network_id)
            by_dhcp = {(host, a) for host in self._bound_hosts(network_id) for a in BY_DHCP}
            by_router = {(host, a) for host in routed for a in BY_ROUTER}
            self._served[network_id] = frozenset(by_dhcp | by_router)
        return self._served[network_id]

    def _bound_hosts(self, network_id: str) -> frozenset[str]:
        if network_id not in self._bound:
            self._bound[network_id] = self.session.locations.bound_hosts("dhcp", network_id)
        return self._bound[network_id]

    def members(self, network_id: str) -> frozenset[str]:
        """The hosts that a network is of."""
        return self._bound_hosts(network_id) | self.session.locations.port_hosts(network_id)

    def is_member(self, host: str, network_id: str) -> bool:
        """Whether a network is of a host."""
        bound = self._bound_hosts(network_id)
        return host in bound or self.session.locations.has_port(network_id, host)

    def serves_device(self, key: Key, device_id: str) -> bool:
        """Whether an instance is behind a port that the agent serves."""
        return any(key in self.served(n) for n in self.session.locations.networks_of(device_id))

    def has(self, key: Key, port: Port) -> bool:
        """Whether a port is of the agent's part."""
        host, agent = key
        if port.host == host or key in self.served(port.network_id):
            return True
        if agent == "dhcp":
            return not port.host and self.is_member(host, port.network_id)
        if agent == "service" and belongs_to_instance(port):
            return self.serves_device(key, port.device_id)
        return False


class _Batch:
    """Some changes, and what they mean for each of the agents that follow."""

    def __init__(self, session: Session, changes: list[Change], keys: Collection[Key]) -> None:
        self.session = session
        self.known = _Known(session)
        self.keys = frozenset(keys)
        self.told: dict[Key, dict[tuple[str, str], Change]] = defaultdict(dict)
        self.lost: dict[str, set[str]] = defaultdict(set)  # hosts that served a network before
        self.left: dict[str, set[str]] = defaultdict(set)  # hosts that had a port of a network
        self.devices: dict[str, set[str]] = defaultdict(set)  # networks of instances before
        for change in changes:
            self._remember(change)

    def _remember(self, change: Change) -> None:
        for before in change.before:
            self.left[before.network_id].add(before.host)
            if change.kind == "binding" or before.device_owner in ROUTER_INTERFACE_OWNERS:
                self.lost[before.network_id].add(before.host)
            if change.kind == "port" and before.device_id:
                self.devices[before.device_id].add(before.network_id)

    def tell(self, keys: Iterable[Key], revision: int, kind: str, what: Resource | str) -> None:
        """Send a resource, or the end of one (its id), to those that follow its kind."""
        id = what if isinstance(what, str) else what.id
        resource = None if isinstance(what, str) else what
        change = Change(revision=revision, kind=kind, id=id, resource=resource)
        for key in keys:
            if key in self.keys and kind in KINDS_OF[key[1]]:
                known = self.told[key].get((kind, id))
                if known is None or known.revision <= revision:
                    self.told[key][kind, id] = change
                else:
                    self.told[key][kind, id] = replace(change, revision=known.revision)

    def of_hosts(self, hosts: Iterable[str]) -> list[Key]:
        """All agents of hosts."""
        return [(h, agent) for h in hosts for agent in KINDS_OF if (h, agent) in self.keys]

    def was_served(self, network_id: str) -> frozenset[Key]:
        """Whose the network was to serve before the batch, or is now."""
        return self.known.served(network_id) | frozenset(self.of_hosts(self.lost[network_id]))

    # One change

    def network(self, change: Change, network_id: str) -> None:
        """A network or a subnet."""
        if change.resource is None:
            self.tell(self.keys, change.revision, change.kind, change.id)
            return
        keys = {*self.of_hosts(self.known.members(network_id))}
        if any(agent == "service" for _, agent in self.keys):
            for other in self.session.locations.beside(network_id):
                keys |= {key for key in self.known.served(other) if key[1] == "service"}
        self.tell(keys, change.revision, change.kind, change.resource)

    def binding(self, change: Change) -> None:
        """An agent serves a network or a router, or does so no longer."""
        found = change.resource
        if isinstance(found, Binding):
            self.tell(self.of_hosts([found.host]), change.revision, "binding", found)
            self._bound(found.host, found.kind, found.resource_id, change.revision)
        for before in change.before:
            if not isinstance(found, Binding) or before.host != found.host:
                keys = self.of_hosts([before.host])
                self.tell(keys, change.revision, "binding", change.id)
            self._bound(before.host, before.device_owner, before.network_id, change.revision)

    def _bound(self, host: str, kind: str, resource_id: str, revision: int) -> None:
        if kind == "dhcp":
            self.refresh(host, resource_id, revision)
            return
        router = self.session.get(Router, resource_id)
        here = router and host in self.session.locations.bound_hosts("l3", resource_id)
        keys = self.of_hosts([host])
        self.tell(keys, revision, "router", router if router and here else resource_id)

    def router(self, change: Change) -> None:
        """A router."""
        if change.resource is None:
            self.tell(self.keys, change.revision, "router", change.id)
        else:
            hosts = self.session.locations.bound_hosts("l3", change.id)
            self.tell(self.of_hosts(hosts), change.revision, "router", change.resource)

    def instance(self, change: Change) -> None:
        """An instance."""
        if change.resource is None:
            self.tell(self.keys, change.revision, "instance", change.id)
            return
        for network_id in self.session.locations.networks_of(change.id):
            keys = self.known.served(network_id)
            self.tell(keys, change.revision, "instance", change.resource)

    def port(self, change: Change) -> None:
        """A port: it may have taken its network to a host, or away with it."""
        port = change.resource if isinstance(change.resource, Port) else None
        network_ids = {b.network_id for b in change.before if b.network_id}
        network_ids |= {port.network_id} if port else set()
        hosts = {b.host for b in change.before} | ({port.host} if port else set())
        devices = {b.device_id for b in change.before if _may_be_instance(b.device_owner)}
        if port and belongs_to_instance(port):
            devices.add(port.device_id)
        for network_id in network_ids:
            keys = {*self.was_served(network_id), *self.of_hosts(hosts)}
            if "" in hosts:
                members = self.known.members(network_id) | self.left[network_id]
                keys |= {(host, "dhcp") for host in members}
            keys |= {key for device in devices for key in self._followers(device)}
            self.judge(keys, change.revision, port or change.id)
            if change.before:
                self._moved(change, port, network_id, hosts)
        if change.before:
            for device in sorted(devices - {""}):
                self.behind(device, self._followers(device), change.revision)

    def _followers(self, device_id: str) -> set[Key]:
        """The services that an instance is or was behind a served port of."""
        networks = self.session.locations.networks_of(device_id) | self.devices[device_id]
        return {key for n in networks for key in self.was_served(n) if key[1] == "service"}

    def _moved(
        self, change: Change, port: Port | None, network_id: str, hosts: Iterable[str]
    ) -> None:
        owners = {b.device_owner for b in change.before} | ({port.device_owner} if port else set())
        for host in hosts:
            if host and owners & ROUTER_INTERFACE_OWNERS:
                self.refresh(host, network_id, change.revision)
            elif host:
                self._refresh_network(host, network_id, change.revision)

    def judge(self, keys: Iterable[Key], revision: int, port: Port | str) -> None:
        """Send a port to those whose it is, and its end to the others."""
        for key in keys:
            if key in self.keys:
                ours = isinstance(port, Port) and self.known.has(key, port)
                gone = port.id if isinstance(port, Port) else port
                self.tell([key], revision, "port", port if ours else gone)
                if ours and isinstance(port, Port):
                    self._send_groups(key, port, revision)

    def _send_groups(self, key: Key, port: Port, revision: int) -> None:
        """The groups that a port is in, whose names its instance reads."""
        if key[1] == "service" and port.security_groups:
            for group in self.session.find(SecurityGroup, id=list(port.security_groups)):
                self.tell([key], revision, "security_group", group)

    def group(self, change: Change) -> None:
        """A security group."""
        if change.resource is None:
            self.tell(self.keys, change.revision, change.kind, change.id)
            return
        for network_id in self.session.locations.networks_with(change.id):
            keys = self.known.served(network_id)
            self.tell(keys, change.revision, change.kind, change.resource)

    def refresh(self, host: str, network_id: str, revision: int) -> None:
        """A host serves a network now, or no longer: judge all that is on it."""
        keys = self.of_hosts([host])
        if not keys:
            return
        self._refresh_network(host, network_id, revision)
        found = self.session.find(Port, network_id=network_id)
        for port in found:
            self.judge(keys, revision, port)
        for device in {p.device_id for p in found if belongs_to_instance(p)}:
            self.behind(device, [(host, "service")], revision)

    def _refresh_network(self, host: str, network_id: str, revision: int) -> None:
        keys = self.of_hosts([host])
        if not keys:
            return
        for port in self.session.find(Port, network_id=network_id, host=""):
            self.judge([(host, "dhcp")], revision, port)
        if self.known.is_member(host, network_id):
            self._send_networks(keys, [network_id], revision)
            return
        self.tell(keys, revision, "network", network_id)
        for subnet in self.session.find(Subnet, network_id=network_id):
            self.tell(keys, revision, "subnet", subnet.id)

    def _send_networks(self, keys: Iterable[Key], ids: Iterable[str], revision: int) -> None:
        keys, ids = list(keys), sorted(ids)
        for network in self.session.find(Network, id=ids):
            self.tell(keys, revision, "network", network)
        for subnet in self.session.find(Subnet, network_id=ids):
            self.tell(keys, revision, "subnet", subnet)

    def behind(self, device_id: str, keys: Iterable[Key], revision: int) -> None:
        """An instance has got or lost a port: judge it and all of its ports."""
        keys = [key for key in keys if key in self.keys]
        instance = self.session.get(Instance, device_id) if keys else None
        if instance is None:
            return
        ports = [p for p in self.session.find(Port, device_id=device_id) if belongs_to_instance(p)]
        for key in keys:
            serves = self.known.serves_device(key, device_id)
            self.tell([key], revision, "instance", instance if serves else device_id)
            if serves:
                self._send_networks([key], {p.network_id for p in ports}, revision)
        for port in ports:
            self.judge(keys, revision, port)


def _may_be_instance(device_owner: str) -> bool:
    return not device_owner.startswith("network:")


def deliveries(
    session: Session, changes: list[Change], keys: Collection[Key]
) -> dict[Key, list[Change]]:
    """What those changes mean for each agent, in the order of revisions."""
    batch = _Batch(session, changes, keys)
    for change in changes:
        match change.kind:
            case "network" | "subnet":
                batch.network(change, getattr(change.resource, "network_id", change.id))
            case "port":
                batch.port(change)
            case "router":
                batch.router(change)
            case "binding":
                batch.binding(change)
            case "instance":
                batch.instance(change)
            case "security_group":
                batch.group(change)
            case _:
                pass  # no agent follows it
    found = {
        key: sorted(told.values(), key=lambda change: change.revision)
        for key, told in batch.told.items()
    }
    return found | _of_all_hosts(changes, keys)


def _of_all_hosts(changes: list[Change], keys: Collection[Key]) -> dict[Key, list[Change]]:
    return {
        (ANY_HOST, agent): [change for change in changes if change.kind in kinds]
        for agent, kinds in KINDS_OF.items()
        if (ANY_HOST, agent) in keys
    }


def snapshot(session: Session, key: Key) -> Iterable[Resource]:
    """All of an agent's part, in the order of its kinds."""
    host, agent = key
    if host == ANY_HOST:
        for kind in KINDS_OF[agent]:
            yield from session.find(KINDS[kind])
        return
    bindings = session.find(Binding, host=host)
    bound = {b.resource_id for b in bindings if b.kind == "dhcp"}
    routed = session.locations.routed_here(host)
    served = (bound if agent in BY_DHCP else frozenset()) | (
        routed if agent in BY_ROUTER else frozenset()
    )
    networks = bound | session.locations.networks_here(host)
    ports = {p.id: p for p in _find(session, Port, "network_id", served)}
    ports |= {p.id: p for p in session.find(Port, host=host)}
    if agent == "dhcp":
        ports |= {p.id: p for p in _find(session, Port, "network_id", networks) if not p.host}
    instances: list[Instance] = []
    if agent == "service":
        devices = session.locations.devices_on(served) if served else frozenset()
        instances = _find(session, Instance, "id", devices)
        theirs = _find(session, Port, "device_id", {i.id for i in instances})
        ports |= {p.id: p for p in theirs if belongs_to_instance(p)}
        networks |= {p.network_id for p in theirs}
    found: dict[str, Iterable[Resource]] = {
        "network": _find(session, Network, "id", networks),
        "subnet": _find(session, Subnet, "network_id", networks),
        "port": ports.values(),
        "router": _find(session, Router, "id", {b.resource_id for b in bindings}),
        "binding": bindings,
        "instance": instances,
        "security_group": _groups(session, ports.values()) if agent == "service" else (),
    }
    for kind in KINDS_OF[agent]:
        yield from found[kind]


def _groups(session: Session, ports: Iterable[Port]) -> list[SecurityGroup]:
    return _find(session, SecurityGroup, "id", {id for p in ports for id in p.security_groups})


def _find(session: Session, cls: type[R], field: str, values: Iterable[str]) -> list[R]:
    ids = sorted(values)
    chunks = [ids[i : i + CHUNK] for i in range(0, len(ids), CHUNK)]
    return [found for chunk in chunks for found in session.find(cls, **{field: chunk})]
