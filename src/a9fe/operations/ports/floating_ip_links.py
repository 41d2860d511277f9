"""What floating IPs forbid or change when their port, router or network changes."""

from collections.abc import Iterable
from dataclasses import replace

from a9fe.model.errors import Conflict, InvalidInput
from a9fe.model.resources import ROUTER_GATEWAY_OWNER, FixedIp, Network, Port, Router
from a9fe.model.subnet_pools import FloatingIp
from a9fe.operations.transaction import Transaction


def release(tx: Transaction, port: Port) -> None:
    """Dissociate the floating IPs of a port that is deleted."""
    for floating in tx.session.find(FloatingIp, port_id=port.id):
        tx.session.update(dissociated(floating))


def dissociated(floating: FloatingIp) -> FloatingIp:
    """Return the floating IP without a port."""
    return replace(floating, port_id=None, fixed_ip_address=None, router_id=None, status="DOWN")


def follow_gateway(tx: Transaction, port: Port) -> None:
    """Give the floating IPs of a router the status of its gateway port; of others nothing."""
    if port.device_owner != ROUTER_GATEWAY_OWNER:
        return
    where = {"router_id": port.device_id, "floating_network_id": port.network_id}
    for floating in tx.session.find(FloatingIp, **where):
        tx.session.update(replace(floating, status=port.status))


def check_readdressed(tx: Transaction, port: Port, fixed_ips: Iterable[FixedIp]) -> None:
    """Raise InvalidInput if a port would lose an address that has a floating IP."""
    kept = {fixed.ip_address for fixed in fixed_ips}
    for floating in tx.session.find(FloatingIp, port_id=port.id):
        if floating.fixed_ip_address not in kept:
            words = f"Bad port request: Cannot update the fixed_ips of the port {port.id}, because"
            words = f"{words} its original fixed_ip has been associated to a floating ip"
            expected = f"{floating.fixed_ip_address} among them"
            given = sorted(kept)
            raise InvalidInput("fixed_ips", given, expected, type="BadRequest", words=words)


def check_interface(tx: Transaction, router: Router, subnet_ids: Iterable[str]) -> None:
    """Raise Conflict if floating IPs need the router's interfaces on these subnets."""
    gone = set(subnet_ids)
    used = tx.session.find(FloatingIp, router_id=router.id)
    ports = tx.session.find(Port, id=sorted({f.port_id for f in used if f.port_id}))
    subnets = {(p.id, fixed.ip_address): fixed.subnet_id for p in ports for fixed in p.fixed_ips}
    for floating in used:
        subnet_id = subnets.get((floating.port_id or "", floating.fixed_ip_address or ""))
        if subnet_id in gone:
            words = f"Router interface for subnet {subnet_id} on router {router.id} cannot be"
            message = f"{words} deleted, as it is required by one or more floating IPs"
            raise Conflict("RouterInterfaceInUseByFloatingIP", f"{message}: {floating.id}")


def check_gateway(tx: Transaction, router: Router, network_id: str) -> None:
    """Raise Conflict if floating IPs need the router's gateway to this network."""
    used = tx.session.find(FloatingIp, router_id=router.id, floating_network_id=network_id)
    if used:
        words = f"Gateway cannot be updated for router {router.id}, since a gateway to external"
        message = f"{words} network {network_id} is required by one or more floating IPs"
        raise Conflict("RouterExternalGatewayInUseByFloatingIp", f"{message}: {used[0].id}")


def delete_dissociated(tx: Transaction, network: Network) -> None:
    """Delete the floating IPs of an external network that have no port."""
    for floating in tx.session.find(FloatingIp, floating_network_id=network.id, port_id=None):
        tx.session.delete(FloatingIp, floating.id)
        tx.session.delete(Port, floating.floating_port_id)
