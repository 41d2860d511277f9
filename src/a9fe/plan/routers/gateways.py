"""The external gateway of a router: its device, addresses and routes, and its floating IPs.

IPv4 only, as Neutron's legacy router: the gateway port has the device qg- in the router's
namespace; a default route by the external subnet's gateway; on-link routes to the external
network's other subnets; each floating IP is an address with the prefix length 32 on that device.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network

from a9fe.model.resources import ROUTER_GATEWAY_OWNER, Network, Port, Router, Subnet
from a9fe.model.rules import addresses as rules
from a9fe.plan import model_view, names
from a9fe.plan.host import DEFAULT_ROUTE, Address, Route
from a9fe.plan.model_view import ModelView
from a9fe.plan.routers.rules import External


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A router's port on an external network; `subnets` are the network's IPv4 ones.

    `floating`: pairs of a floating IP and its fixed IP, sorted.
    """

    port: Port
    network: Network
    subnets: tuple[Subnet, ...]
    floating: tuple[tuple[str, str], ...] = ()

    @property
    def device(self) -> str:
        """Its device in the router's namespace."""
        return names.gateway_device(self.port.id)


def gateway_of(model: ModelView, router_id: str) -> Gateway | None:
    """The gateway of a router; None without one, or with admin_state_up false."""
    for port in model.ports_by_device(router_id):
        network = model_view.get(model, Network, "network", port.network_id)
        if port.device_owner == ROUTER_GATEWAY_OWNER and port.admin_state_up and network:
            subnets = model_view.subnets_of(model, network.id)
            ipv4 = tuple(subnet for subnet in subnets if subnet.ip_version == 4)
            floating = _floating(model, router_id, network.id)
            return Gateway(port=port, network=network, subnets=ipv4, floating=floating)
    return None


def _floating(model: ModelView, router_id: str, network_id: str) -> tuple[tuple[str, str], ...]:
    found = (
        (one.floating_ip_address, one.fixed_ip_address)
        for one in model.floating_ips_by_router(router_id)
        if one.floating_network_id == network_id and one.fixed_ip_address
    )
    return tuple(sorted(found))


def external(gateway: Gateway, router: Router, internal: Iterable[str]) -> External:
    """The router's way out, as its rules need it. `internal`: the CIDRs of its interfaces."""
    own = next((address for address, _ in _own(gateway)), "")
    return External(
        device=gateway.device,
        snat=own if router.enable_snat else "",
        floating=gateway.floating,
        internal=tuple(sorted(internal)),
    )


def addresses(gateway: Gateway) -> Iterator[Address]:
    """The gateway's own addresses, and the floating IPs."""
    yield from own_addresses(gateway)
    for floating, _ in gateway.floating:
        yield Address(device=gateway.device, cidr=f"{floating}/32")


def own_addresses(gateway: Gateway) -> Iterator[Address]:
    """The gateway's own addresses."""
    for address, subnet in _own(gateway):
        cidr = f"{address}/{IPv4Network(subnet.cidr).prefixlen}"
        yield Address(device=gateway.device, cidr=cidr)


def routes(gateway: Gateway, internal: Iterable[str]) -> Iterator[Route]:
    """The default route, and on-link routes to what it needs and to the other external subnets.

    `internal`: the CIDRs of the router's interfaces, which no external subnet may divert.
    """
    held = [subnet for _, subnet in _own(gateway)]
    blocks = [IPv4Network(cidr) for cidr in internal if ":" not in cidr]
    for subnet in gateway.subnets:
        block = IPv4Network(subnet.cidr)
        if subnet not in held and not any(block.overlaps(other) for other in blocks):
            yield Route(destination=subnet.cidr, via="", device=gateway.device)
    own = {address for address, _ in _own(gateway)}
    for subnet in held:
        hop = subnet.gateway_ip
        if hop is None or hop in own:
            continue
        if not rules.contains(subnet.cidr, hop):
            yield Route(destination=f"{hop}/32", via="", device=gateway.device)
        yield Route(destination=DEFAULT_ROUTE, via=hop, device=gateway.device)
        return


def _own(gateway: Gateway) -> Iterator[tuple[str, Subnet]]:
    """The gateway's IPv4 addresses with their subnets, in the port's order."""
    subnets = {subnet.id: subnet for subnet in gateway.subnets}
    for fixed in gateway.port.fixed_ips:
        if fixed.subnet_id in subnets:
            yield fixed.ip_address, subnets[fixed.subnet_id]
