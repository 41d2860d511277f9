"""Floating IPs, with Neutron's checks. The L3 agent of their router translates them."""

from dataclasses import dataclass, replace
from typing import NoReturn

from a9fe.api_tables.requests import AddressRequest
from a9fe.api_tables.typed_requests import UNSET, Unset, applied, created, given, resolved
from a9fe.model.errors import A9feError, Conflict, InvalidInput
from a9fe.model.resources import (
    FLOATING_IP_OWNER,
    ROUTER_GATEWAY_OWNER,
    ROUTER_INTERFACE_OWNERS,
    Network,
    Port,
    Subnet,
    is_network_owner,
)
from a9fe.model.rules import addresses as rules
from a9fe.model.subnet_pools import FloatingIp
from a9fe.operations import access
from a9fe.operations.ports import ports
from a9fe.operations.ports.floating_ip_links import dissociated
from a9fe.operations.ports.ports import NewPort
from a9fe.operations.transaction import Transaction, new_id


class ExternalGatewayNotFound(A9feError):
    """No router connects a subnet to an external network."""

    status = 404
    type = "ExternalGatewayForFloatingIPNotFound"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """The fixed IP of a port, and the router that reaches it, with its gateway's status."""

    port_id: str
    address: str
    router_id: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFloatingIp:
    """A floating IP to create on an external network, and the port to associate it with.

    `subnet_id` and `floating_ip_address` narrow the choice of its address.
    """

    floating_network_id: str
    project_id: str | Unset = UNSET
    description: str = ""
    floating_ip_address: str | Unset | None = resolved(UNSET)
    subnet_id: str | None = None
    port_id: str | Unset | None = resolved(UNSET)
    fixed_ip_address: str | Unset | None = resolved(UNSET)
    dns_name: str = ""
    dns_domain: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatingIpChange:
    """What may change of a floating IP. `port_id` None dissociates it."""

    description: str | Unset = UNSET
    port_id: str | Unset | None = resolved(UNSET)
    fixed_ip_address: str | Unset | None = resolved(UNSET)


def create(tx: Transaction, new: NewFloatingIp) -> FloatingIp:
    """Create a floating IP, and associate it with the port that is named."""
    network = access.require(tx, Network, new.floating_network_id)
    _check_external(tx, network)
    id = new_id()
    outside = _make_outside(tx, id, network, new)
    address = next((f.ip_address for f in outside.fixed_ips if ":" not in f.ip_address), None)
    if address is None:
        words = f"Unable to find any IP address on external network {network.id}"
        raise Conflict("ExternalIpAddressExhausted", words)
    floating = created(
        FloatingIp,
        new,
        id=id,
        project_id=given(new.project_id, tx.project_id),
        floating_ip_address=address,
        floating_port_id=outside.id,
    )
    if new.port_id or new.fixed_ip_address:
        floating = _associated(tx, floating, new.port_id or None, new.fixed_ip_address or None)
    return tx.session.insert(floating)


def _check_external(tx: Transaction, network: Network) -> None:
    words = f"Bad floatingip request: Network {network.id}"
    field = "floating_network_id"
    if not network.external:
        words = f"{words} is not a valid external network"
        expected = "an external network (router:external)"
        raise InvalidInput(field, network.id, expected, type="BadRequest", words=words)
    if not tx.session.find(Subnet, network_id=network.id, ip_version=4):
        words, expected = f"{words} does not contain any IPv4 subnet", "a network with one"
        raise InvalidInput(field, network.id, expected, type="BadRequest", words=words)


def _make_outside(tx: Transaction, id: str, network: Network, new: NewFloatingIp) -> Port:
    """Make the port that holds the address: it has no project and no host."""
    subnet_id, address = new.subnet_id or "", new.floating_ip_address or ""
    wanted = AddressRequest(subnet_id=subnet_id, ip_address=address)
    port = NewPort(
        network_id=network.id,
        project_id="",
        device_id=id,
        device_owner=FLOATING_IP_OWNER,
        port_security_enabled=False,
        fixed_ips=(wanted,) if subnet_id or address else UNSET,
    )
    return ports.make(tx, port, status="N/A")


def update(tx: Transaction, old: FloatingIp, change: FloatingIpChange) -> FloatingIp:
    """Describe a floating IP, associate it with a port, or dissociate it.

    An empty change dissociates it too, as in Neutron.
    """
    if change == FloatingIpChange():
        return tx.session.update(dissociated(old))
    floating = applied(old, change)
    fixed = change.fixed_ip_address or None
    if change.port_id is UNSET:
        if fixed:
            _refuse("fixed_ip_address", fixed, "fixed_ip_address cannot be specified without a")
        return tx.session.update(floating)
    if change.port_id is None and not fixed:
        return tx.session.update(dissociated(floating))
    return tx.session.update(_associated(tx, floating, change.port_id, fixed))


def _refuse(field: str, value: object, why: str) -> NoReturn:
    words, expected = f"Bad floatingip request: {why} port_id", "a port_id as well"
    raise InvalidInput(field, value, expected, type="BadRequest", words=words)


def _associated(
    tx: Transaction, floating: FloatingIp, port_id: str | None, fixed: str | None
) -> FloatingIp:
    """Return the floating IP, associated with a fixed address of the port."""
    if port_id is None:
        _refuse("fixed_ip_address", fixed, "fixed_ip_address cannot be specified without a")
    port = access.require(tx, Port, port_id)
    target = _target(tx, floating, port, fixed)
    others = tx.session.find(
        FloatingIp,
        port_id=port.id,
        fixed_ip_address=target.address,
        floating_network_id=floating.floating_network_id,
    )
    if any(other.id != floating.id for other in others):
        words = f"Cannot associate floating IP {floating.floating_ip_address} ({floating.id}) with"
        words = f"{words} port {port.id} using fixed IP {target.address}, as that fixed IP already"
        message = f"{words} has a floating IP on external network {floating.floating_network_id}"
        raise Conflict("FloatingIPPortAlreadyAssociated", message)
    return replace(
        floating,
        port_id=target.port_id,
        fixed_ip_address=target.address,
        router_id=target.router_id,
        status=target.status,
    )


def _target(tx: Transaction, floating: FloatingIp, port: Port, fixed: str | None) -> _Target:
    words = "Bad floatingip request:"
    if port.project_id != floating.project_id and not tx.caller.is_admin:
        words = f"{words} Cannot process floating IP association with Port {port.id}, since that"
        _refuse_port(port, f"{words} port is owned by a different project", "a port of your own")
    if is_network_owner(port.device_owner):
        words = f"{words} Port {port.id} is unable to be assigned a floating IP"
        _refuse_port(port, words, "a port whose device_owner is not network:*")
    inside = [f for f in port.fixed_ips if ":" not in f.ip_address]
    if fixed is not None:
        rules.address("fixed_ip_address", fixed, 4)
        inside = [f for f in inside if f.ip_address == fixed]
        if not inside:
            words = f"{words} Port {port.id} does not have fixed ip {fixed}"
            _refuse_port(port, words, "one of the port's addresses")
    if not inside:
        words = (
            f"{words} Cannot add floating IP to port {port.id} that has no fixed IPv4 addresses"
        )
        _refuse_port(port, words, "a port with an IPv4 address")
    if len(inside) > 1:
        words = f"{words} Port {port.id} has multiple fixed IPv4 addresses.  Must provide a"
        words = f"{words} specific IPv4 address when assigning a floating IP"
        _refuse_port(port, words, "fixed_ip_address as well")
    subnet = tx.session.require(Subnet, inside[0].subnet_id)
    gateway = _gateway(tx, port, subnet, floating.floating_network_id)
    return _Target(
        port_id=port.id,
        address=inside[0].ip_address,
        router_id=gateway.device_id,
        status=gateway.status,
    )


def _refuse_port(port: Port, words: str, expected: str) -> NoReturn:
    raise InvalidInput("port_id", port.id, expected, type="BadRequest", words=words)


def _gateway(tx: Transaction, port: Port, subnet: Subnet, network_id: str) -> Port:
    """Return the gateway port of the router from a subnet to an external network.

    The router with the subnet's gateway address comes first. Raises ExternalGatewayNotFound.
    """
    inside = tx.session.find(
        Port, subnet_id=subnet.id, device_owner=sorted(ROUTER_INTERFACE_OWNERS)
    )
    outside = tx.session.find(
        Port,
        network_id=network_id,
        device_owner=ROUTER_GATEWAY_OWNER,
        device_id=sorted({p.device_id for p in inside}),
    )
    reaching = {p.device_id: p for p in outside}
    found = [p for p in inside if p.device_id in reaching]
    for interface in found:
        if any(f.ip_address == subnet.gateway_ip for f in interface.fixed_ips):
            return reaching[interface.device_id]
    if not found:
        words = f"External network {network_id} is not reachable from subnet {subnet.id}"
        message = f"{words}.  Therefore, cannot associate Port {port.id} with a Floating IP."
        raise ExternalGatewayNotFound(message)
    return reaching[found[0].device_id]


def delete(tx: Transaction, floating: FloatingIp) -> None:
    """Delete a floating IP with the port that holds its address."""
    tx.session.delete(FloatingIp, floating.id)
    tx.session.delete(Port, floating.floating_port_id)


PORT_DETAILS = (
    "name",
    "network_id",
    "mac_address",
    "admin_state_up",
    "status",
    "device_id",
    "device_owner",
)


def port_details(tx: Transaction, floating: list[FloatingIp]) -> dict[str, dict[str, object]]:
    """Return Neutron's port_details of associated floating IPs, by floating IP id."""
    ids = sorted({f.port_id for f in floating if f.port_id})
    found = {port.id: port for port in tx.session.find(Port, id=ids)} if ids else {}
    return {
        f.id: {name: getattr(found[f.port_id], name) for name in PORT_DETAILS}
        for f in floating
        if f.port_id in found
    }
