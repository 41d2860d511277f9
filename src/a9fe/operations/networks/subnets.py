"""Create, change and delete subnets. The network's DHCP ports follow."""

from dataclasses import dataclass, replace

from a9fe.api_tables.typed_requests import UNSET, Unset, applied, created, given
from a9fe.model.errors import Conflict, InvalidInput
from a9fe.model.resources import AllocationPool, HostRoute, Network, Port, Subnet
from a9fe.model.rules import addresses as rules
from a9fe.model.rules import ports as rules_ports
from a9fe.operations.agents.scheduling import follow_subnets, schedule_network
from a9fe.operations.networks.subnet_allocation import NewSubnet, allocate
from a9fe.operations.transaction import Transaction, new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class SubnetChange:
    """What may change of a subnet. `gateway_ip` None: no gateway."""

    name: str | Unset = UNSET
    description: str | Unset = UNSET
    gateway_ip: str | Unset | None = UNSET
    allocation_pools: tuple[AllocationPool, ...] | Unset = UNSET
    dns_nameservers: tuple[str, ...] | Unset = UNSET
    host_routes: tuple[HostRoute, ...] | Unset = UNSET
    enable_dhcp: bool | Unset = UNSET
    service_types: tuple[str, ...] | Unset = UNSET


def create(tx: Transaction, new: NewSubnet) -> Subnet:
    """Create a subnet; it belongs to the network's project unless the request names another."""
    network = tx.session.require(Network, new.network_id)
    project_id = given(new.project_id, network.project_id)
    present = tx.session.find(Subnet, network_id=network.id)
    cidr, pool_id = allocate(tx, new, project_id, present)
    block = rules.subnet_cidr("cidr", cidr, new.ip_version)
    gateway_ip = given(new.gateway_ip, rules.default_gateway(block))
    subnet = created(
        Subnet,
        new,
        id=new_id(),
        project_id=project_id,
        cidr=block,
        subnetpool_id=pool_id,
        gateway_ip=gateway_ip,
        allocation_pools=given(new.allocation_pools, rules.default_pools(block, gateway_ip)),
    )
    _check(tx, subnet)
    rules.check_dhcp(subnet)
    rules.check_overlap(block, network.id, present)
    rules.check_mtu(network.mtu, subnet.ip_version, network.id)
    stored = tx.session.insert(subnet)
    tx.session.revise(network)
    schedule_network(tx, network.id)
    return stored


def update(tx: Transaction, old: Subnet, change: SubnetChange) -> Subnet:
    """Change a subnet. The network's DHCP ports follow enable_dhcp."""
    subnet = applied(old, change)
    _check(tx, subnet)
    if not old.enable_dhcp:
        rules.check_dhcp(subnet)
    if subnet.gateway_ip != old.gateway_ip:
        _refuse_held_gateway(tx, old)
    stored = tx.session.update(subnet)
    if stored != old:
        tx.session.revise(tx.session.require(Network, stored.network_id))
    if stored.enable_dhcp != old.enable_dhcp:
        schedule_network(tx, stored.network_id)
    return stored


def _refuse_held_gateway(tx: Transaction, subnet: Subnet) -> None:
    """Refuse to change a gateway that a router has: VMs would keep using it."""
    if subnet.gateway_ip is None:
        return
    held = tx.session.find(Port, subnet_id=subnet.id, ip_address=subnet.gateway_ip)
    for port in held:
        if port.device_owner in rules_ports.ROUTER_OWNERS:
            message = f"Current gateway ip {subnet.gateway_ip} already in use by port {port.id}"
            message = f"{message}. Unable to update."
            raise Conflict("GatewayIpInUse", message)


def _check(tx: Transaction, subnet: Subnet) -> None:
    config = tx.config
    _limit("dns_nameservers", subnet.dns_nameservers, config.max_dns_nameservers)
    _limit("host_routes", subnet.host_routes, config.max_subnet_host_routes)
    for name in subnet.dns_nameservers:
        rules.address("dns_nameservers", name, subnet.ip_version)
    for route in subnet.host_routes:
        rules.cidr("host_routes.destination", route.destination, subnet.ip_version)
        rules.next_hop("host_routes.nexthop", route.nexthop, subnet.ip_version)
    rules.check_ipv6_modes(subnet)
    rules.check_gateway(subnet.cidr, subnet.gateway_ip)
    rules.check_pools(subnet.cidr, subnet.allocation_pools, subnet.gateway_ip)


def _limit(field: str, items: tuple[object, ...], maximum: int) -> None:
    if len(items) > maximum:
        raise InvalidInput(field, f"{len(items)} items", f"at most {maximum}")


def delete(tx: Transaction, subnet: Subnet) -> None:
    """Delete a subnet; the network's own ports lose their address on it.

    Raises Conflict while other ports have an address on it.
    """
    holders = tx.session.find(Port, subnet_id=subnet.id)
    rules_ports.check_subnet_delete(subnet, holders)
    for port in holders:
        left = tuple(f for f in port.fixed_ips if f.subnet_id != subnet.id)
        tx.session.update(replace(port, fixed_ips=left))
    tx.session.delete(Subnet, subnet.id)
    network = tx.session.revise(tx.session.require(Network, subnet.network_id))
    follow_subnets(tx, network)
