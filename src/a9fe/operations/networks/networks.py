"""Create, change and delete networks."""

from dataclasses import dataclass, replace

from a9fe.api_tables.typed_requests import UNSET, Unset, applied, created, given
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
from a9fe.operations.agents.scheduling import DHCP, bindings_of, schedule_network
from a9fe.operations.networks import rbac_policies
from a9fe.operations.ports.floating_ip_links import delete_dissociated
from a9fe.operations.transaction import Transaction, new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNetwork:
    """A network to create. `mtu` 0 or UNSET: the default of its type."""

    name: str = ""
    project_id: str | Unset = UNSET
    description: str = ""
    admin_state_up: bool = True
    shared: bool = False
    external: bool = False
    mtu: int | Unset = UNSET
    port_security_enabled: bool = True
    network_type: str = "local"
    physical_network: str | None = None
    segmentation_id: int | None = None
    availability_zone_hints: tuple[str, ...] = ()
    dns_domain: str = ""
    is_default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkChange:
    """What may change of a network. `mtu` 0: the default of its type."""

    name: str | Unset = UNSET
    description: str | Unset = UNSET
    admin_state_up: bool | Unset = UNSET
    shared: bool | Unset = UNSET
    external: bool | Unset = UNSET
    mtu: int | Unset = UNSET
    port_security_enabled: bool | Unset = UNSET
    segmentation_id: int | Unset | None = UNSET
    dns_domain: str | Unset = UNSET
    is_default: bool | Unset = UNSET


def create(tx: Transaction, new: NewNetwork) -> Network:
    """Create a network."""
    network = created(
        Network,
        new,
        id=new_id(),
        project_id=given(new.project_id, tx.project_id),
        mtu=new.mtu or _default_mtu(tx, new.network_type),
    )
    _check_mtu(tx, network.mtu, network.network_type)
    check_provider(network)
    _check_flat(tx, network)
    return rbac_policies.follow(tx, tx.session.insert(network))


def update(tx: Transaction, old: Network, change: NetworkChange) -> Network:
    """Change a network."""
    new = applied(old, change)
    if change.mtu is not UNSET:
        new = replace(new, mtu=change.mtu or _default_mtu(tx, old.network_type))
        _check_mtu(tx, new.mtu, old.network_type)
        for subnet in tx.session.find(Subnet, network_id=old.id):
            rules.check_mtu(new.mtu, subnet.ip_version, old.id)
    _check_external(tx, old, new)
    network = rbac_policies.follow(tx, tx.session.update(new), old)
    if network.admin_state_up and not old.admin_state_up:
        schedule_network(tx, network.id)
    return network


def _check_external(tx: Transaction, old: Network, new: Network) -> None:
    if not old.external or new.external:
        return
    owners = [ROUTER_GATEWAY_OWNER, FLOATING_IP_OWNER]
    if tx.session.find(Port, network_id=old.id, device_owner=owners):
        message = f"External network {old.id} cannot be updated to be made non-external"
        message = f"{message}, since it has existing gateway ports or floating IPs"
        raise Conflict("ExternalNetworkInUse", message)


OVERHEAD = {"vxlan": 50, "gre": 42, "geneve": 58}
"""Bytes of encapsulation that lower the MTU, by network type (Neutron)."""


def _default_mtu(tx: Transaction, network_type: str) -> int:
    return tx.config.global_physnet_mtu - OVERHEAD.get(network_type, 0)


def _check_mtu(tx: Transaction, mtu: int, network_type: str) -> None:
    largest = _default_mtu(tx, network_type)
    if mtu > largest:
        words = f"Requested MTU is too big, maximum is {largest}"
        raise InvalidInput("mtu", mtu, f"at most {largest} (global_physnet_mtu)", words=words)


SEGMENTS = {"vlan": (1, 4094), "vxlan": (1, 2**24 - 1), "gre": (1, 2**31 - 1)}
SEGMENTS["geneve"] = SEGMENTS["vxlan"]


def check_provider(network: Network) -> None:
    """Check that the provider:* attributes suit each other. Raises InvalidInput."""
    kind, place = network.network_type, network.physical_network
    number = network.segmentation_id
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


def _check_flat(tx: Transaction, network: Network) -> None:
    """Raise Conflict if the physical network of a flat network has another one already."""
    place = network.physical_network
    if network.network_type != "flat" or place is None:
        return
    if tx.session.find(Network, network_type="flat", physical_network=place):
        words = f"Unable to create the flat network. Physical network {place} is in use."
        raise Conflict("FlatNetworkInUse", words)


def delete(tx: Transaction, network: Network) -> None:
    """Delete a network with its subnets, bindings and its own ports.

    Raises Conflict (NetworkInUse) while other ports are on it.
    """
    delete_dissociated(tx, network)
    on_it = tx.session.find(Port, network_id=network.id)
    rules_ports.check_network_delete(network.id, on_it)
    for binding in bindings_of(tx, DHCP, network.id):
        tx.session.delete(Binding, binding.id)
    for port in on_it:
        tx.session.delete(Port, port.id)
    for subnet in tx.session.find(Subnet, network_id=network.id):
        tx.session.delete(Subnet, subnet.id)
    rbac_policies.delete_all(tx, network)
    tx.session.delete(Network, network.id)
