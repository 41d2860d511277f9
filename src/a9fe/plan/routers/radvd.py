"""The router advertisements of a router, as the file of its radvd (radvd.conf(5)).

An interface advertises if one of its subnets has an ipv6_ra_mode (Neutron):

| ipv6_ra_mode     | flags of the advertisement | flags of the prefix |
|------------------|----------------------------|---------------------|
| slaac            |                            | on-link, autonomous |
| dhcpv6-stateless | other (O)                  | on-link, autonomous |
| dhcpv6-stateful  | managed (M)                | on-link             |

Further: the MTU, the DNS servers of subnets with autonomous prefixes (RFC 8106), and a route to
fe80::a9fe:a9fe (RFC 4191), so that a VM reaches it by any router even if another device has it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network

from a9fe.model.resources import Network, Port, Subnet
from a9fe.model.rules import addresses as rules
from a9fe.model.rules.addresses import SLAAC, STATEFUL, STATELESS
from a9fe.plan import ipv6, names
from a9fe.plan.host import Radvd
from a9fe.plan.settings import L3Settings

LEAST_MTU = 1280  # RFC 8200
DNS_SERVERS = 3  # at most, in one advertisement (Neutron)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """A router interface with its network and the IPv6 subnets that it has an address on."""

    port: Port
    network: Network
    subnets: tuple[Subnet, ...]


def radvd(router_id: str, interfaces: Iterable[Interface], settings: L3Settings) -> Radvd | None:
    """The radvd of a router; None if no interface advertises."""
    advertising = [one for one in interfaces if any(s.ipv6_ra_mode for s in one.subnets)]
    if not advertising:
        return None
    lines = (line for one in advertising for line in _interface(one, settings))
    return Radvd(
        router_id=router_id,
        directory=f"{settings.ra_confs}/{router_id}",
        config="".join(f"{line}\n" for line in lines),
    )


def _interface(one: Interface, settings: L3Settings) -> Iterator[str]:
    modes = {subnet.ipv6_ra_mode for subnet in one.subnets}
    mtu = rules.device_mtu(one.network.mtu)
    servers = tuple(_dns_servers(one.subnets))[:DNS_SERVERS]
    yield f"interface {names.router_device(one.port.id)} {{"
    yield "  AdvSendAdvert on;"
    yield f"  MinRtrAdvInterval {settings.min_rtr_adv_interval};"
    yield f"  MaxRtrAdvInterval {settings.max_rtr_adv_interval};"
    # Not from fe80::a9fe:a9fe, which may move to another router.
    yield f"  AdvRASrcAddress {{ {ipv6.link_local(one.port.mac_address)}; }};"
    if mtu >= LEAST_MTU:
        yield f"  AdvLinkMTU {mtu};"
    if STATELESS in modes:
        yield "  AdvOtherConfigFlag on;"
    if STATEFUL in modes:
        yield "  AdvManagedFlag on;"
    for subnet in one.subnets:
        if subnet.ipv6_ra_mode:
            autonomous = "off" if subnet.ipv6_ra_mode == STATEFUL else "on"
            prefix = f"prefix {IPv6Network(subnet.cidr)}"
            yield f"  {prefix} {{ AdvOnLink on; AdvAutonomous {autonomous}; }};"
    if servers:
        yield f"  RDNSS {' '.join(servers)} {{}};"
    if settings.enable_metadata_proxy:
        yield f"  route {ipv6.METADATA} {{}};"
    yield "};"


def _dns_servers(subnets: Iterable[Subnet]) -> Iterator[str]:
    """ "::" as the only server means none."""
    for subnet in subnets:
        if subnet.ipv6_ra_mode in (SLAAC, STATELESS):
            for text in subnet.dns_nameservers:
                address = IPv6Address(text)
                if not address.is_unspecified:
                    yield str(address)
