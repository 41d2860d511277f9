"""What the DHCP namespace serves for leases whose way to metadata is not announced any more.

A VM keeps the next hop that its lease announced until it renews, and some keep it longer. After a
router came or went, or a gateway or DHCP address changed, that next hop (plan.dhcp.isolation) is:

| next hop of a live lease                              | what the DHCP namespace does         |
|-------------------------------------------------------|--------------------------------------|
| this agent's DHCP port                                | keeps its listener                   |
| an address that another port has, such as a router's  | nothing: that port serves, or not    |
| an address that no port has any more                  | takes the address, and has a listener |

A lease counts while a port of the network has its address, and its subnet still has the next hop
in its CIDR. So nothing is kept for deleted ports and subnets. The namespace does not forward.
"""

from collections.abc import Iterator, Mapping, Set
from ipaddress import IPv4Address

from a9fe.model.resources import Subnet
from a9fe.plan.dhcp.network import DhcpNetwork
from a9fe.plan.settings import DhcpSettings

Leases = Mapping[str, frozenset[str]]
"""Leased addresses by next hop to metadata, of linux.dhcp.leases."""


def leads_here(network: DhcpNetwork, settings: DhcpSettings, leases: Leases) -> bool:
    """Whether older leases need the listener: the operator wants it, or a router serves the
    subnet now, so that these VMs will be served also after they renewed.
    """
    own = {ip.ip_address for ip in network.port.fixed_ips}
    return any(
        settings.serves_isolated or subnet.id in network.routed
        for _, subnet in _led(network, leases, own)
    )


def stand_ins(network: DhcpNetwork, settings: DhcpSettings, leases: Leases) -> dict[str, str]:
    """Addresses for the DHCP port to take, until the leases end or a port has the address.

    With their CIDR forms: with the subnet's prefix if the DHCP port has no address there, so that
    there is a route to the VMs.
    """
    if not settings.serves_isolated:
        return {}
    own = {ip.subnet_id for ip in network.port.fixed_ips}
    gone = leases.keys() - network.held
    return {
        hop: f"{hop}/{32 if subnet.id in own else network.blocks[subnet.id].prefixlen}"
        for hop, subnet in _led(network, leases, gone)
    }


def _led(network: DhcpNetwork, leases: Leases, hops: Set[str]) -> Iterator[tuple[str, Subnet]]:
    """The next hops among `hops` to which a live lease of their own subnet leads."""
    for hop in sorted(leases.keys() & hops):
        leased = [IPv4Address(address) for address in leases[hop] & network.held]
        for subnet in network.subnets:
            block = network.blocks.get(subnet.id)
            if block and IPv4Address(hop) in block and any(a in block for a in leased):
                yield hop, subnet
