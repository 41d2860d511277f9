"""The router namespaces of a host: interfaces, external gateway, routes and metadata.

The gateway has IPv4 only. Planned router by router (plan.parts).
"""

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from a9fe.model.resources import (
    ROUTER_GATEWAY_OWNER,
    ROUTER_INTERFACE_OWNERS,
    HostRoute,
    Network,
    Port,
    Router,
    Subnet,
)
from a9fe.model.rules import addresses as rules
from a9fe.plan import model_view, names, parts, sysctls
from a9fe.plan.bridges import bridges, link
from a9fe.plan.host import Address, HostPlan, NamespacePlan, Route, Veth
from a9fe.plan.model_view import ModelView
from a9fe.plan.parts import Part
from a9fe.plan.routers import gateways, ipv6, radvd
from a9fe.plan.routers import rules as router
from a9fe.plan.routers.gateways import Gateway
from a9fe.plan.settings import L3Settings
from a9fe.plan.uplinks import uplinks
from a9fe.wire.message import Listener

EMPTY = parts.NONE["l3"]
# In the router's namespace; filter INPUT lets only marked packets in.
ANY, ANY_IPV6 = "0.0.0.0", "::"  # noqa: S104


def plan(model: ModelView, host: str, settings: L3Settings) -> HostPlan:
    """The L3 agent's plan for `host`: the union of the plans of all its parts."""
    found = (plan_part(model, host, settings, part) for part in all_parts(model, host))
    return parts.union(found, EMPTY)


def all_parts(model: ModelView, host: str) -> Iterator[Part]:
    """All parts with something to plan: the networks, and the routers bound to `host`."""
    yield from (parts.network(network.id) for network in model.all("network"))
    yield from (parts.router(id) for id in model_view.bound(model, "l3", host))


def plan_part(model: ModelView, host: str, settings: L3Settings, part: Part) -> HostPlan:
    """The plan of one part: a network's bridge, or the namespace of a router that is bound to
    `host` with admin_state_up. O(networks and ports of the router).
    """
    if part.kind == "network":
        return replace(
            EMPTY,
            bridges=bridges(model, part.id),
            uplinks=uplinks(model, part.id, settings.bridge_mappings, for_gateways=True),
        )
    found = model_view.get(model, Router, "router", part.id) if part.kind == "router" else None
    if found is None or not found.admin_state_up or not _is_here(model, host, part):
        return EMPTY
    space = _namespace(model, found, settings)
    return replace(EMPTY, namespaces={space.name: space})


def _is_here(model: ModelView, host: str, part: Part) -> bool:
    return model_view.is_bound(model, "l3", host, part.id)


def interfaces(model: ModelView, router_id: str) -> tuple[Port, ...]:
    """The internal interfaces of a router that have admin_state_up, sorted by id."""
    found = model.ports_by_device(router_id)
    ours = (p for p in found if p.device_owner in ROUTER_INTERFACE_OWNERS and p.admin_state_up)
    return tuple(sorted(ours, key=lambda port: port.id))


def ports(model: ModelView, host: str, part: Part) -> tuple[Port, ...]:
    """The ports whose status the L3 agent of `host` reports, of routers bound to it: interfaces
    with their router, gateways with their network, whose bridge and uplink they need.
    """
    if part.kind == "network":
        return tuple(_gateways_here(model, host, part.id))
    if part.kind != "router" or not _is_here(model, host, part):
        return ()
    found = model.ports_by_device(part.id)
    return tuple(port for port in found if port.device_owner in ROUTER_INTERFACE_OWNERS)


def _gateways_here(model: ModelView, host: str, network_id: str) -> Iterator[Port]:
    network = model_view.get(model, Network, "network", network_id)
    if network is None or not network.external:
        return
    for port in model.ports_by_network(network_id):
        is_gateway = port.device_owner == ROUTER_GATEWAY_OWNER
        if is_gateway and _is_here(model, host, parts.router(port.device_id)):
            yield port


def _namespace(model: ModelView, router_: Router, settings: L3Settings) -> NamespacePlan:
    name = names.router_namespace(router_.id)
    internal = interfaces(model, router_.id)
    on_ipv6 = ipv6.interfaces(model, internal, settings)
    gateway = gateways.gateway_of(model, router_.id)
    inside = frozenset(address for port in internal for address in _addresses(model, port))
    outside = frozenset(gateways.addresses(gateway)) if gateway else frozenset()
    blocks = {str(_block(address.cidr)) for address in inside}
    external = gateways.external(gateway, router_, blocks) if gateway else None
    return NamespacePlan(
        name=name,
        links=frozenset(link for port in internal for link in _links(model, port))
        | (frozenset({_outer_link(gateway)}) if gateway else frozenset()),
        addresses=inside | outside | frozenset(ipv6.addresses(on_ipv6, settings)),
        routes=_all_routes(model, router_, inside, gateway),
        sysctls=sysctls.router(ipv6_on_host=settings.ipv6_on_host, ipv6=bool(on_ipv6)),
        iptables=router.rules(settings, external),
        ip6tables=router.rules_ipv6(settings) if on_ipv6 else "",
        radvd=radvd.radvd(router_.id, on_ipv6, settings),
        listeners=frozenset(
            _listener(router_, port, name, settings.metadata_port, any_address)
            for any_address, ports in (
                (ANY, [p for p in internal if model.get("network", p.network_id) is not None]),
                (ANY_IPV6, [one.port for one in on_ipv6]),
            )
            for port in ports
            if settings.enable_metadata_proxy
        ),
    )


def _outer_link(gateway: Gateway) -> Veth:
    return link(gateway.network, gateway.port, gateway.device)


def _links(model: ModelView, port: Port) -> Iterator[Veth]:
    network = model_view.get(model, Network, "network", port.network_id)
    if network is not None:
        yield link(network, port, names.router_device(port.id))


def _addresses(model: ModelView, port: Port) -> Iterator[Address]:
    if model.get("network", port.network_id) is None:
        return  # there is no link without the network
    for ip in port.fixed_ips:
        subnet = model_view.get(model, Subnet, "subnet", ip.subnet_id)
        if subnet is not None and subnet.ip_version == 4:
            length = IPv4Network(subnet.cidr).prefixlen
            yield Address(device=names.router_device(port.id), cidr=f"{ip.ip_address}/{length}")


def _connected(model: ModelView, router_id: str) -> frozenset[str]:
    """The CIDRs of all subnets with a port of the router, whatever its admin_state_up is."""
    ids = {ip.subnet_id for port in model.ports_by_device(router_id) for ip in port.fixed_ips}
    found = (model_view.get(model, Subnet, "subnet", id) for id in ids)
    return frozenset(subnet.cidr for subnet in found if subnet is not None)


def _all_routes(
    model: ModelView, router_: Router, inside: Set[Address], gateway: Gateway | None
) -> frozenset[Route]:
    """One route for each destination: an extra route takes the place of the gateway's."""
    blocks = [str(_block(address.cidr)) for address in inside]
    found = list(gateways.routes(gateway, blocks)) if gateway else []
    near = [*inside, *(gateways.own_addresses(gateway) if gateway else ())]
    found += _routes(router_.routes, sorted(near), _connected(model, router_.id))
    return frozenset({route.destination: route for route in found}.values())


def _routes(
    routes: Iterable[HostRoute], addresses: Sequence[Address], connected: Set[str]
) -> Iterator[Route]:
    """Extra routes whose next hop is on an interface's subnet; one for each destination.

    Routes into a connected subnet are left out, because they would divert its traffic.
    """
    for destination, nexthop in {r.destination: r.nexthop for r in routes}.items():
        device = _device_towards(nexthop, addresses)
        taken = any(rules.within(destination, cidr) for cidr in connected)
        if ":" not in destination and device is not None and not taken:
            yield Route(destination=destination, via=nexthop, device=device)


def _device_towards(nexthop: str, addresses: Sequence[Address]) -> str | None:
    if ":" in nexthop:
        return None
    return next(
        (a.device for a in addresses if IPv4Address(nexthop) in _block(a.cidr)),
        None,
    )


def _block(cidr: str) -> IPv4Network:
    return IPv4Network(cidr, strict=False)


def _listener(
    router_: Router, port: Port, namespace: str, metadata_port: int, address: str
) -> Listener:
    """The listener of an interface, bound to its device, with the interface's network.

    Its requests belong to that network, even if the router has changed in the model since.
    """
    return Listener(
        kind="router",
        id=router_.id,
        namespace=namespace,
        address=address,
        port=metadata_port,
        device=names.router_device(port.id),
        port_id=port.id,
        network_id=port.network_id,
    )
