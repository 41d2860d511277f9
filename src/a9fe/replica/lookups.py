"""Look-ups in the replica: resources by kind and id, and by what they belong to."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Literal, overload

from a9fe.model.errors import A9feError
from a9fe.model.resources import (
    Agent,
    Binding,
    Instance,
    Network,
    Port,
    Resource,
    Router,
    Subnet,
)
from a9fe.model.subnet_pools import FloatingIp
from a9fe.model.user_data import KnownInstance
from a9fe.replica.disk import UNREADABLE
from a9fe.replica.state import State

KEPT_INSTANCES = 64  # instances whose user data is cached, each at most 48 KiB


class ReplicaUnreadable(A9feError):
    """The disk failed while user data were read. Try again later."""


class UserDataCache:
    """User data of instances, from disk; the most recently used are kept in memory."""

    def __init__(self, read: Callable[[str, int], bytes | None]) -> None:
        """`read(id, revision)` returns the user data of that revision, None if it has none."""
        self._read_stored = read
        self._kept: OrderedDict[tuple[str, int], bytes] = OrderedDict()

    def user_data(self, id: str, revision: int) -> bytes:
        """Return the user data of exactly that revision. Raises ReplicaUnreadable."""
        key = (id, revision)
        if key not in self._kept:
            self._kept[key] = self._read(id, revision)
            if len(self._kept) > KEPT_INSTANCES:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def clear(self) -> None:
        """Empty the cache: after a snapshot, revisions may have another meaning."""
        self._kept.clear()

    def _read(self, id: str, revision: int) -> bytes:
        try:
            found = self._read_stored(id, revision)
        except UNREADABLE as error:
            raise ReplicaUnreadable(f"replica: instance {id}: {error}") from error
        if found is None:
            raise ReplicaUnreadable(f"replica: instance {id} is not on disk")
        return found


class Lookups:
    """Look-ups. They never wait, and never see half a change."""

    def __init__(self, documents: UserDataCache) -> None:
        """Start empty."""
        self._state = State()
        self._user_data = documents

    @overload
    def get(self, kind: Literal["network"], id: str) -> Network | None: ...
    @overload
    def get(self, kind: Literal["subnet"], id: str) -> Subnet | None: ...
    @overload
    def get(self, kind: Literal["port"], id: str) -> Port | None: ...
    @overload
    def get(self, kind: Literal["router"], id: str) -> Router | None: ...
    @overload
    def get(self, kind: Literal["instance"], id: str) -> Instance | None: ...
    @overload
    def get(self, kind: Literal["agent"], id: str) -> Agent | None: ...
    @overload
    def get(self, kind: Literal["binding"], id: str) -> Binding | None: ...
    @overload
    def get(self, kind: str, id: str) -> Resource | None: ...
    def get(self, kind: str, id: str) -> Resource | None:
        """Return a resource; an instance with its user data. Raises ReplicaUnreadable."""
        entry = self._state.entry(kind, id)
        if entry is None:
            return None
        if not entry.has_user_data or not isinstance(entry.resource, Instance):
            return entry.resource
        return replace(entry.resource, user_data=self._user_data.user_data(id, entry.revision))

    @overload
    def all(self, kind: Literal["network"]) -> tuple[Network, ...]: ...
    @overload
    def all(self, kind: Literal["subnet"]) -> tuple[Subnet, ...]: ...
    @overload
    def all(self, kind: Literal["port"]) -> tuple[Port, ...]: ...
    @overload
    def all(self, kind: Literal["router"]) -> tuple[Router, ...]: ...
    @overload
    def all(self, kind: Literal["instance"]) -> tuple[Instance, ...]: ...
    @overload
    def all(self, kind: Literal["agent"]) -> tuple[Agent, ...]: ...
    @overload
    def all(self, kind: Literal["binding"]) -> tuple[Binding, ...]: ...
    @overload
    def all(self, kind: str) -> tuple[Resource, ...]: ...
    def all(self, kind: str) -> tuple[Resource, ...]:
        """Return all resources of a kind; instances without their user data (see `get`)."""
        return tuple(entry.resource for entry in self._state.entries[kind].values())

    def instance(self, id: str) -> KnownInstance | None:
        """Return an instance without reading its user data."""
        entry = self._state.entry("instance", id)
        if entry is None or not isinstance(entry.resource, Instance):
            return None
        if not entry.has_user_data:
            return KnownInstance(entry.resource)
        return KnownInstance(
            entry.resource, partial(self._user_data.user_data, id, entry.revision)
        )

    def ports_by_address(self, network_id: str, ip: str) -> tuple[Port, ...]:
        """Return the ports of a network with a fixed IP (canonical text)."""
        return self._state.by_address.find((network_id, ip))

    def ports_by_device(self, device_id: str) -> tuple[Port, ...]:
        """Return the ports of an instance, a router or a DHCP agent; none for ""."""
        return self._state.by_device.find(device_id)

    def ports_by_mac(self, network_id: str, mac: str) -> tuple[Port, ...]:
        """Return the ports of a network with a MAC (lower case)."""
        return self._state.by_mac.find((network_id, mac))

    def port(self, id: str) -> Port | None:
        """Return the port with that id."""
        return self.get("port", id)

    def ports_by_network(self, network_id: str) -> tuple[Port, ...]:
        """Return the ports of a network."""
        return self._state.by_network.find(network_id)

    def ports_by_short_id(self, short_id: str) -> tuple[Port, ...]:
        """Return the ports whose id begins with these 11 characters, as device names do."""
        return self._state.ports_by_short_id.find(short_id)

    def networks_by_short_id(self, short_id: str) -> tuple[Network, ...]:
        """Return the networks whose id begins with these 11 characters."""
        return self._state.networks_by_short_id.find(short_id)

    def subnets_by_network(self, network_id: str) -> tuple[Subnet, ...]:
        """Return the subnets of a network."""
        return self._state.subnets_by_network.find(network_id)

    def bindings_by_resource(self, resource_id: str) -> tuple[Binding, ...]:
        """Return the bindings of a network or router."""
        return self._state.bindings_by_resource.find(resource_id)

    def floating_ips_by_router(self, router_id: str) -> tuple[FloatingIp, ...]:
        """Return the floating IPs that a router translates."""
        return self._state.floating_ips_by_router.find(router_id)
