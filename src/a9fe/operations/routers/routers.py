"""Create, change and delete routers; add and remove their interfaces."""

from dataclasses import dataclass, replace

from a9fe.api_tables.requests import AddressRequest, GatewayRequest, InterfaceRequest
from a9fe.api_tables.typed_requests import UNSET, Unset, applied, created, given
from a9fe.model.errors import A9feError, InvalidInput
from a9fe.model.resources import (
    ROUTER_INTERFACE_OWNER,
    Binding,
    HostRoute,
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
from a9fe.operations.ports import ports
from a9fe.operations.ports.floating_ip_links import check_interface
from a9fe.operations.ports.ports import NewPort
from a9fe.operations.routers import gateways
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
    """A router interface that was added or removed."""

    router: Router
    port: Port
    subnet_ids: tuple[str, ...]

    def shown(self) -> dict[str, object]:
        """Return Neutron's answer."""
        return {
            "id": self.router.id,
            "tenant_id": self.router.project_id,
            "project_id": self.router.project_id,
            "port_id": self.port.id,
            "network_id": self.port.network_id,
            "subnet_id": self.subnet_ids[0] if self.subnet_ids else None,
            "subnet_ids": list(self.subnet_ids),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRouter:
    """A router to create. `gateway` None or UNSET: no external gateway."""

    name: str = ""
    project_id: str | Unset = UNSET
    description: str = ""
    admin_state_up: bool = True
    gateway: GatewayRequest | Unset | None = UNSET
    availability_zone_hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterChange:
    """What may change of a router. `gateway` None: remove it."""

    name: str | Unset = UNSET
    description: str | Unset = UNSET
    admin_state_up: bool | Unset = UNSET
    gateway: GatewayRequest | Unset | None = UNSET
    routes: tuple[HostRoute, ...] | Unset = UNSET


def create(tx: Transaction, new: NewRouter) -> Router:
    """Create a router, and bind it to an L3 agent if there is one."""
    project_id = given(new.project_id, tx.project_id)
    router = tx.session.insert(created(Router, new, id=new_id(), project_id=project_id))
    schedule_router(tx, router)
    if not new.gateway:
        return router
    return tx.session.update(gateways.set_gateway(tx, router, new.gateway))


def update(tx: Transaction, old: Router, change: RouterChange) -> Router:
    """Change a router, its external gateway and its extra routes."""
    router = applied(old, change)
    if change.gateway is not UNSET:
        router = gateways.set_gateway(tx, router, change.gateway)
    if change.routes is not UNSET:
        gateways.unique(router.routes)
        gateways.check_routes(tx, router)
        rules_ports.check_extra_routes(router.routes, gateways.subnets_of(tx, router))
    return tx.session.update(router)


def delete(tx: Transaction, router: Router) -> None:
    """Delete a router. Raises Conflict (RouterInUse) while it has interfaces."""
    rules_ports.check_router_delete(router.id, router_ports(tx, router.id))
    gateways.clear(tx, replace(router, routes=()))
    for binding in bindings_of(tx, L3, router.id):
        tx.session.delete(Binding, binding.id)
    tx.session.delete(Router, router.id)


def add_interface(tx: Transaction, router: Router, wanted: InterfaceRequest) -> Interface:
    """Add an interface on a subnet, at its gateway address, or make a port an interface.

    On a subnet without a gateway the interface gets a free address; Neutron refuses that.
    """
    if bool(wanted.subnet_id) == bool(wanted.port_id):
        words = "Bad router request: Either subnet_id or port_id must be specified"
        expected = "either subnet_id or port_id"
        value = wanted.subnet_id or None
        raise InvalidInput("subnet_id", value, expected, type="BadRequest", words=words)
    access.check_interface(tx, router, wanted.subnet_id, wanted.port_id)
    schedule_router(tx, router)
    tx.session.revise(router)
    if wanted.subnet_id:
        return _add_subnet(tx, router, tx.session.require(Subnet, wanted.subnet_id))
    return _add_port(tx, router, tx.session.require(Port, wanted.port_id))


def _add_subnet(tx: Transaction, router: Router, subnet: Subnet) -> Interface:
    rules_ports.check_router_subnet(subnet, gateways.subnets_of(tx, router))
    rules_ports.check_free_of_routes(subnet, router.routes)
    wanted = AddressRequest(subnet_id=subnet.id, ip_address=subnet.gateway_ip or "")
    shared = _port_to_share(tx, router, subnet)
    if shared is not None:
        port = _with_address(tx, shared, wanted)
    else:
        port = ports.make(tx, _new_port(tx, router, subnet, wanted))
    return Interface(router=router, port=port, subnet_ids=(subnet.id,))


def _new_port(tx: Transaction, router: Router, subnet: Subnet, address: AddressRequest) -> NewPort:
    return NewPort(
        network_id=subnet.network_id,
        project_id=router.project_id,
        device_id=router.id,
        device_owner=ROUTER_INTERFACE_OWNER,
        host=router_host(tx, router.id),
        port_security_enabled=False,
        fixed_ips=(address,),
    )


def _port_to_share(tx: Transaction, router: Router, subnet: Subnet) -> Port | None:
    """Return the router's port that IPv6 subnets of one network share, if there is one."""
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


def remove_interface(tx: Transaction, router: Router, wanted: InterfaceRequest) -> Interface:
    """Remove an interface, by its subnet or port; a port without subnets is deleted."""
    subnet_id, port_id = wanted.subnet_id, wanted.port_id
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
