"""Which networks get metadata from their DHCP namespace.

Neutron's should_enable_metadata, in its order, without two steps: an OVN metadata port (there is
no OVN here) and enable_metadata_network (a subnet in 169.254.0.0/16, whose listener serves a
router). So a listener here always serves its network.
"""

from collections.abc import Iterable, Sequence
from enum import Enum

from a9fe.model.resources import (
    METADATA_IPV4,
    METADATA_PORT,
    ROUTER_INTERFACE_OWNERS,
    Network,
    Port,
    Subnet,
)
from a9fe.plan import names
from a9fe.plan.settings import DhcpSettings
from a9fe.wire.message import Listener


class Serving(Enum):
    """Whether a network's DHCP namespace serves metadata, and why."""

    NO_DHCP_SUBNET = "no subnet has DHCP enabled"
    FORCED = "force_metadata is on"
    NOT_WANTED = "enable_isolated_metadata is off"
    ISOLATED = "a subnet with DHCP has no router on its gateway address"
    ROUTED = "a router has the gateway address of every subnet with DHCP"

    @property
    def serves(self) -> bool:
        """Whether the namespace has a listener."""
        return self in {Serving.FORCED, Serving.ISOLATED}


def serving(subnets: Sequence[Subnet], ports: Iterable[Port], settings: DhcpSettings) -> Serving:
    """Decide for a network from its subnets and ports. O(subnets + ports)."""
    with_dhcp = [subnet for subnet in subnets if subnet.enable_dhcp]
    if not with_dhcp:
        return Serving.NO_DHCP_SUBNET
    if settings.force_metadata:
        return Serving.FORCED
    if not settings.enable_isolated_metadata:
        return Serving.NOT_WANTED
    routed = routed_subnets(subnets, ports)
    if any(subnet.id not in routed for subnet in with_dhcp):
        return Serving.ISOLATED
    return Serving.ROUTED


def routed_subnets(subnets: Iterable[Subnet], ports: Iterable[Port]) -> frozenset[str]:
    """Ids of the subnets with a router interface on their gateway address. O(subnets + ports).

    All others are isolated: they have no gateway, or a router only on another address.
    """
    gateways = {(subnet.id, subnet.gateway_ip) for subnet in subnets}
    return frozenset(
        ip.subnet_id
        for port in ports
        if port.device_owner in ROUTER_INTERFACE_OWNERS
        for ip in port.fixed_ips
        if (ip.subnet_id, ip.ip_address) in gateways
    )


def listener(network: Network) -> Listener:
    """The listener in a network's DHCP namespace, which serves the network."""
    return Listener(
        kind="network",
        id=network.id,
        namespace=names.dhcp_namespace(network.id),
        address=METADATA_IPV4,
        port=METADATA_PORT,
    )
