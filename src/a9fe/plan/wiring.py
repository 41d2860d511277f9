"""Which ports are up: their device is where it belongs. What an agent reports to the server."""

from collections.abc import Iterable, Set
from dataclasses import dataclass

from a9fe.model.resources import Port
from a9fe.plan import names
from a9fe.plan.host import HostPlan

ACTIVE = "ACTIVE"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortStates:
    """Ids of ports whose status in the model is not what the host shows."""

    up: frozenset[str] = frozenset()
    down: frozenset[str] = frozenset()


def wired(desired: HostPlan, observed: HostPlan, failed: Set[str]) -> frozenset[str]:
    """Names of devices in place: on a bridge, or, of our pairs, in a namespace that has not
    failed (`failed`: scopes as in plan.operations).
    """
    good: set[str] = set()
    broken: set[str] = set()
    for plan in desired.namespaces.values():
        outers = {link.outer for link in plan.links}
        (broken if plan.name in failed else good).update(outers)
    plugged = {device for bridge in observed.bridges for device in bridge.devices}
    return frozenset((plugged - broken) | good)


def states(ports: Iterable[Port], devices: Set[str]) -> PortStates:
    """What to report of `ports`, which are this agent's, when `devices` are in place."""
    up, down = set(), set()
    for port in ports:
        in_place = names.outer_device(port.id) in devices
        if in_place and port.status != ACTIVE:
            up.add(port.id)
        elif not in_place and port.status == ACTIVE:
            down.add(port.id)
    return PortStates(up=frozenset(up), down=frozenset(down))
