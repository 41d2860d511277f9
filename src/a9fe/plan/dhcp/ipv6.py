"""IPv6 in the DHCP namespace of a network: addresses, and metadata at fe80::a9fe:a9fe."""

from collections.abc import Iterator

from a9fe.model.resources import METADATA_IPV6, METADATA_PORT
from a9fe.plan import ipv6, names
from a9fe.plan.dhcp.network import DhcpNetwork
from a9fe.plan.host import Address
from a9fe.plan.settings import DhcpSettings
from a9fe.wire.message import Listener


def is_on(network: DhcpNetwork, settings: DhcpSettings) -> bool:
    """Whether the namespace has IPv6: the network has an IPv6 subnet."""
    return settings.ipv6_on_host and any(s.ip_version == 6 for s in network.subnets)


def serves_metadata(network: DhcpNetwork, settings: DhcpSettings) -> bool:
    """Whether the namespace has fe80::a9fe:a9fe and a listener there.

    VMs have link-local addresses on the whole network, so this does not depend on the subnet: a
    router with an IPv6 address on the network serves all of them.
    """
    return (
        is_on(network, settings)
        and settings.serves_isolated
        and any(subnet.enable_dhcp for subnet in network.subnets)
        and not any(":" in ip.ip_address for port in network.router_ports for ip in port.fixed_ips)
    )


def addresses(network: DhcpNetwork, device: str, settings: DhcpSettings) -> Iterator[Address]:
    """The IPv6 addresses of the DHCP port's device."""
    if is_on(network, settings):
        yield from ipv6.of_port(network.port, network.subnets, device)
    if serves_metadata(network, settings):
        yield ipv6.metadata(device)


def listeners(network: DhcpNetwork, device: str, settings: DhcpSettings) -> Iterator[Listener]:
    """The listener at fe80::a9fe:a9fe, which serves the network."""
    if serves_metadata(network, settings):
        yield Listener(
            kind="network",
            id=network.network.id,
            namespace=names.dhcp_namespace(network.network.id),
            address=METADATA_IPV6,
            port=METADATA_PORT,
            device=device,
        )
