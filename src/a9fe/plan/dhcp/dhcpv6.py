"""DHCPv6 of a network's dnsmasq: its ranges, leases, names and options (Neutron's rules).

| ipv6_address_mode           | dnsmasq                                    |
|-----------------------------|--------------------------------------------|
| dhcpv6-stateful             | a static lease for each address            |
| dhcpv6-stateless            | options only                               |
| null, and null ipv6_ra_mode | as dhcpv6-stateful                         |
| other                       | nothing: addresses come from advertisements |

A client is identified by its MAC, as for IPv4. dnsmasq sends no router advertisements: radvd does
(plan.routers.radvd). It serves no prefix shorter than 64 bits (Neutron).
"""

from collections.abc import Iterator
from functools import partial
from ipaddress import IPv6Network

from a9fe.model.resources import DhcpOption, Port, Subnet
from a9fe.model.rules.addresses import STATEFUL, STATELESS
from a9fe.plan.dhcp import dnsmasq_lines as lines
from a9fe.plan.dhcp.dnsmasq_lines import Maker
from a9fe.plan.dhcp.network import DhcpNetwork
from a9fe.plan.settings import DhcpSettings

LONGEST = 64  # bits of the shortest prefix that dnsmasq serves


def served(network: DhcpNetwork, settings: DhcpSettings) -> tuple[Subnet, ...]:
    """The IPv6 subnets with DHCPv6."""
    if not settings.ipv6_on_host:
        return ()
    return tuple(s for s in network.subnets if s.ip_version == 6 and _has_dhcp(s))


def _has_dhcp(subnet: Subnet) -> bool:
    static = subnet.ipv6_address_mode is None and subnet.ipv6_ra_mode is None
    mode = static or subnet.ipv6_address_mode in (STATEFUL, STATELESS)
    return subnet.enable_dhcp and mode and IPv6Network(subnet.cidr).prefixlen >= LONGEST


def ranges(network: DhcpNetwork, settings: DhcpSettings, lease: str) -> Iterator[str]:
    """The arguments of the subnets."""
    for subnet in served(network, settings):
        block = IPv6Network(subnet.cidr)
        yield "--dhcp-range=" + lines.line(
            f"set:{lines.tag('subnet', subnet.id)}",
            f"{block.network_address}",
            "static",
            f"{block.prefixlen}",
            lease,
        )


def size(network: DhcpNetwork, settings: DhcpSettings) -> int:
    """The number of addresses of the subnets."""
    return sum(IPv6Network(subnet.cidr).num_addresses for subnet in served(network, settings))


def leases(network: DhcpNetwork, settings: DhcpSettings) -> Iterator[tuple[Port, str]]:
    """Ports with their addresses on subnets with leases."""
    stateful = {s.id for s in served(network, settings) if s.ipv6_address_mode != STATELESS}
    return network.addresses_on(stateful)


def extra(port: Port) -> tuple[DhcpOption, ...]:
    """The options of a port for DHCPv6."""
    return tuple(option for option in port.extra_dhcp_opts if option.ip_version == 6)


def options(network: DhcpNetwork, settings: DhcpSettings) -> Iterator[tuple[str, Maker]]:
    """The lines of the options file, each after its subject."""
    for subnet in served(network, settings):
        subject, servers = f"subnet {subnet.id}", network.dns_servers(subnet)
        if servers is not None:
            yield subject, partial(_dns_line, subnet, servers)
        if settings.dns_domain:
            yield subject, partial(_domain_line, subnet, settings.dns_domain)
    with_lease = {port.id for port, _ in leases(network, settings)}
    for port in network.ports:
        for option in extra(port):
            subject = f"port {port.id}, IPv6 option {option.opt_name[:64]!r}"
            yield subject, partial(_extra, port, option, has_lease=port.id in with_lease)


def _dns_line(subnet: Subnet, servers: tuple[str, ...]) -> str:
    shown = (f"[{lines.address6(server)}]" for server in servers)
    return lines.line(_tag(subnet), "option6:dns-server", *shown)


def _domain_line(subnet: Subnet, domain: str) -> str:
    return lines.line(_tag(subnet), "option6:domain-search", lines.domain(domain))


def _tag(subnet: Subnet) -> str:
    return f"tag:{lines.tag('subnet', subnet.id)}"


def _extra(port: Port, option: DhcpOption, *, has_lease: bool) -> str:
    if not has_lease:
        raise lines.UnsafeValue("the port has no DHCPv6 lease, which selects its options")
    tag = f"tag:{lines.tag('port', port.id)}"
    return lines.line(tag, *lines.option6(option.opt_name, option.opt_value))
