"""A network as its DHCP agent plans it, with what several decisions need, computed once."""

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Network

from a9fe.model.resources import DHCP_OWNER, ROUTER_INTERFACE_OWNERS, Network, Port, Subnet

ANNOUNCE_NONE = {4: ("0.0.0.0",), 6: ("::",)}  # noqa: S104 - dns_nameservers for no server


@dataclass(frozen=True, kw_only=True)
class DhcpNetwork:
    """A network with all its subnets and ports; `port` is this agent's own DHCP port.

    Each property costs O(subnets + ports), once.
    """

    network: Network
    subnets: tuple[Subnet, ...]
    ports: tuple[Port, ...]
    port: Port

    @cached_property
    def served(self) -> tuple[Subnet, ...]:
        """The IPv4 subnets with DHCP."""
        return tuple(s for s in self.subnets if s.ip_version == 4 and s.enable_dhcp)

    @cached_property
    def blocks(self) -> dict[str, IPv4Network]:
        """The CIDRs of the IPv4 subnets, by subnet id."""
        return {s.id: prefix(s) for s in self.subnets if s.ip_version == 4}

    @cached_property
    def router_ports(self) -> tuple[Port, ...]:
        """The interfaces of routers, sorted by id."""
        found = (port for port in self.ports if port.device_owner in ROUTER_INTERFACE_OWNERS)
        return tuple(sorted(found, key=lambda port: port.id))

    @cached_property
    def dhcp_ports(self) -> tuple[Port, ...]:
        """The DHCP ports of all agents."""
        return tuple(port for port in self.ports if port.device_owner == DHCP_OWNER)

    @cached_property
    def routed(self) -> frozenset[str]:
        """Ids of the subnets with a router interface on their gateway address."""
        return routed_subnets(self.subnets, self.router_ports)

    @cached_property
    def held(self) -> frozenset[str]:
        """The addresses of all ports."""
        return frozenset(ip.ip_address for port in self.ports for ip in port.fixed_ips)

    def addresses_on(self, subnet_ids: Set[str]) -> Iterator[tuple[Port, str]]:
        """Ports with each of their addresses on these subnets."""
        for port in self.ports:
            for ip in port.fixed_ips:
                if ip.subnet_id in subnet_ids:
                    yield port, ip.ip_address

    def dns_servers(self, subnet: Subnet) -> tuple[str, ...] | None:
        """The DNS servers to announce on a subnet, () for none; None: dnsmasq announces itself."""
        given = subnet.dns_nameservers
        if given == ANNOUNCE_NONE[subnet.ip_version]:
            return ()
        if given:
            return tuple(s for s in given if subnet.ip_version == 6 or ":" not in s)
        own = [a for port in self.dhcp_ports if (a := address_in(port, subnet)) is not None]
        return tuple(own) if len(own) > 1 else None


def routed_subnets(subnets: Iterable[Subnet], router_ports: Iterable[Port]) -> frozenset[str]:
    """Ids of the subnets with one of these router interfaces on their gateway address.

    All others are isolated (Neutron): they have no gateway, or a router only on another address.
    """
    gateways = {(subnet.id, subnet.gateway_ip) for subnet in subnets}
    return frozenset(
        ip.subnet_id
        for port in router_ports
        for ip in port.fixed_ips
        if (ip.subnet_id, ip.ip_address) in gateways
    )


def address_in(port: Port, subnet: Subnet) -> str | None:
    """The first address of a port in a subnet."""
    return next((ip.ip_address for ip in port.fixed_ips if ip.subnet_id == subnet.id), None)


def prefix(subnet: Subnet) -> IPv4Network:
    """The CIDR of an IPv4 subnet."""
    return IPv4Network(subnet.cidr)
