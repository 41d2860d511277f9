"""The model as planning reads it: replicas implement it, and the tests' tables."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from a9fe.model.resources import Binding, Network, Port, Resource, Subnet
from a9fe.model.subnet_pools import FloatingIp

R = TypeVar("R")


class ModelView(Protocol):
    """A consistent model. `kind` is a key of model.resources.KINDS."""

    def get(self, kind: str, id: str, /) -> Resource | None:
        """The resource, or None."""
        ...

    def all(self, kind: str, /) -> Iterable[Resource]:
        """Every resource of that kind, in any order."""
        ...

    def ports_by_device(self, device_id: str, /) -> Iterable[Port]:
        """The ports with that device_id, in any order."""
        ...

    def ports_by_network(self, network_id: str, /) -> Iterable[Port]:
        """The ports of a network, in any order."""
        ...

    def subnets_by_network(self, network_id: str, /) -> Iterable[Subnet]:
        """The subnets of a network, in any order."""
        ...

    def bindings_by_resource(self, resource_id: str, /) -> Iterable[Binding]:
        """The bindings of a network or router, in any order."""
        ...

    def floating_ips_by_router(self, router_id: str, /) -> Iterable[FloatingIp]:
        """The floating IPs that a router translates, in any order."""
        ...

    def ports_by_short_id(self, short_id: str, /) -> Iterable[Port]:
        """The ports whose id begins with these 11 characters, as device names do."""
        ...

    def networks_by_short_id(self, short_id: str, /) -> Iterable[Network]:
        """The networks whose id begins with these 11 characters."""
        ...


def get(view: ModelView, cls: type[R], kind: str, id: str) -> R | None:
    """Return the resource if it exists and is of the class, else None."""
    found = view.get(kind, id)
    return found if isinstance(found, cls) else None


def bound(view: ModelView, kind: str, host: str) -> Iterator[str]:
    """Ids of the resources bound to the agent of `host`, sorted. `kind` is "dhcp" or "l3".

    O(bindings): the replica of an agent has only its own. Not for a change's way.
    """
    bindings = (b for b in view.all("binding") if isinstance(b, Binding))
    found = {b.resource_id for b in bindings if b.kind == kind and b.host == host}
    yield from sorted(found)


def is_bound(view: ModelView, kind: str, host: str, id: str) -> bool:
    """Whether a network ("dhcp") or router ("l3") is bound to the agent of `host`."""
    return any(b.kind == kind and b.host == host for b in view.bindings_by_resource(id))


def subnets_of(view: ModelView, network_id: str) -> tuple[Subnet, ...]:
    """The subnets of a network, oldest first, so that "first subnet" never changes."""
    return tuple(sorted(view.subnets_by_network(network_id), key=_age))


def ports_of(view: ModelView, network: Network) -> tuple[Port, ...]:
    """The ports of a network, sorted by id."""
    return tuple(sorted(view.ports_by_network(network.id), key=lambda port: port.id))


def _age(subnet: Subnet) -> tuple[str, str]:
    return (subnet.created_at, subnet.id)
