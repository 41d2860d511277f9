"""The view of an instance, from whatever knows its resources: a replica, or the store itself."""

from collections.abc import Callable
from typing import Protocol

from a9fe.metadata.view import InstanceView, Settings
from a9fe.model.cards import in_order
from a9fe.model.resources import Instance, Network, Port, Resource, SecurityGroup, Subnet


class Resources(Protocol):
    """What knows resources."""

    def get(self, kind: str, id: str) -> Resource | None:
        """The resource, by a kind of model.resources.KINDS."""
        ...

    def ports_by_device(self, device_id: str) -> tuple[Port, ...]:
        """The ports with that device_id, in any order."""
        ...


def view_of(
    source: Resources,
    instance: Instance,
    settings: Settings,
    random_bytes: Callable[[int], bytes],
    read_user_data: Callable[[], bytes | None] | None = None,
) -> InstanceView | None:
    """The instance with all that its documents are made of; None while a part has not arrived.

    `read_user_data` where `instance` leaves it out.
    """
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
        read_user_data=read_user_data,
    )


def _groups(source: Resources, ports: tuple[Port, ...]) -> dict[str, str]:
    """Names of the ports' security groups; one that has not arrived is not there yet."""
    ids = dict.fromkeys(id for port in ports for id in port.security_groups)
    found = (source.get("security_group", id) for id in ids)
    return {group.id: group.name for group in found if isinstance(group, SecurityGroup)}


def _ports(source: Resources, instance: Instance) -> tuple[Port, ...]:
    """The instance's own ports, in the order of its cards.

    Any device_id can be written into a port, so a port of another project is not the
    instance's.
    """
    claimed = source.ports_by_device(instance.id)
    own = (port for port in claimed if port.project_id == instance.project_id)
    return tuple(in_order(instance, own))
