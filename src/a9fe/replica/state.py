"""The replica's resources in memory, and the indexes over its ports. No I/O.

A port that changed is removed from the indexes by its old values, then added by its new ones.
"""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from a9fe.model.resources import KINDS, Instance, Port, Resource

K = TypeVar("K", bound=Hashable)


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


class Index(Generic[K]):
    """Ports by key. A port has none, one or several keys."""

    def __init__(self, keys: Callable[[Port], Iterable[K]]) -> None:
        """`keys(port)` must always return the same keys for the same port."""
        self._keys = keys
        self._ports: dict[K, dict[str, Port]] = {}

    def add(self, port: Port) -> None:
        """Add a port."""
        for key in self._keys(port):
            self._ports.setdefault(key, {})[port.id] = port

    def remove(self, port: Port) -> None:
        """Remove a port that was added before."""
        for key in set(self._keys(port)):
            ports = self._ports[key]
            del ports[port.id]
            if not ports:
                del self._ports[key]

    def find(self, key: K) -> tuple[Port, ...]:
        """Return the ports with a key."""
        return tuple(self._ports.get(key, {}).values())

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self._ports)


def _addresses(port: Port) -> Iterable[tuple[str, str]]:
    return [(port.network_id, ip.ip_address) for ip in port.fixed_ips]


def _devices(port: Port) -> Iterable[str]:
    return [port.device_id] if port.device_id else []


def _macs(port: Port) -> Iterable[tuple[str, str]]:
    return [(port.network_id, port.mac_address.lower())]


def _networks(port: Port) -> Iterable[str]:
    return [port.network_id]


@dataclass(slots=True)
class State:
    """Resources by kind and id, and ports by address, device, network and MAC."""

    entries: dict[str, dict[str, Entry]] = field(
        default_factory=lambda: {kind: {} for kind in KINDS}
    )
    by_address: Index[tuple[str, str]] = field(default_factory=lambda: Index(_addresses))
    by_device: Index[str] = field(default_factory=lambda: Index(_devices))
    by_network: Index[str] = field(default_factory=lambda: Index(_networks))
    by_mac: Index[tuple[str, str]] = field(default_factory=lambda: Index(_macs))

    def entry(self, kind: str, id: str) -> Entry | None:
        """Return the entry with this id."""
        return self.entries[kind].get(id)

    def put(self, kind: str, entry: Entry) -> None:
        """Add an entry, or replace the one with its id."""
        self.remove(kind, entry.resource.id)
        self.entries[kind][entry.resource.id] = entry
        if isinstance(entry.resource, Port):
            for index in self._indexes:
                index.add(entry.resource)

    def remove(self, kind: str, id: str) -> None:
        """Remove the entry with this id, if there is one."""
        entry = self.entries[kind].pop(id, None)
        if entry is not None and isinstance(entry.resource, Port):
            for index in self._indexes:
                index.remove(entry.resource)

    @property
    def ports(self) -> dict[str, Port]:
        """Return all ports by id."""
        found = {id: entry.resource for id, entry in self.entries["port"].items()}
        return {id: port for id, port in found.items() if isinstance(port, Port)}

    @property
    def _indexes(self) -> tuple[Index[tuple[str, str]] | Index[str], ...]:
        return (self.by_address, self.by_device, self.by_network, self.by_mac)
