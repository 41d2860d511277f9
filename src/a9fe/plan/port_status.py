"""Status of ports, which an agent reports: ACTIVE while the port's device is in place."""

from collections.abc import Iterable, Set
from dataclasses import dataclass

from a9fe.model.resources import (
    ROUTER_GATEWAY_OWNER,
    ROUTER_INTERFACE_OWNERS,
    Port,
    Subnet,
    is_network_owner,
)
from a9fe.plan import model_view, names
from a9fe.plan.host import HostPlan
from a9fe.plan.model_view import ModelView
from a9fe.plan.operations import FILTERS, uplink_scope

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


NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What is in place on a host: `devices` by name, and what is not: `failed` scopes of a pass,
    `left_out` ports without a DHCP entry, `unrouted` subnets whose router is not in place.
    """

    devices: Set[str]
    failed: Set[str] = NONE
    left_out: Set[str] = NONE
    unrouted: Set[str] = NONE


def unrouted(model: ModelView, network_id: str) -> frozenset[str]:
    """Ids of a network's subnets whose gateway is a router interface that is not ACTIVE.

    O(ports of the network).
    """
    return frozenset(
        ip.subnet_id
        for port in model.ports_by_network(network_id)
        if port.device_owner in ROUTER_INTERFACE_OWNERS and port.status != ACTIVE
        for ip in port.fixed_ips
        if (subnet := model_view.get(model, Subnet, "subnet", ip.subnet_id)) is not None
        and subnet.gateway_ip == ip.ip_address
    )


def ready(port: Port, host: Wiring) -> bool:
    """Whether a port can be ACTIVE: its device is in place and, for a VM's port, its filters, its
    DHCP entry, and the listener or router through which it reads metadata.
    """
    if names.outer_device(port.id) not in host.devices:
        return False
    if port.device_owner == ROUTER_GATEWAY_OWNER:
        return uplink_scope(names.bridge(port.network_id)) not in host.failed
    if is_network_owner(port.device_owner):
        return True
    space = names.dhcp_namespace(port.network_id)
    needed = {FILTERS, space, f"{space} dnsmasq", f"{space} listener"}
    subnets = {ip.subnet_id for ip in port.fixed_ips}
    has_way = not subnets or not subnets <= host.unrouted
    return host.failed.isdisjoint(needed) and port.id not in host.left_out and has_way


def states(ports: Iterable[Port], host: Wiring) -> PortStates:
    """The states to report for this agent's `ports`.

    A port that is ACTIVE stays so as long as its device is in place, and a gateway's its uplink.
    """
    up, down = set(), set()
    for port in ports:
        if port.status != ACTIVE and ready(port, host):
            up.add(port.id)
        elif port.status == ACTIVE and _is_gone(port, host):
            down.add(port.id)
    return PortStates(up=frozenset(up), down=frozenset(down))


def _is_gone(port: Port, host: Wiring) -> bool:
    if port.device_owner == ROUTER_GATEWAY_OWNER:
        return not ready(port, host)
    return names.outer_device(port.id) not in host.devices


def by_binding(states: PortStates, ports: Iterable[Port]) -> tuple[PortStates, PortStates]:
    """Split into ports bound to a host and ports bound to none."""
    unbound = frozenset(port.id for port in ports if not port.host)
    return (
        PortStates(up=states.up - unbound, down=states.down - unbound),
        PortStates(up=states.up & unbound, down=states.down & unbound),
    )
