"""Routers and their interfaces."""

from dataclasses import dataclass, replace

from a9fe.api_tables import converters as to
from a9fe.api_tables.attributes import Values
from a9fe.api_tables.requests import AddressRequest
from a9fe.model.errors import A9feError, InvalidInput
from a9fe.model.resources import (
    ROUTER_INTERFACE_OWNER,
    Binding,
    Network,
    Port,
    Router,
    Subnet,
)
from a9fe.model.rules import ports as rules_ports
from a9fe.operations import access
from a9fe.operations.agents.scheduling import (
    L3,
    bindings_of,
    router_host,
    router_ports,
    schedule_router,
)
from a9fe.operations.networks import ports
from a9fe.operations.routers import gateways
from a9fe.operations.routers.floating_links import check_interface
from a9fe.operations.transaction import Transaction, new_id


class InterfaceNotFound(A9feError):
    """A router has no such interface."""

    status = 404
    type = "RouterInterfaceNotFound"


class InterfaceNotFoundForSubnet(InterfaceNotFound):
    """A router has no interface on a subnet."""

    type = "RouterInterfaceNotFoundForSubnet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """What an interface action answers."""

    router: Router
    port: Port
    subnet_ids: tuple[str, ...]

    def shown(self) -> dict[str, object]:
        """Neutron's body."""
        return {
            "id": self.router.id,
            "tenant_id": self.router.project_id,
            "project_id": self.router.project_id,
            "port_id": self.port.id,
            "network_id": self.port.network_id,
            "subnet_id": self.subnet_ids[0] if self.subnet_ids else None,
            "subnet_ids": list(self.subnet_ids),
        }


def create(tx: Transaction, values: Values) -> Router:
    """A new router, served by an L3 agent if there is one."""
    values.setdefault("project_id", tx.project_id)
    wanted = values.pop("gateway", None)
    router = tx.session.insert(Router(id=new_id(), **values))
    schedule_router(tx, router)
    if wanted is None:
        return router
    return tx.session.update(gateways.set_gateway(tx, router, wanted))


def update(tx: Transaction, old: Router, values: Values) -> Router:
    """Change a router."""
    changes_gateway = "gateway" in values
    wanted = values.pop("gateway", None)
    router = replace(old, **values)
    if changes_gateway:
        router = gateways.set_gateway(tx, router, wanted)
    if "routes" in values:
        gateways.unique(router.routes)
        gateways.check_routes(tx, router)
        rules_ports.check_extra_routes(router.routes, gateways.subnets_of(tx, router))
    return tx.session.update(router)


def delete(tx: Transaction, router: Router) -> None:
    """Remove a router that has no interfaces. Raises RouterInUse."""
    rules_ports.check_router_delete(router.id, router_ports(tx, router.id))
    gateways.clear(tx, replace(router, routes=()))
    for binding in bindings_of(tx, L3, router.id):
        tx.session.delete(Binding, binding.id)
    tx.session.delete(Router, router.id)


def add_interface(tx: Transaction, router: Router, document: object) -> Interface:
    """Put a router on a subnet, by its gateway address, or give it a port.

    On a subnet without a gateway it takes a free address, which Neutron refuses.
    """
    subnet_id, port_id = _which(document)
    if bool(subnet_id) == bool(port_id):
        words = "Bad router request: Either subnet_id or port_id must be specified"
        expected = "either subnet_id or port_id"
        given = subnet_id or None
        raise InvalidInput("subnet_id", given, expected, type="BadRequest", words=words)
    access.check_interface(tx, router, subnet_id, port_id)
    schedule_router(tx, router)
    tx.session.revise(router)
    if subnet_id:
        return _add_subnet(tx, router, tx.session.require(Subnet, subnet_id))
    return _add_port(tx, router, tx.session.require(Port, port_id))


def _which(document: object) -> tuple[str, str]:
    if not isinstance(document, dict):
        raise InvalidInput("body", document, "an object with subnet_id or port_id")
    for name in document:
        if name not in {"subnet_id", "port_id"}:
            raise InvalidInput(name, document[name], "no attribute but subnet_id and port_id")
    return _identifier(document, "subnet_id"), _identifier(document, "port_id")


def _identifier(document: dict[str, object], name: str) -> str:
    value = document.get(name)
    return "" if value is None else to.identifier(name, value)


def _add_subnet(tx: Transaction, router: Router, subnet: Subnet) -> Interface:
    rules_ports.check_router_subnet(subnet, gateways.subnets_of(tx, router))
    rules_ports.check_free_of_routes(subnet, router.routes)
    wanted = AddressRequest(subnet_id=subnet.id, ip_address=subnet.gateway_ip or "")
    shared = _port_to_share(tx, router, subnet)
    if shared is not None:
        port = _with_address(tx, shared, wanted)
    else:
        port = ports.make(tx, _new_port(tx, router, subnet), (wanted,))
    return Interface(router=router, port=port, subnet_ids=(subnet.id,))


def _new_port(tx: Transaction, router: Router, subnet: Subnet) -> Port:
    network = tx.session.require(Network, subnet.network_id)
    return Port(
        id=new_id(),
        network_id=network.id,
        mac_address="",
        project_id=router.project_id,
        device_id=router.id,
        device_owner=ROUTER_INTERFACE_OWNER,
        host=router_host(tx, router.id),
        port_security_enabled=False,
    )


def _port_to_share(tx: Transaction, router: Router, subnet: Subnet) -> Port | None:
    """IPv6 subnets of one network share a port of the router."""
    if subnet.ip_version != 6:
        return None
    return next(
        (
            port
            for port in router_ports(tx, router.id)
            if port.network_id == subnet.network_id
            and any(":" in fixed.ip_address for fixed in port.fixed_ips)
        ),
        None,
    )


def _with_address(tx: Transaction, port: Port, wanted: AddressRequest) -> Port:
    held = tuple(
        AddressRequest(subnet_id=f.subnet_id, ip_address=f.ip_address) for f in port.fixed_ips
    )
    fixed_ips = ports.readdress(tx, port, (*held, wanted))
    return tx.session.update(replace(port, fixed_ips=fixed_ips))


def _add_port(tx: Transaction, router: Router, port: Port) -> Interface:
    rules_ports.check_port_free(port)
    subnets = tx.session.find(Subnet, id=sorted({f.subnet_id for f in port.fixed_ips}))
    if not subnets:
        raise InvalidInput("port_id", port.id, "a port that has an address")
    if sum(s.ip_version == 4 for s in subnets) > 1:
        raise InvalidInput("port_id", port.id, "a port with at most one IPv4 subnet")
    present = gateways.subnets_of(tx, router)
    for subnet in subnets:
        rules_ports.check_router_subnet(subnet, present)
        rules_ports.check_free_of_routes(subnet, router.routes)
    given = replace(
        port,
        device_id=router.id,
        device_owner=ROUTER_INTERFACE_OWNER,
        host=router_host(tx, router.id),
    )
    stored = ports.rebind(tx, port, given)
    return Interface(router=router, port=stored, subnet_ids=tuple(s.id for s in subnets))


def remove_interface(tx: Transaction, router: Router, document: object) -> Interface:
    """Take a router off a subnet or take a port from it; the port is deleted."""
    subnet_id, port_id = _which(document)
    if not subnet_id and not port_id:
        raise InvalidInput("subnet_id", None, "subnet_id or port_id")
    access.check_change(tx, router)
    port = _interface(tx, router, subnet_id, port_id)
    gateways.check_routes(tx, router, without=port)
    check_interface(
        tx,
        router,
        [f.subnet_id for f in port.fixed_ips if not subnet_id or f.subnet_id == subnet_id],
    )
    left = tuple(f for f in port.fixed_ips if subnet_id and f.subnet_id != subnet_id)
    if left:
        tx.session.update(replace(port, fixed_ips=left))
    else:
        tx.session.delete(Port, port.id)
    tx.session.revise(router)
    gone = (subnet_id,) if subnet_id else tuple(f.subnet_id for f in port.fixed_ips)
    return Interface(router=router, port=port, subnet_ids=gone)


def _interface(tx: Transaction, router: Router, subnet_id: str, port_id: str) -> Port:
    if subnet_id:
        tx.session.require(Subnet, subnet_id)
    for port in router_ports(tx, router.id):
        by_port = not port_id or port.id == port_id
        by_subnet = not subnet_id or any(f.subnet_id == subnet_id for f in port.fixed_ips)
        if by_port and by_subnet:
            return port
    if port_id:
        raise InterfaceNotFound(f"Router {router.id} does not have an interface with id {port_id}")
    raise InterfaceNotFoundForSubnet(f"Router {router.id} has no interface on subnet {subnet_id}")
