"""Networks and subnets: made, changed, deleted with what is the network's own."""

from dataclasses import replace
from typing import Any

from a9fe.api_tables.attributes import Values
from a9fe.model.errors import Conflict, InvalidInput
from a9fe.model.resources import (
    FLOATING_IP_OWNER,
    ROUTER_GATEWAY_OWNER,
    Binding,
    Network,
    Port,
    Subnet,
)
from a9fe.model.rules import addresses as rules
from a9fe.model.rules import ports as rules_ports
from a9fe.operations.agents.scheduling import DHCP, bindings_of, follow_subnets, schedule_network
from a9fe.operations.networks import sharing, subnet_pools
from a9fe.operations.routers.floating_links import delete_unlinked
from a9fe.operations.transaction import Transaction, new_id


def create(tx: Transaction, values: Values) -> Network:
    """A new network."""
    values.setdefault("project_id", tx.project_id)
    values["mtu"] = values.get("mtu") or _default_mtu(tx, values["network_type"])
    _check_mtu(tx, values["mtu"], values["network_type"])
    check_provider(values)
    return sharing.follow(tx, tx.session.insert(Network(id=new_id(), **values)))


def update(tx: Transaction, old: Network, values: Values) -> Network:
    """Change a network."""
    if values.get("mtu") == 0:
        values["mtu"] = _default_mtu(tx, old.network_type)
    if "mtu" in values:
        _check_mtu(tx, values["mtu"], old.network_type)
        for subnet in tx.session.find(Subnet, network_id=old.id):
            rules.check_mtu(values["mtu"], subnet.ip_version, old.id)
    _check_external(tx, old, values)
    network = sharing.follow(tx, tx.session.update(replace(old, **values)), old)
    if network.admin_state_up and not old.admin_state_up:
        schedule_network(tx, network.id)
    return network


def _check_external(tx: Transaction, old: Network, values: Values) -> None:
    if not old.external or values.get("external", True):
        return
    owners = [ROUTER_GATEWAY_OWNER, FLOATING_IP_OWNER]
    if tx.session.find(Port, network_id=old.id, device_owner=owners):
        message = f"External network {old.id} cannot be updated to be made non-external"
        message = f"{message}, since it has existing gateway ports or floating IPs"
        raise Conflict("ExternalNetworkInUse", message)


OVERHEAD = {"vxlan": 50, "gre": 42, "geneve": 58}
"""Bytes that a tunnel takes from the MTU of what carries it (Neutron's)."""


def _default_mtu(tx: Transaction, network_type: str) -> int:
    return tx.config.global_physnet_mtu - OVERHEAD.get(network_type, 0)


def _check_mtu(tx: Transaction, mtu: int, network_type: str) -> None:
    largest = _default_mtu(tx, network_type)
    if mtu > largest:
        words = f"Requested MTU is too big, maximum is {largest}"
        raise InvalidInput("mtu", mtu, f"at most {largest} (global_physnet_mtu)", words=words)


SEGMENTS = {"vlan": (1, 4094), "vxlan": (1, 2**24 - 1), "gre": (1, 2**31 - 1)}
SEGMENTS["geneve"] = SEGMENTS["vxlan"]


def check_provider(values: Values) -> None:
    """What provider:* attributes need each other. Raises InvalidInput."""
    kind, place = values["network_type"], values["physical_network"]
    number = values["segmentation_id"]
    if place is None and kind in {"flat", "vlan"}:
        expected = f"a name, which a {kind} network needs"
        raise InvalidInput("provider:physical_network", place, expected)
    if place is not None and kind not in {"flat", "vlan"}:
        raise InvalidInput("provider:physical_network", place, f"none for a {kind} network")
    if number is not None:
        low, high = SEGMENTS.get(kind, (0, -1))
        if not low <= number <= high:
            expected = f"from {low} to {high}" if high > 0 else f"none for a {kind} network"
            raise InvalidInput("provider:segmentation_id", number, expected)


def delete(tx: Transaction, network: Network) -> None:
    """Remove a network with its subnets, bindings and its own ports. Raises NetworkInUse."""
    delete_unlinked(tx, network)
    on_it = tx.session.find(Port, network_id=network.id)
    rules_ports.check_network_delete(network.id, on_it)
    for binding in bindings_of(tx, DHCP, network.id):
        tx.session.delete(Binding, binding.id)
    for port in on_it:
        tx.session.delete(Port, port.id)
    for subnet in tx.session.find(Subnet, network_id=network.id):
        tx.session.delete(Subnet, subnet.id)
    sharing.forget(tx, network)
    tx.session.delete(Network, network.id)


def create_subnet(tx: Transaction, values: Values) -> Subnet:
    """A new subnet; DHCP agents get an address on it."""
    network = tx.session.require(Network, values["network_id"])
    values.setdefault("project_id", network.project_id)
    present = tx.session.find(Subnet, network_id=network.id)
    subnet_pools.cut(tx, values, present)
    version = values["ip_version"]
    block = rules.subnet_cidr("cidr", values["cidr"], version)
    values["cidr"] = block
    values.setdefault("gateway_ip", rules.default_gateway(block))
    values.setdefault("allocation_pools", rules.default_pools(block, values["gateway_ip"]))
    subnet = Subnet(id=new_id(), **values)
    _check(tx, subnet)
    rules.check_dhcp(subnet)
    rules.check_overlap(block, network.id, present)
    rules.check_mtu(network.mtu, subnet.ip_version, network.id)
    stored = tx.session.insert(subnet)
    tx.session.revise(network)
    schedule_network(tx, network.id)
    return stored


def update_subnet(tx: Transaction, old: Subnet, values: Values) -> Subnet:
    """Change a subnet; DHCP ports follow enable_dhcp."""
    subnet = replace(old, **values)
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
    """A router's interface there would no longer be the gateway that VMs were told."""
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


def _limit(field: str, items: tuple[Any, ...], maximum: int) -> None:
    if len(items) > maximum:
        raise InvalidInput(field, f"{len(items)} items", f"at most {maximum}")


def delete_subnet(tx: Transaction, subnet: Subnet) -> None:
    """Remove a subnet; ports that are the network's own lose their address on it."""
    holders = tx.session.find(Port, subnet_id=subnet.id)
    rules_ports.check_subnet_delete(subnet, holders)
    for port in holders:
        left = tuple(f for f in port.fixed_ips if f.subnet_id != subnet.id)
        tx.session.update(replace(port, fixed_ips=left))
    tx.session.delete(Subnet, subnet.id)
    network = tx.session.revise(tx.session.require(Network, subnet.network_id))
    follow_subnets(tx, network)
