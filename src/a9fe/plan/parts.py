"""The parts of a host: one for each network and each router.

A host is planned, observed and changed by parts. A part's plan has only its own bridge, namespace,
taps and filters, and depends on its own network or router and their neighbours only; the plan of
the host is the union of its parts' plans. `touched` gives the parts whose plan a change of the
model may change, so that a change costs O(its parts), whatever the size of the host.

| kind     | id             | DHCP agent                              | L3 agent                  |
|----------|----------------|-----------------------------------------|---------------------------|
| network  | network's      | bridge, uplink, DHCP namespace, taps, filters | bridge, uplink      |
| router   | router's       |                                         | router namespace          |
| bridge   | bridge's name  | a bridge that no network of the model has: planned as nothing       |
| filters  | ""             | the tables of port security, without elements                      |
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from a9fe.model.resources import (
    ROUTER_GATEWAY_OWNER,
    ROUTER_INTERFACE_OWNERS,
    Binding,
    Network,
    Port,
    Resource,
    Router,
    Subnet,
)
from a9fe.model.subnet_pools import FloatingIp
from a9fe.plan import names
from a9fe.plan.filters import fingerprint
from a9fe.plan.host import ANY_FILTER, Bridge, HostPlan, NamespacePlan, PortSecurity, Uplink
from a9fe.plan.model_view import ModelView
from a9fe.plan.operations import FILTERS

ROUTER_OWNERS = ROUTER_INTERFACE_OWNERS | {ROUTER_GATEWAY_OWNER}


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """One part of a host. `id`: see the table above."""

    kind: Literal["network", "router", "bridge", "filters"]
    id: str

    def __str__(self) -> str:
        """Return it as logs show it: "network <id>"."""
        return f"{self.kind} {self.id}".rstrip()

    @property
    def bridge(self) -> str:
        """The name of its bridge, "" for a router."""
        return {"network": names.bridge(self.id), "bridge": self.id}.get(self.kind, "")

    def namespace(self, owner: str) -> str:
        """The name of its namespace of an agent ("l3" or "dhcp"), "" for none."""
        if (owner, self.kind) == ("dhcp", "network"):
            return names.dhcp_namespace(self.id)
        return names.router_namespace(self.id) if (owner, self.kind) == ("l3", "router") else ""


def network(id: str) -> Part:
    """The part of a network."""
    return Part("network", id)


def router(id: str) -> Part:
    """The part of a router."""
    return Part("router", id)


def union(plans: Iterable[HostPlan], none: HostPlan) -> HostPlan:
    """The plan with all objects of the plans, which have none in common. O(objects).

    `none` is the plan of a host without parts.
    """
    bridges: set[Bridge] = set()
    uplinks: set[Uplink] = set()
    namespaces: dict[str, NamespacePlan] = {}
    taps: dict[str, str] = {}
    filters: list[PortSecurity] = []
    for plan in plans:
        bridges |= plan.bridges
        uplinks |= plan.uplinks
        namespaces |= plan.namespaces
        taps |= plan.taps
        if plan.port_security is not None:
            filters.append(plan.port_security)
    is_any = none.port_security in (None, ANY_FILTER)
    return HostPlan(
        bridges=frozenset(bridges),
        uplinks=frozenset(uplinks),
        namespaces=namespaces,
        port_security=none.port_security if is_any else fingerprint.union(filters),
        taps=taps,
    )


FILTERS_PART = Part("filters", "")
NONE: Mapping[str, HostPlan] = {
    "dhcp": HostPlan(port_security=fingerprint.NOTHING),
    "l3": HostPlan(port_security=ANY_FILTER),
}
"""The plan of a host without parts, and of a part with nothing to plan, by agent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What an observation of some parts reads: objects by name, that exist or not.

    `taps` are VMs' devices that the parts have or had.
    """

    namespaces: frozenset[str]
    bridges: frozenset[str]
    taps: frozenset[str]


def look(owner: str, plans: Mapping[Part, HostPlan], former: Mapping[Part, HostPlan]) -> Look:
    """What to observe of these parts of an agent. `former` are their plans of the last pass."""
    every = (*plans.values(), *former.values())
    return Look(
        namespaces=frozenset(part.namespace(owner) for part in plans) - {""},
        bridges=frozenset(part.bridge for part in plans) - {""},
        taps=frozenset(tap for plan in every for tap in _taps(plan)),
    )


def _taps(plan: HostPlan) -> Iterator[str]:
    yield from plan.taps
    if plan.port_security is not None:
        yield from plan.port_security.taps


def of_name(owner: str, name: str, view: ModelView) -> frozenset[Part]:
    """The parts of an agent that an object of the host belongs to, by its name. O(1).

    A name is a device's, a bridge's, a namespace's, or plan.operations.FILTERS.
    """
    if name == FILTERS:
        return frozenset({FILTERS_PART})
    if names.ON_BRIDGE.fullmatch(name):
        short_id = name[-names.DEVICE_ID_LENGTH :]
        found = frozenset(network(one.id) for one in view.networks_by_short_id(short_id))
        return found or frozenset({Part("bridge", names.bridge(short_id))})
    if names.PORT_DEVICE.fullmatch(name):
        ports = view.ports_by_short_id(name[-names.DEVICE_ID_LENGTH :])
        of_port = _TOUCHED[owner]["port"]
        return frozenset(part for port in ports for part in of_port(port, view))
    for pattern, part in ((names.DHCP_NAMESPACE, network), (names.ROUTER_NAMESPACE, router)):
        space = pattern.fullmatch(name)
        if space and part(space.group(1)).namespace(owner):
            return frozenset({part(space.group(1))})
    return frozenset()


def touched(
    owner: str,
    kind: str,
    before: Resource | None,
    after: Resource | None,
    view: ModelView,
) -> frozenset[Part]:
    """The parts of an agent ("l3" or "dhcp") that a change of a resource may change.

    `before` and `after` are None for a created or deleted resource; `view` is the model after it.
    Kinds that no plan depends on touch nothing.
    """
    found = _TOUCHED[owner].get(kind)
    if found is None or _same_for_plans(owner, before, after):
        return frozenset()
    resources = (resource for resource in (before, after) if resource is not None)
    return frozenset(part for resource in resources for part in found(resource, view))


def _same_for_plans(owner: str, before: Resource | None, after: Resource | None) -> bool:
    """Whether only fields differ that no plan has: a port's status is our own report. That of a
    router's port is the other agent's: VMs' ports are ACTIVE after it (plan.port_status).
    """
    if isinstance(before, FloatingIp) and isinstance(after, FloatingIp):
        return _translated(before) == _translated(after)
    if not isinstance(before, Port) or not isinstance(after, Port):
        return before == after
    if owner == "dhcp" and after.device_owner in ROUTER_OWNERS and before.status != after.status:
        return False
    same = {"status": after.status, "revision_number": after.revision_number}
    return replace(before, updated_at=after.updated_at, **same) == after  # type: ignore[arg-type]


def _translated(floating: FloatingIp) -> tuple[str | None, ...]:
    return floating.router_id, floating.floating_ip_address, floating.fixed_ip_address


def _network(resource: Resource, view: ModelView) -> Iterator[Part]:
    if isinstance(resource, Network):
        yield network(resource.id)


def _its_network(resource: Resource, view: ModelView) -> Iterator[Part]:
    if isinstance(resource, Port | Subnet):
        yield network(resource.network_id)


def _bound_network(resource: Resource, view: ModelView) -> Iterator[Part]:
    if isinstance(resource, Binding) and resource.kind == "dhcp":
        yield network(resource.resource_id)


def _network_and_routers(resource: Resource, view: ModelView) -> Iterator[Part]:
    if isinstance(resource, Network):
        yield network(resource.id)
        yield from _routers_on(resource.id, view)


def _routers_of_subnet(resource: Resource, view: ModelView) -> Iterator[Part]:
    if isinstance(resource, Subnet):
        yield from _routers_on(resource.network_id, view)


def _router(resource: Resource, view: ModelView) -> Iterator[Part]:
    if isinstance(resource, Router):
        yield router(resource.id)


def _router_of_port(resource: Resource, view: ModelView) -> Iterator[Part]:
    if isinstance(resource, Port) and resource.device_owner in ROUTER_OWNERS:
        yield router(resource.device_id)
        if resource.device_owner == ROUTER_GATEWAY_OWNER:
            yield network(resource.network_id)  # it needs the uplink


def _router_of_floating_ip(resource: Resource, view: ModelView) -> Iterator[Part]:
    if isinstance(resource, FloatingIp) and resource.router_id:
        yield router(resource.router_id)


def _bound_router(resource: Resource, view: ModelView) -> Iterator[Part]:
    if isinstance(resource, Binding) and resource.kind == "l3":
        yield router(resource.resource_id)


def _routers_on(network_id: str, view: ModelView) -> Iterator[Part]:
    """The routers with a port on a network. O(ports of the network)."""
    for port in view.ports_by_network(network_id):
        yield from _router_of_port(port, view)


_TOUCHED: Mapping[str, Mapping[str, Callable[[Resource, ModelView], Iterable[Part]]]] = {
    "dhcp": {
        "network": _network,
        "subnet": _its_network,
        "port": _its_network,
        "binding": _bound_network,
    },
    "l3": {
        "network": _network_and_routers,
        "subnet": _routers_of_subnet,
        "port": _router_of_port,
        "router": _router,
        "floatingip": _router_of_floating_ip,
        "binding": _bound_router,
    },
}
