"""The order of an instance's ports, which is that of the VM's network cards. Pure."""

from collections.abc import Iterable

from a9fe.model.resources import Instance, Port


def in_order(instance: Instance, ports: Iterable[Port]) -> list[Port]:
    """Return an instance's ports in the order of its create request, then later ports by age.

    `nic_tags` has that order, as times of ports have only seconds. In older records it has only
    tagged ports; then all ports are ordered by age.
    """
    ports, nics = list(ports), instance.nic_tags
    says_order = "" in nics.values() or all(port.id in nics for port in ports)
    place = {id: number for number, id in enumerate(nics)} if says_order else {}
    behind = len(place)

    def key(port: Port) -> tuple[int, str, str]:
        return place.get(port.id, behind), port.created_at, port.id

    return sorted(ports, key=key)


def tags(instance: Instance) -> dict[str, str]:
    """Return the tags of tagged ports by port id."""
    return {port_id: tag for port_id, tag in instance.nic_tags.items() if tag}
