"""How the VMs of a network reach metadata, by Neutron's rules.

Options 121 and 249 announce a next hop for 169.254.169.254 on each subnet:

| subnet                                                               | next hop               |
|----------------------------------------------------------------------|------------------------|
| any, force_metadata                                                  | this agent's DHCP port |
| no router interface on its gateway address, enable_isolated_metadata | this agent's DHCP port |
| a router interface on its gateway address                            | the gateway            |
| other                                                                | none                   |

The next hop is per subnet; whether the DHCP namespace has a listener (`serving`) is per network.
So a network with a routed and an isolated subnet has both. `serving` is Neutron's
should_enable_metadata without its first step, an OVN metadata port (there is no OVN here).
"""

from enum import Enum
from ipaddress import IPv4Network

from a9fe.model.resources import METADATA_IPV4, METADATA_PORT, Subnet
from a9fe.plan import names
from a9fe.plan.dhcp.network import DhcpNetwork, address_in
from a9fe.plan.host import DEFAULT_ROUTE
from a9fe.plan.settings import DhcpSettings
from a9fe.wire.message import Listener

METADATA_NETWORK = IPv4Network("169.254.0.0/16")


class Serving(Enum):
    """Whether a network's DHCP namespace serves metadata, and why."""

    NO_DHCP_SUBNET = "no subnet has DHCP enabled"
    FORCED = "force_metadata is on"
    NOT_WANTED = "enable_isolated_metadata is off"
    METADATA_NETWORK = "enable_metadata_network is on, and a subnet is inside 169.254.0.0/16"
    ISOLATED = "a subnet with DHCP has no router on its gateway address"
    ROUTED = "a router has the gateway address of every subnet with DHCP"

    @property
    def serves(self) -> bool:
        """Whether the namespace has a listener."""
        return self in {Serving.FORCED, Serving.METADATA_NETWORK, Serving.ISOLATED}


def serving(network: DhcpNetwork, settings: DhcpSettings) -> Serving:
    """Decide for a network from its subnets and ports."""
    with_dhcp = [subnet for subnet in network.subnets if subnet.enable_dhcp]
    if not with_dhcp:
        return Serving.NO_DHCP_SUBNET
    if settings.force_metadata:
        return Serving.FORCED
    if not settings.enable_isolated_metadata:
        return Serving.NOT_WANTED
    if settings.enable_metadata_network and has_metadata_subnet(network):
        return Serving.METADATA_NETWORK
    if any(subnet.id not in network.routed for subnet in with_dhcp):
        return Serving.ISOLATED
    return Serving.ROUTED


def has_metadata_subnet(network: DhcpNetwork) -> bool:
    """Whether a subnet is inside 169.254.0.0/16."""
    return any(block.subnet_of(METADATA_NETWORK) for block in network.blocks.values())


def listener(network: DhcpNetwork, settings: DhcpSettings) -> Listener:
    """The listener in a network's DHCP namespace.

    It serves the network; or, for enable_metadata_network, the router of the network's first
    router port by id, so that the VMs of that router's other networks are found.
    """
    serves_router = (
        settings.enable_metadata_network and network.router_ports and has_metadata_subnet(network)
    )
    own = network.network.id
    return Listener(
        kind="router" if serves_router else "network",
        id=network.router_ports[0].device_id if serves_router else own,
        namespace=names.dhcp_namespace(own),
        address=METADATA_IPV4,
        port=METADATA_PORT,
    )


def gateway(subnet: Subnet) -> str | None:
    """The subnet's gateway, else the next hop of a default route among its host routes."""
    if subnet.gateway_ip:
        return subnet.gateway_ip
    defaults = (r.nexthop for r in subnet.host_routes if r.destination == DEFAULT_ROUTE)
    return next(defaults, None)


def next_hop(network: DhcpNetwork, subnet: Subnet, settings: DhcpSettings) -> str | None:
    """The next hop to metadata that DHCP announces on a subnet, None for no route.

    A routed subnet has a route to its gateway, so that Windows does not ARP for the address.
    """
    isolated = subnet.id not in network.routed
    if settings.force_metadata or (isolated and settings.enable_isolated_metadata):
        return address_in(network.port, subnet)
    return None if isolated else gateway(subnet)


def next_hops(network: DhcpNetwork, settings: DhcpSettings) -> frozenset[str]:
    """The next hops to metadata that DHCP announces on the network's subnets."""
    found = (next_hop(network, subnet, settings) for subnet in network.served)
    return frozenset(hop for hop in found if hop)
