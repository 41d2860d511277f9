"""External gateways and extra routes of routers.

A gateway is a port with the owner network:router_gateway on an external network. It belongs to
no project, as in Neutron.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import NoReturn

from a9fe.api_tables.requests import GatewayRequest
from a9fe.api_tables.typed_requests import UNSET
from a9fe.model.errors import Conflict, InvalidInput
from a9fe.model.resources import ROUTER_GATEWAY_OWNER, HostRoute, Network, Port, Router, Subnet
from a9fe.model.rules import addresses as rules
from a9fe.model.rules import ports as rules_ports
from a9fe.operations import access
from a9fe.operations.agents.scheduling import router_host
from a9fe.operations.ports import ports
from a9fe.operations.ports.floating_ip_links import check_gateway
from a9fe.operations.ports.ports import NewPort
from a9fe.operations.transaction import Transaction

ROUTES_MAX = 30  # Neutron's max_routes


def gateways(tx: Transaction, router_ids: Iterable[str]) -> dict[str, Port]:
    """Return the gateway ports of routers, by router id."""
    ids = list(router_ids)
    found = tx.session.find(Port, device_id=ids, device_owner=ROUTER_GATEWAY_OWNER)
    return {port.device_id: port for port in found}


def set_gateway(tx: Transaction, router: Router, wanted: GatewayRequest | None) -> Router:
    """Set or clear a router's gateway. Return the router with its enable_snat, not stored yet."""
    present = gateways(tx, [router.id]).get(router.id)
    if wanted is None:
        clear(tx, router)
        return replace(router, enable_snat=True)
    network = access.require(tx, Network, wanted.network_id)
    if not network.external:
        expected = "an external network (router:external)"
        raise InvalidInput("external_gateway_info.network_id", network.id, expected)
    if present is None or present.network_id != network.id:
        clear(tx, router)
        _make(tx, router, wanted)
    elif wanted.addresses is not UNSET:
        fixed_ips = ports.readdress(tx, present, wanted.addresses)
        tx.session.update(replace(present, fixed_ips=fixed_ips))
    if wanted.enable_snat is UNSET:
        return router
    return replace(router, enable_snat=wanted.enable_snat)


def _make(tx: Transaction, router: Router, wanted: GatewayRequest) -> None:
    present = subnets_of(tx, router)
    for subnet in tx.session.find(Subnet, network_id=wanted.network_id):
        rules_ports.check_router_subnet(subnet, present)
        rules_ports.check_free_of_routes(subnet, router.routes)
    port = NewPort(
        network_id=wanted.network_id,
        project_id="",
        device_id=router.id,
        device_owner=ROUTER_GATEWAY_OWNER,
        host=router_host(tx, router.id),
        port_security_enabled=False,
        fixed_ips=wanted.addresses,
    )
    ports.make(tx, port)


def clear(tx: Transaction, router: Router) -> None:
    """Delete a router's gateway port, if it has one."""
    port = gateways(tx, [router.id]).get(router.id)
    if port is not None:
        check_gateway(tx, router, port.network_id)
        check_routes(tx, router, without=port)
        tx.session.delete(Port, port.id)


def _router_ports(tx: Transaction, router: Router) -> list[Port]:
    owners = sorted(rules_ports.ROUTER_OWNERS)
    return tx.session.find(Port, device_id=router.id, device_owner=owners)


def subnets_of(tx: Transaction, router: Router, without: Port | None = None) -> list[Subnet]:
    """Return the subnets that a router is on, without those of the port `without`."""
    found = [p for p in _router_ports(tx, router) if without is None or p.id != without.id]
    return tx.session.find(Subnet, id=sorted({f.subnet_id for p in found for f in p.fixed_ips}))


def check_routes(tx: Transaction, router: Router, without: Port | None = None) -> None:
    """Check that the next hops of a router's extra routes are on its subnets.

    Raises InvalidInput; or Conflict, if a next hop is only on a subnet of the port `without`,
    which is to be deleted.
    """
    if len(router.routes) > ROUTES_MAX:
        raise InvalidInput("routes", f"{len(router.routes)} items", f"at most {ROUTES_MAX}")
    if not router.routes:
        return
    subnets = subnets_of(tx, router, without)
    for route in router.routes:
        if any(rules.contains(subnet.cidr, route.nexthop) for subnet in subnets):
            continue
        if without is not None:
            words = (
                f"Router interface for port {without.id} on router {router.id} cannot be deleted"
            )
            message = f"{words}, as it is required by one or more routes: {route.destination}"
            raise Conflict("RouterInterfaceInUseByRoute", message)
        _refuse_next_hop(route, "an address on a subnet of the router", "is not connected with")
    _check_own(tx, router)


def _check_own(tx: Transaction, router: Router) -> None:
    own = {f.ip_address for port in _router_ports(tx, router) for f in port.fixed_ips}
    used = next((route for route in router.routes if route.nexthop in own), None)
    if used is not None:
        _refuse_next_hop(used, "an address that the router does not have itself", "is used by")


def _refuse_next_hop(route: HostRoute, expected: str, why: str) -> NoReturn:
    """Raise InvalidInput with Neutron's type InvalidRoutes."""
    shown = {"destination": route.destination, "nexthop": route.nexthop}
    words = f"Invalid format for routes: [{shown}], the nexthop {why} router"
    field = "routes.nexthop"
    raise InvalidInput(field, route.nexthop, expected, type="InvalidRoutes", words=words)


def unique(routes: tuple[HostRoute, ...]) -> tuple[HostRoute, ...]:
    """Return the routes. Raises InvalidInput if two are equal."""
    if len(set(routes)) < len(routes):
        raise InvalidInput("routes", f"{len(routes)} items", "routes that differ from each other")
    return routes
