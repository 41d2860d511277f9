"""The replica's resources in memory, and the indexes over them. No I/O.

A resource that changed is removed from the indexes by its old values, then added by its new ones.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, TypeVar

from a9fe.model.resources import (
    KINDS,
    Binding,
    Instance,
    Network,
    Port,
    Resource,
    Subnet,
)
from a9fe.model.subnet_pools import FloatingIp
from a9fe.plan.names import DEVICE_ID_LENGTH

K = TypeVar("K", bound=Hashable)
R = TypeVar("R", bound=Resource)


@dataclass(frozen=True, slots=True)
class Entry:
    """A resource, and the revision of the event that brought it.

    `resource` never has user data, which are large and seldom read. `has_user_data`: whether the
    instance has some, perhaps empty; they are read when asked for (persistence.py).
    """

    revision: int
    resource: Resource
    has_user_data: bool = False


def entry_of(revision: int, resource: Resource) -> Entry:
    """Return the entry of a resource, without its user data."""
    if isinstance(resource, Instance) and resource.user_data is not None:
        return Entry(revision, replace(resource, user_data=None), has_user_data=True)
    return Entry(revision, resource)


class Index(Generic[R, K]):
    """Resources of one class by key. A resource has none, one or several keys."""

    def __init__(self, of: type[R], keys: Callable[[R], Iterable[K]]) -> None:
        """`keys(resource)` must always return the same keys for the same resource."""
        self._of = of
        self._keys = keys
        self._found: dict[K, dict[str, R]] = {}

    def add(self, resource: Resource) -> None:
        """Add a resource; of another class it is left out."""
        if isinstance(resource, self._of):
            for key in self._keys(resource):
                self._found.setdefault(key, {})[resource.id] = resource

    def remove(self, resource: Resource) -> None:
        """Remove a resource that was added before."""
        if isinstance(resource, self._of):
            for key in set(self._keys(resource)):
                found = self._found[key]
                del found[resource.id]
                if not found:
                    del self._found[key]

    def find(self, key: K) -> tuple[R, ...]:
        """Return the resources with a key."""
        return tuple(self._found.get(key, {}).values())

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self._found)


def _addresses(port: Port) -> Iterable[tuple[str, str]]:
    return [(port.network_id, ip.ip_address) for ip in port.fixed_ips]


def _devices(port: Port) -> Iterable[str]:
    return [port.device_id] if port.device_id else []


def _macs(port: Port) -> Iterable[tuple[str, str]]:
    return [(port.network_id, port.mac_address.lower())]


def _networks(resource: Port | Subnet) -> Iterable[str]:
    return [resource.network_id]


def _bound(binding: Binding) -> Iterable[str]:
    return [binding.resource_id]


def _router(floating: FloatingIp) -> Iterable[str]:
    return [floating.router_id] if floating.router_id else []


def _short_id(resource: Port | Network) -> Iterable[str]:
    return [resource.id[:DEVICE_ID_LENGTH]]


class _AnyIndex(Protocol):
    def add(self, resource: Resource, /) -> None: ...
    def remove(self, resource: Resource, /) -> None: ...


@dataclass(slots=True)
class State:
    """Resources by kind and id, and by what they belong to. A change costs O(1)."""

    entries: dict[str, dict[str, Entry]] = field(
        default_factory=lambda: {kind: {} for kind in KINDS}
    )
    by_address: Index[Port, tuple[str, str]] = field(
        default_factory=lambda: Index(Port, _addresses)
    )
    by_device: Index[Port, str] = field(default_factory=lambda: Index(Port, _devices))
    by_network: Index[Port, str] = field(default_factory=lambda: Index(Port, _networks))
    by_mac: Index[Port, tuple[str, str]] = field(default_factory=lambda: Index(Port, _macs))
    ports_by_short_id: Index[Port, str] = field(default_factory=lambda: Index(Port, _short_id))
    networks_by_short_id: Index[Network, str] = field(
        default_factory=lambda: Index(Network, _short_id)
    )
    subnets_by_network: Index[Subnet, str] = field(
        default_factory=lambda: Index(Subnet, _networks)
    )
    bindings_by_resource: Index[Binding, str] = field(
        default_factory=lambda: Index(Binding, _bound)
    )
    floating_ips_by_router: Index[FloatingIp, str] = field(
        default_factory=lambda: Index(FloatingIp, _router)
    )

    def entry(self, kind: str, id: str) -> Entry | None:
        """Return the entry with this id."""
        return self.entries[kind].get(id)

    def put(self, kind: str, entry: Entry) -> None:
        """Add an entry, or replace the one with its id."""
        self.remove(kind, entry.resource.id)
        self.entries[kind][entry.resource.id] = entry
        for index in self._indexes_of(kind):
            index.add(entry.resource)

    def remove(self, kind: str, id: str) -> None:
        """Remove the entry with this id, if there is one."""
        entry = self.entries[kind].pop(id, None)
        if entry is not None:
            for index in self._indexes_of(kind):
                index.remove(entry.resource)

    @property
    def ports(self) -> dict[str, Port]:
        """Return all ports by id."""
        found = {id: entry.resource for id, entry in self.entries["port"].items()}
        return {id: port for id, port in found.items() if isinstance(port, Port)}

    def _indexes_of(self, kind: str) -> Iterator[_AnyIndex]:
        if kind == "port":
            yield from (self.by_address, self.by_device, self.by_network, self.by_mac)
            yield self.ports_by_short_id
        elif kind == "subnet":
            yield self.subnets_by_network
        elif kind == "binding":
            yield self.bindings_by_resource
        elif kind == "floatingip":
            yield self.floating_ips_by_router
        elif kind == "network":
            yield self.networks_by_short_id
