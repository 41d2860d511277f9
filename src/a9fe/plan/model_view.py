"""The model as planning reads it: replicas implement it, and the tests' tables."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from a9fe.model.resources import Binding, Network, Port, Resource, Subnet

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


def get(view: ModelView, cls: type[R], kind: str, id: str) -> R | None:
    """Return the resource if it exists and is of the class, else None."""
    found = view.get(kind, id)
    return found if isinstance(found, cls) else None


def bound(view: ModelView, kind: str, host: str) -> Iterator[str]:
    """Ids of the resources bound to the agent of `host`, sorted. `kind` is "dhcp" or "l3".

    O(bindings): the replica of an agent has only its own.
    """
    bindings = (b for b in view.all("binding") if isinstance(b, Binding))
    found = {b.resource_id for b in bindings if b.kind == kind and b.host == host}
    yield from sorted(found)


def subnets_by_network(view: ModelView) -> dict[str, tuple[Subnet, ...]]:
    """Return the subnets of each network, oldest first, so that "first subnet" never changes."""
    found: dict[str, list[Subnet]] = {}
    for subnet in view.all("subnet"):
        if isinstance(subnet, Subnet):
            found.setdefault(subnet.network_id, []).append(subnet)
    return {network_id: tuple(sorted(group, key=_age)) for network_id, group in found.items()}


def ports_of(view: ModelView, network: Network) -> tuple[Port, ...]:
    """The ports of a network, sorted by id."""
    return tuple(sorted(view.ports_by_network(network.id), key=lambda port: port.id))


def _age(subnet: Subnet) -> tuple[str, str]:
    return (subnet.created_at, subnet.id)
