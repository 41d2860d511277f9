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
    """Names of devices in place: our pairs, but in namespaces that failed, and all on bridges."""
    plugged = (device for bridge in observed.bridges for device in bridge.devices)
    ours = (
        link.outer
        for plan in desired.namespaces.values()
        if plan.name not in failed
        for link in plan.links
    )
    broken = {
        link.outer
        for plan in desired.namespaces.values()
        if plan.name in failed
        for link in plan.links
    }
    return frozenset(plugged) - broken | frozenset(ours)


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
