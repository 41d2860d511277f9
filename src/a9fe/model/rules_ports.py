"""Rules over ports: which may be deleted with what, and what a device is in use by. Pure."""

from collections.abc import Iterable

from a9fe.model import rules
from a9fe.model.errors import Conflict, InvalidInput
from a9fe.model.resources import (
    DHCP_OWNER,
    ROUTER_GATEWAY_OWNER,
    ROUTER_INTERFACE_OWNERS,
    Port,
    Subnet,
)

AUTO_DELETED_OWNERS = frozenset({DHCP_OWNER, "network:distributed"})
"""Ports of the network itself: deleted with it (Neutron's auto-delete owners)."""

ROUTER_OWNERS = ROUTER_INTERFACE_OWNERS | {ROUTER_GATEWAY_OWNER}


def check_network_delete(network_id: str, ports: Iterable[Port]) -> None:
    """A network goes with its own ports, but not while others are on it."""
    others = [p.id for p in ports if p.device_owner not in AUTO_DELETED_OWNERS]
    if others:
        message = f"Network {network_id} is in use by {_ports(others)}; delete them first"
        raise Conflict("NetworkInUse", message)


def check_subnet_delete(subnet: Subnet, ports: Iterable[Port]) -> None:
    """A subnet goes unless a port that is not the network's own has an address on it.

    Addresses made from MACs (EUI-64) do not hold it, but for a router's.
    """
    users = [p for p in ports if p.device_owner not in AUTO_DELETED_OWNERS]
    if rules.uses_eui64(subnet):
        users = [p for p in users if p.device_owner in ROUTER_OWNERS]
    if users:
        message = f"Subnet {subnet.id} is in use by {_ports([p.id for p in users])}"
        raise Conflict("SubnetInUse", f"{message}; delete them first")


def check_port_delete(port: Port) -> None:
    """A router's port goes by remove_router_interface, so that the router knows."""
    if port.device_owner in ROUTER_OWNERS and port.device_id:
        message = (
            f"Port {port.id} belongs to router {port.device_id}; "
            "remove the interface from the router instead"
        )
        raise Conflict("ServicePortInUse", message)


def check_router_delete(router_id: str, ports: Iterable[Port]) -> None:
    """A router goes when it has no interfaces."""
    ids = [p.id for p in ports]
    if ids:
        message = f"Router {router_id} has interfaces: {_ports(ids)}; remove them first"
        raise Conflict("RouterInUse", message)


def check_port_free(port: Port) -> None:
    """A port serves one device."""
    if port.device_id:
        raise Conflict("PortInUse", f"Port {port.id} is in use by device {port.device_id}")


def check_router_subnet(subnet: Subnet, present: Iterable[Subnet]) -> None:
    """A router's subnets share no address, and no subnet is on it twice."""
    others = tuple(present)
    if any(s.id == subnet.id for s in others):
        raise InvalidInput("subnet_id", subnet.id, "a subnet that the router is not yet on")
    other = rules.overlapping(subnet.cidr, others)
    if other is not None:
        expected = f"a subnet whose CIDR does not overlap {other.cidr} of subnet {other.id}"
        raise InvalidInput("subnet_id", f"{subnet.id} ({subnet.cidr})", expected)


def _ports(ids: list[str]) -> str:
    shown = ", ".join(sorted(ids)[:3])
    more = f" and {len(ids) - 3} more" if len(ids) > 3 else ""
    return f"port{'s' if len(ids) > 1 else ''} {shown}{more}"
