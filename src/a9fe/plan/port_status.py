"""Status of ports, which an agent reports: ACTIVE while the port's device is in place."""

from collections.abc import Iterable, Set
from dataclasses import dataclass

from a9fe.model.resources import Port, is_network_owner
from a9fe.plan import names
from a9fe.plan.host import HostPlan

ACTIVE = "ACTIVE"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortStates:
    """Ids of ports that became ACTIVE (`up`) or DOWN (`down`), by what the host shows."""

    up: frozenset[str] = frozenset()
    down: frozenset[str] = frozenset()


def plugged(observed: HostPlan) -> frozenset[str]:
    """Names of the devices on our bridges."""
    return frozenset(device for bridge in observed.bridges for device in bridge.devices)


def wired(desired: HostPlan, observed: HostPlan, failed: Set[str]) -> frozenset[str]:
    """Names of devices in place: on a bridge, or, of our pairs, in a namespace that has not
    failed (`failed`: scopes as in plan.operations).
    """
    good: set[str] = set()
    broken: set[str] = set()
    for plan in desired.namespaces.values():
        outers = {link.outer for link in plan.links}
        (broken if plan.name in failed else good).update(outers)
    return (plugged(observed) - broken) | good


def ready(port: Port, devices: Set[str], failed: Set[str]) -> bool:
    """Whether a port can be ACTIVE: its device is in place and, for a VM's port, its filters and
    DHCP entry exist.
    """
    if names.outer_device(port.id) not in devices:
        return False
    if is_network_owner(port.device_owner):
        return True
    space = names.dhcp_namespace(port.network_id)
    return failed.isdisjoint({"port-security", space, f"{space} dnsmasq"})


def states(ports: Iterable[Port], devices: Set[str], failed: Set[str] = frozenset()) -> PortStates:
    """The states to report for this agent's `ports`, given the `devices` in place.

    A port that is ACTIVE stays so as long as its device is in place.
    """
    up, down = set(), set()
    for port in ports:
        if port.status != ACTIVE and ready(port, devices, failed):
            up.add(port.id)
        elif port.status == ACTIVE and names.outer_device(port.id) not in devices:
            down.add(port.id)
    return PortStates(up=frozenset(up), down=frozenset(down))


def by_binding(states: PortStates, ports: Iterable[Port]) -> tuple[PortStates, PortStates]:
    """Split into ports bound to a host and ports bound to none."""
    unbound = frozenset(port.id for port in ports if not port.host)
    return (
        PortStates(up=states.up - unbound, down=states.down - unbound),
        PortStates(up=states.up & unbound, down=states.down & unbound),
    )
