"""The DHCP namespaces of a host, and the filters of its VMs' ports.

Planned network by network (plan.parts).
"""

from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv4Address, IPv4Interface

from a9fe.model.resources import DHCP_OWNER, METADATA_IPV4, Network, Port, is_network_owner
from a9fe.plan import model_view, names, parts, sysctls
from a9fe.plan.bridges import bridges, link
from a9fe.plan.dhcp import dnsmasq, ipv6, isolation, older_leases
from a9fe.plan.dhcp.isolation import Serving
from a9fe.plan.dhcp.network import DhcpNetwork, address_in
from a9fe.plan.dhcp.older_leases import Leases
from a9fe.plan.filters import port_security
from a9fe.plan.host import DEFAULT_ROUTE, Address, HostPlan, NamespacePlan, Route
from a9fe.plan.model_view import ModelView
from a9fe.plan.parts import Part
from a9fe.plan.settings import DhcpSettings
from a9fe.plan.uplinks import uplinks

InUse = Callable[[str], Leases]

METADATA = f"{METADATA_IPV4}/32"
EMPTY = parts.NONE["dhcp"]


def no_leases(network_id: str) -> Leases:
    """No recorded leases."""
    return {}


def plan(
    model: ModelView, host: str, settings: DhcpSettings, in_use: InUse = no_leases
) -> HostPlan:
    """The DHCP agent's plan for `host`: the union of the plans of all its parts."""
    found = (plan_part(model, host, settings, part, in_use) for part in all_parts(model))
    return parts.union(found, EMPTY)


def all_parts(model: ModelView) -> Iterator[Part]:
    """All parts with something to plan: the networks. O(networks)."""
    return (parts.network(network.id) for network in model.all("network"))


def plan_part(
    model: ModelView, host: str, settings: DhcpSettings, part: Part, in_use: InUse = no_leases
) -> HostPlan:
    """The plan of one network: its bridge, its taps, and its namespace if it is served here.

    `in_use` gives, by network id, the leased addresses by next hop to metadata. Each next hop in
    use is served, even if DHCP announces another one now (plan.dhcp.older_leases). O(ports of the
    network).
    """
    if part.kind != "network" or model.get("network", part.id) is None:
        return EMPTY
    network = served(model, host, part.id)
    spaces = () if network is None else (_namespace(network, settings, in_use(part.id)),)
    return HostPlan(
        bridges=bridges(model, part.id),
        uplinks=uplinks(model, part.id, settings.bridge_mappings),
        namespaces={space.name: space for space in spaces},
        port_security=port_security.of_network(
            model.ports_by_network(part.id), model.subnets_by_network(part.id), host
        ),
        taps=taps(model, host, part.id),
    )


def served(model: ModelView, host: str, network_id: str) -> DhcpNetwork | None:
    """The network if the DHCP agent of `host` serves it: if it is bound to it, with
    admin_state_up and a DHCP port of this host; else None.
    """
    network = model_view.get(model, Network, "network", network_id)
    if network is None or not network.admin_state_up:
        return None
    port = own_port(model, host, network_id)
    if port is None or not model_view.is_bound(model, "dhcp", host, network_id):
        return None
    return DhcpNetwork(
        network=network,
        subnets=model_view.subnets_of(model, network_id),
        ports=model_view.ports_of(model, network),
        port=port,
    )


def ports(model: ModelView, host: str, part: Part) -> tuple[Port, ...]:
    """The ports of a part whose status the DHCP agent of `host` reports: its own, and VMs' ports
    bound to this host or to none.
    """
    if part.kind != "network":
        return ()
    found = (port for port in model.ports_by_network(part.id) if port.host in {"", host})
    return tuple(
        port
        for port in found
        if not is_network_owner(port.device_owner)
        or (port.host and port.device_id == names.dhcp_device_id(host, port.network_id))
    )


def own_port(model: ModelView, host: str, network_id: str) -> Port | None:
    """The DHCP port of a network on a host, which the server made; the first by id of several."""
    found = model.ports_by_device(names.dhcp_device_id(host, network_id))
    ours = (p for p in found if p.device_owner == DHCP_OWNER and p.network_id == network_id)
    return min(ours, key=lambda port: port.id, default=None)


def _namespace(network: DhcpNetwork, settings: DhcpSettings, leases: Leases) -> NamespacePlan:
    device = names.dhcp_device(network.port.id)
    why = isolation.serving(network, settings)
    older = leases if why is not Serving.NO_DHCP_SUBNET else {}
    extra = older_leases.stand_ins(network, settings, older)
    serves = why.serves or bool(extra) or older_leases.leads_here(network, settings, older)
    cidrs = (*_own(network), *extra.values(), *((METADATA,) if serves else ()))
    return NamespacePlan(
        name=names.dhcp_namespace(network.network.id),
        links=frozenset({link(network.network, network.port, device)}),
        addresses=frozenset(
            (
                *(Address(device=device, cidr=cidr) for cidr in cidrs),
                *ipv6.addresses(network, device, settings),
            )
        ),
        routes=frozenset(
            (
                *(r for r in _routes(network, device) if r.via not in extra),
                *(_unconnected(network, device, cidrs) if serves else ()),
            )
        ),
        sysctls=sysctls.dhcp(
            ipv6_on_host=settings.ipv6_on_host, ipv6=ipv6.is_on(network, settings)
        ),
        dnsmasq=dnsmasq.dnsmasq(network, settings),
        listeners=frozenset(
            (
                *((isolation.listener(network, settings),) if serves else ()),
                *ipv6.listeners(network, device, settings),
            )
        ),
    )


def _own(network: DhcpNetwork) -> Iterator[str]:
    """The port's addresses, in CIDR form."""
    for ip in network.port.fixed_ips:
        if ip.subnet_id in network.blocks:
            yield f"{ip.ip_address}/{network.blocks[ip.subnet_id].prefixlen}"


def _routes(network: DhcpNetwork, device: str) -> Iterator[Route]:
    """The default route, via the gateway of the first subnet with DHCP and a gateway."""
    for subnet in network.served:
        gateway, own = subnet.gateway_ip, address_in(network.port, subnet)
        if gateway is not None and own is not None:
            # While the model changes, the port's address may be outside of its subnet.
            connected = IPv4Interface(f"{own}/{network.blocks[subnet.id].prefixlen}").network
            if IPv4Address(gateway) not in connected:
                yield Route(destination=f"{gateway}/32", via="", device=device)
            yield Route(destination=DEFAULT_ROUTE, via=gateway, device=device)
            return


def _unconnected(network: DhcpNetwork, device: str, cidrs: Iterable[str]) -> Iterator[Route]:
    """On-link routes to the subnets in which the port has no address, such as those without DHCP:
    VMs with static addresses are answered.
    """
    connected = {IPv4Interface(cidr).network for cidr in cidrs}
    for block in network.blocks.values():
        if block not in connected:
            yield Route(destination=str(block), via="", device=device)


def taps(model: ModelView, host: str, network_id: str) -> dict[str, str]:
    """Devices of a network's VMs that may be on this host, each with its bridge."""
    return {
        names.outer_device(port.id): names.bridge(network_id)
        for port in model.ports_by_network(network_id)
        if port.host in {"", host} and not is_network_owner(port.device_owner)
    }
