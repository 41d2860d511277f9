"""The order of an instance's network cards. Pure."""

from collections.abc import Iterable

from a9fe.model.resources import Instance, Port


def in_order(instance: Instance, ports: Iterable[Port]) -> list[Port]:
    """Ports of an instance in the order of its create request, then later ports by age.

    `nic_tags` keeps that order, because ports' times have seconds only. Older records have only
    the tagged cards there; their ports are ordered by age.
    """
    ports, nics = list(ports), instance.nic_tags
    says_order = "" in nics.values() or all(port.id in nics for port in ports)
    place = {id: number for number, id in enumerate(nics)} if says_order else {}
    behind = len(place)

    def key(port: Port) -> tuple[int, str, str]:
        return place.get(port.id, behind), port.created_at, port.id

    return sorted(ports, key=key)


def tags(instance: Instance) -> dict[str, str]:
    """The tags of tagged cards, by port id."""
    return {port_id: tag for port_id, tag in instance.nic_tags.items() if tag}
