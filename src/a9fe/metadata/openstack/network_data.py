"""network_data.json: the instance's network cards, for the guest to configure itself.

Valid against Nova's published schema (network_data.json, draft 7), except for the types of the
DHCPv6 modes, which Nova writes and cloud-init reads but the schema lacks. As in Nova, each port
has at most one IPv4 and one IPv6 network, of its first address of each version. An instance
without ports has empty lists; there Nova violates its schema. The MTU is always given, even with
DHCP.
"""

import ipaddress
from collections.abc import Iterable

from a9fe.metadata.instance_view import InstanceView
from a9fe.metadata.rendered import Json
from a9fe.model.resources import Port, Subnet

TAP_PREFIX = "tap"
TAP_ID_LENGTH = 11  # of the port's id in its device's name (Neutron)

EVERYWHERE = {4: "0.0.0.0/0", 6: "::/0"}


def network_data(view: InstanceView) -> dict[str, Json]:
    """Return the document: links (one per port), networks, services (each DNS server once)."""
    chosen = [
        (port, *found)
        for port in view.ports
        for version in (4, 6)
        if (found := next(view.addresses(port, version), None)) is not None
    ]
    return {
        "links": [_link(view, port) for port in view.ports],
        "networks": [
            {"id": f"network{number}", **_network(port, address, subnet)}
            for number, (port, address, subnet) in enumerate(chosen)
        ],
        "services": _services(view),
    }


def link_id(port: Port) -> str:
    """Return the name of the port's device on its host, as Nova names it."""
    return TAP_PREFIX + port.id[:TAP_ID_LENGTH]


def _link(view: InstanceView, port: Port) -> Json:
    return {
        "id": link_id(port),
        "vif_id": port.id,
        "type": "bridge",
        "mtu": view.networks[port.network_id].mtu or None,
        "ethernet_mac_address": port.mac_address,
    }


def _network(port: Port, address: str, subnet: Subnet) -> dict[str, Json]:
    kind = _type(subnet)
    known: dict[str, Json] = {
        "type": kind,
        "link": link_id(port),
        "network_id": port.network_id,
    }
    if kind != "ipv4_dhcp":
        known |= _static(address, subnet)
    return known


def _type(subnet: Subnet) -> str:
    """Return the network type in Nova's terms, for IPv6 subnets with their address mode.

    An IPv6 subnet without an address mode has no DHCP or SLAAC of ours.
    """
    if subnet.ip_version == 4:
        return "ipv4_dhcp" if subnet.enable_dhcp else "ipv4"
    mode = subnet.ipv6_address_mode if subnet.enable_dhcp else None
    return f"ipv6_{mode}" if mode else "ipv6"


def _static(address: str, subnet: Subnet) -> dict[str, Json]:
    return {
        "ip_address": address,
        "netmask": str(ipaddress.ip_network(subnet.cidr, strict=False).netmask),
        "routes": _routes(subnet),
        "services": _dns(subnet.dns_nameservers),
    }


def _routes(subnet: Subnet) -> list[Json]:
    routes = [(route.destination, route.nexthop) for route in subnet.host_routes]
    if subnet.gateway_ip is not None:
        routes.insert(0, (EVERYWHERE[subnet.ip_version], subnet.gateway_ip))
    return [_route(destination, nexthop) for destination, nexthop in routes]


def _route(destination: str, nexthop: str) -> Json:
    network = ipaddress.ip_network(destination, strict=False)
    return {
        "network": str(network.network_address),
        "netmask": str(network.netmask),
        "gateway": nexthop,
    }


def _services(view: InstanceView) -> list[Json]:
    return _dns(
        server
        for port in view.ports
        for fixed in port.fixed_ips
        for server in view.subnets[fixed.subnet_id].dns_nameservers
    )


def _dns(servers: Iterable[str]) -> list[Json]:
    """Return each server once, without Neutron's 0.0.0.0 and ::, which mean "no server"."""
    return [
        {"type": "dns", "address": server}
        for server in dict.fromkeys(servers)
        if not ipaddress.ip_address(server).is_unspecified
    ]
