"""Rules over deleting resources with ports, and over subnets and routes of routers. Pure."""

from collections.abc import Iterable

from a9fe.model.errors import Conflict, InvalidInput
from a9fe.model.resources import (
    DHCP_OWNER,
    FLOATING_IP_OWNER,
    ROUTER_GATEWAY_OWNER,
    ROUTER_INTERFACE_OWNERS,
    HostRoute,
    Port,
    Subnet,
)
from a9fe.model.rules import addresses as rules

AUTO_DELETED_OWNERS = frozenset({DHCP_OWNER, "network:distributed"})
"""Device owners of ports that are deleted with their network (Neutron's auto-delete owners)."""

ROUTER_OWNERS = ROUTER_INTERFACE_OWNERS | {ROUTER_GATEWAY_OWNER}


def check_network_delete(network_id: str, ports: Iterable[Port]) -> None:
    """Raise Conflict if the network has ports that are not deleted with it."""
    others = [p.id for p in ports if p.device_owner not in AUTO_DELETED_OWNERS]
    if others:
        words = f"Unable to complete operation on network {network_id}"
        words = f"{words}. There are one or more ports still in use on the network"
        raise Conflict("NetworkInUse", f"{words}: {_ports(others)}; delete them first")


def check_subnet_delete(subnet: Subnet, ports: Iterable[Port]) -> None:
    """Raise Conflict if a port that is not deleted with the subnet has an address on it.

    Addresses formed from MACs (EUI-64) do not count, except a router's.
    """
    users = [p for p in ports if p.device_owner not in AUTO_DELETED_OWNERS]
    if rules.uses_eui64(subnet):
        users = [p for p in users if p.device_owner in ROUTER_OWNERS]
    if users:
        words = f"Unable to complete operation on subnet {subnet.id}"
        words = f"{words}: One or more ports have an IP allocation from this subnet"
        held = _ports([p.id for p in users])
        raise Conflict("SubnetInUse", f"{words}: {held}; delete them first")


def check_port_delete(port: Port) -> None:
    """Raise Conflict for a router's port, which only remove_router_interface deletes."""
    if port.device_owner == FLOATING_IP_OWNER and port.device_id:
        words = f"Port {port.id} cannot be deleted directly via the port API: has device owner"
        message = f"{words} {port.device_owner}; delete floating IP {port.device_id} instead"
        raise Conflict("ServicePortInUse", message)
    if port.device_owner in ROUTER_OWNERS and port.device_id:
        message = (
            f"Port {port.id} cannot be deleted directly via the port API: has device owner"
            f" {port.device_owner}; take it from router {port.device_id} instead"
        )
        raise Conflict("ServicePortInUse", message)


def check_router_delete(router_id: str, ports: Iterable[Port]) -> None:
    """Raise Conflict if the router has interfaces."""
    ids = [p.id for p in ports]
    if ids:
        message = f"Router {router_id} still has ports: {_ports(ids)}; remove them first"
        raise Conflict("RouterInUse", message)


def check_port_free(port: Port) -> None:
    """Raise Conflict if the port already has a device."""
    if port.device_id:
        words = f"Unable to complete operation on port {port.id} for network {port.network_id}"
        message = f"{words}. Port already has an attached device {port.device_id}."
        raise Conflict("PortInUse", message)


def check_router_subnet(subnet: Subnet, present: Iterable[Subnet]) -> None:
    """Raise InvalidInput if the subnet is on the router already or overlaps one that is."""
    others = tuple(present)
    if any(s.id == subnet.id for s in others):
        words = f"Bad router request: Router already has a port on subnet {subnet.id}"
        expected = "a subnet that the router is not yet on"
        raise InvalidInput("subnet_id", subnet.id, expected, type="BadRequest", words=words)
    other = rules.overlapping(subnet.cidr, others)
    if other is not None:
        expected = f"a subnet whose CIDR does not overlap {other.cidr} of subnet {other.id}"
        words = f"Cidr {subnet.cidr} of subnet {subnet.id} overlaps with cidr {other.cidr}"
        words = f"Bad router request: {words} of subnet {other.id}"
        given = f"{subnet.id} ({subnet.cidr})"
        raise InvalidInput("subnet_id", given, expected, type="BadRequest", words=words)


def check_extra_routes(routes: Iterable[HostRoute], connected: Iterable[Subnet]) -> None:
    """Raise InvalidInput for an extra route into a connected subnet, which would divert traffic.

    A route wider than the subnet, such as a default route, is allowed: the connected route is more
    specific. A route to exactly the CIDR is recorded, as Neutron's clients send it, but never
    built (plan.routers.namespaces).
    """
    subnets = tuple(connected)
    for route in routes:
        subnet = next((s for s in subnets if _leads_into(route, s)), None)
        if subnet is not None:
            shown = {"destination": route.destination, "nexthop": route.nexthop}
            where = f"{subnet.cidr} of subnet {subnet.id}, which is connected to router"
            raise InvalidInput(
                "routes.destination",
                route.destination,
                f"a destination outside of {where}",
                type="InvalidRoutes",
                words=f"Invalid format for routes: [{shown}], the destination lies in {where}",
            )


def _leads_into(route: HostRoute, subnet: Subnet) -> bool:
    return route.destination != subnet.cidr and rules.within(route.destination, subnet.cidr)


def check_free_of_routes(subnet: Subnet, routes: Iterable[HostRoute]) -> None:
    """Raise InvalidInput if one of the router's extra routes leads into the subnet."""
    route = next((r for r in routes if _leads_into(r, subnet)), None)
    if route is not None:
        words = f"Bad router request: Cidr {subnet.cidr} of subnet {subnet.id} overlaps with"
        words = f"{words} the route to {route.destination}"
        expected = (
            f"a subnet that does not contain the extra route's destination {route.destination}"
        )
        given = f"{subnet.id} ({subnet.cidr})"
        raise InvalidInput("subnet_id", given, expected, type="BadRequest", words=words)


def _ports(ids: list[str]) -> str:
    shown = ", ".join(sorted(ids)[:3])
    more = f" and {len(ids) - 3} more" if len(ids) > 3 else ""
    return f"port{'s' if len(ids) > 1 else ''} {shown}{more}"
