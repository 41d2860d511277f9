"""Where the service knows instances from, and the view that it makes of one."""

from collections.abc import Callable
from typing import Protocol

from a9fe.metadata.view import InstanceView, Settings
from a9fe.model.resources import Instance, Network, Port, Resource, SecurityGroup, Subnet
from a9fe.wire.refusals import Refusal


class Freshness(Protocol):
    """How much a source may be believed when it does not know something."""

    @property
    def ever_synced(self) -> bool:
        """It has had a complete state once, perhaps before a restart."""
        ...

    @property
    def synced_now(self) -> bool:
        """It follows the server, and is complete."""
        ...

    @property
    def lost_for(self) -> float:
        """Seconds since it last heard of the server."""
        ...


class Source(Protocol):
    """What the service asks of a replica. Nothing here waits."""

    def get(self, kind: str, id: str) -> Resource | None:
        """The resource, by a kind of model.resources.KINDS. Raises ReplicaUnreadable."""
        ...

    def ports_by_device(self, device_id: str) -> tuple[Port, ...]:
        """The ports with that device_id, in any order."""
        ...

    def freshness(self, now: float) -> Freshness:
        """How current it is at `now`, UNIX seconds."""
        ...


def doubt(freshness: Freshness, source_lost_after: float) -> Refusal | None:
    """Why what the source does not know may exist all the same; None: it is certain.

    Only a source that is complete at this moment can be certain that something does not exist;
    one that has not heard of the server for over `source_lost_after` seconds is not.
    """
    if freshness.ever_synced and freshness.lost_for > source_lost_after:
        return Refusal.SOURCE_LOST
    return None if freshness.synced_now else Refusal.NOT_SYNCED


def view_of(
    source: Source,
    instance: Instance,
    settings: Settings,
    random_bytes: Callable[[int], bytes],
) -> InstanceView | None:
    """The instance with all that its documents are made of; None while a part has not arrived."""
    ports = _ports(source, instance)
    networks = {port.network_id: source.get("network", port.network_id) for port in ports}
    subnet_ids = {fixed.subnet_id for port in ports for fixed in port.fixed_ips}
    subnets = {id: source.get("subnet", id) for id in subnet_ids}
    known_networks = {id: found for id, found in networks.items() if isinstance(found, Network)}
    known_subnets = {id: found for id, found in subnets.items() if isinstance(found, Subnet)}
    if len(known_networks) < len(networks) or len(known_subnets) < len(subnets):
        return None
    return InstanceView(
        instance=instance,
        ports=ports,
        networks=known_networks,
        subnets=known_subnets,
        random_bytes=random_bytes,
        settings=settings,
        groups=_groups(source, ports),
    )


def _groups(source: Source, ports: tuple[Port, ...]) -> dict[str, str]:
    """Names of the ports' security groups; one that has not arrived is not there yet."""
    ids = dict.fromkeys(id for port in ports for id in port.security_groups)
    found = (source.get("security_group", id) for id in ids)
    return {group.id: group.name for group in found if isinstance(group, SecurityGroup)}


def _ports(source: Source, instance: Instance) -> tuple[Port, ...]:
    """The instance's own ports, oldest first.

    Whoever may make a port may write any device_id into it: a port of another project's is not
    the instance's.
    """
    claimed = source.ports_by_device(instance.id)
    own = (port for port in claimed if port.project_id == instance.project_id)
    return tuple(sorted(own, key=lambda port: (port.created_at, port.id)))
