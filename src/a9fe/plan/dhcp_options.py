"""What DHCP tells the VMs of a network: the lines of dnsmasq's options file.

Each subnet has the tag subnet-<id> (set by its dhcp-range), each port with options of its own
port-<id> (set by its line in the hosts file). Rules: Neutron's, with RFC 3442 in mind: a client
that takes option 121 ignores option 3, so 121 repeats the default route.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network

from a9fe.model.resources import DHCP_OWNER, METADATA_IPV4, DhcpOption, Network, Port, Subnet
from a9fe.plan.isolation import routed_subnets
from a9fe.plan.settings import DhcpSettings

DEFAULT_ROUTE = "0.0.0.0/0"
ON_LINK = "0.0.0.0"  # noqa: S104 - RFC 3442's next hop of a route without one, no bind address
ANNOUNCE_NONE = ("0.0.0.0",)  # noqa: S104 - as dns_nameservers: announce no server at all
MS_CLASSLESS_STATIC_ROUTE = "249"  # option 121 as Windows before Vista asked for it
CLIENT_ID = frozenset({"client-id", "61"})  # belongs to the lease's line, not to the options
BY_DHCP_PORT, BY_GATEWAY = "dhcp", "router"  # the ways to metadata that options tell
OPTION_NAME = re.compile(r"[a-z0-9-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class DhcpNetwork:
    """A network as its DHCP agent sees it: `subnets` and `ports` are all of the network's.

    `port` is this agent's own DHCP port.
    """

    network: Network
    subnets: tuple[Subnet, ...]
    ports: tuple[Port, ...]
    port: Port

    @property
    def served(self) -> tuple[Subnet, ...]:
        """The IPv4 subnets with DHCP."""
        return tuple(s for s in self.subnets if s.ip_version == 4 and s.enable_dhcp)


def options(network: DhcpNetwork, settings: DhcpSettings) -> str:
    """The whole options file."""
    lines = [line for subnet in network.served for line in _subnet(network, subnet, settings)]
    lines += [line for port in network.ports for line in _port(port)]
    return "".join(f"{line}\n" for line in lines)


def usable(option: DhcpOption) -> bool:
    """Whether an extra option can be a line: IPv4, known form of name, one line of text."""
    named = OPTION_NAME.fullmatch(option.opt_name) is not None
    return option.ip_version == 4 and named and option.opt_value.isprintable()


def _subnet(network: DhcpNetwork, subnet: Subnet, settings: DhcpSettings) -> Iterator[str]:
    tag = f"tag:subnet-{subnet.id}"
    servers = _dns_servers(network, subnet)
    if servers is not None:
        yield ",".join((tag, "option:dns-server", *servers))
    routes = classless_routes(network, subnet, settings)
    if routes:
        pairs = [text for route in routes for text in route]
        yield ",".join((tag, "option:classless-static-route", *pairs))
        yield ",".join((tag, MS_CLASSLESS_STATIC_ROUTE, *pairs))
    gateway = _gateway(subnet)
    # Without a value the option is not sent; without the line dnsmasq would offer itself.
    yield ",".join((tag, "option:router", *([gateway] if gateway else [])))


def _gateway(subnet: Subnet) -> str | None:
    """The subnet's gateway, else the next hop of a default route among its host routes."""
    if subnet.gateway_ip:
        return subnet.gateway_ip
    defaults = (r.nexthop for r in subnet.host_routes if r.destination == DEFAULT_ROUTE)
    return next(defaults, None)


def classless_routes(
    network: DhcpNetwork, subnet: Subnet, settings: DhcpSettings
) -> tuple[tuple[str, str], ...]:
    """Option 121 (and 249) for one subnet: (destination, next hop) pairs, in order.

    The network's other IPv4 subnets on-link, host routes, the metadata route, and the default
    route if there is any other and a gateway.
    """
    gateway = _gateway(subnet)
    others = (s for s in network.subnets if s.ip_version == 4 and s.id != subnet.id)
    routes = [(other.cidr, ON_LINK) for other in others]
    routes += [
        (r.destination, r.nexthop) for r in subnet.host_routes if r.destination != DEFAULT_ROUTE
    ]
    metadata = _metadata_next_hop(network, subnet, settings)
    if metadata:
        routes.append((f"{METADATA_IPV4}/32", metadata))
    if routes and gateway:
        routes.append((DEFAULT_ROUTE, gateway))
    return tuple(routes)


def ways(network: DhcpNetwork, settings: DhcpSettings) -> frozenset[str]:
    """The ways to metadata that the options of its subnets tell."""
    found = (_way(network, subnet, settings) for subnet in network.served)
    return frozenset(way for way in found if way)


def _way(network: DhcpNetwork, subnet: Subnet, settings: DhcpSettings) -> str:
    """By our DHCP port where it serves; else, where a router does, by the gateway, so that
    Windows does not ARP for the address; else "".
    """
    isolated = subnet.id not in routed_subnets(network.subnets, network.ports)
    if settings.force_metadata or (isolated and settings.enable_isolated_metadata):
        return BY_DHCP_PORT
    return "" if isolated else BY_GATEWAY


def _metadata_next_hop(network: DhcpNetwork, subnet: Subnet, settings: DhcpSettings) -> str | None:
    hops = {BY_DHCP_PORT: address_in(network.port, subnet), BY_GATEWAY: _gateway(subnet)}
    return hops.get(_way(network, subnet, settings))


def address_in(port: Port, subnet: Subnet) -> str | None:
    """The first address of a port in a subnet."""
    return next((ip.ip_address for ip in port.fixed_ips if ip.subnet_id == subnet.id), None)


def _dns_servers(network: DhcpNetwork, subnet: Subnet) -> tuple[str, ...] | None:
    """Announced servers; empty announces none; None leaves it to dnsmasq, which says itself."""
    if subnet.dns_nameservers == ANNOUNCE_NONE:
        return ()
    if subnet.dns_nameservers:
        return tuple(s for s in subnet.dns_nameservers if ":" not in s)
    dhcp_ports = (port for port in network.ports if port.device_owner == DHCP_OWNER)
    own = [a for port in dhcp_ports if (a := address_in(port, subnet)) is not None]
    return tuple(own) if len(own) > 1 else None


def _port(port: Port) -> Iterator[str]:
    for option in port.extra_dhcp_opts:
        if usable(option) and option.opt_name not in CLIENT_ID:
            name = option.opt_name if option.opt_name.isdigit() else f"option:{option.opt_name}"
            yield f"tag:port-{port.id},{name},{option.opt_value}"


def prefix(subnet: Subnet) -> IPv4Network:
    """The CIDR of an IPv4 subnet."""
    return IPv4Network(subnet.cidr)
