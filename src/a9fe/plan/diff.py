"""The difference between plan and host, as operations in a safe order.

1. links that block others, such as those that move to another namespace, are removed, each after
   the listeners bound to it;
2. port filters, then bridges, so that no device is on an unfiltered bridge; then uplinks and VMs'
   devices that lost their bridge;
3. each planned namespace: the namespace itself; then listeners of a link that differs from the
   plan are closed, because a listener identifies its link's network; then iptables (before
   forwarding is on and before any link, so that no packet passes a router without its rules),
   sysctls, links, listeners (before any address, so that no connection to it is refused),
   addresses, routes, dnsmasq, radvd; then unplanned objects are deleted in reverse order,
   listeners last;
4. each unplanned namespace: its listeners, dnsmasq, radvd, links, then the namespace itself;
5. unplanned bridges without devices;
6. the filters, if none are planned.

Within a namespace, additions come before deletions. Applying the result to `observed` gives
`desired`; the difference of equal values is empty. The operations are described in
plan.operations. Cost: O(objects log objects) of the agent.
"""

from collections.abc import Iterable, Iterator, Set
from dataclasses import replace

from a9fe.plan import uplinks
from a9fe.plan.filters import admission, port_security
from a9fe.plan.host import Address, HostPlan, NamespacePlan, PortSecurity, Route, Veth
from a9fe.plan.operations import (
    AddAddress,
    AddLink,
    AddNamespace,
    ChangeLink,
    CloseListener,
    DeleteAddress,
    DeleteBridge,
    DeleteLink,
    DeleteNamespace,
    DeleteRoute,
    DeleteUplink,
    NamespaceOperation,
    OpenListener,
    Operation,
    PlugTap,
    ReloadDnsmasq,
    ReloadRadvd,
    RestartDnsmasq,
    SetBridge,
    SetIptables,
    SetPortSecurity,
    SetRoute,
    SetSysctl,
    SetTaps,
    SetUplink,
    StartDnsmasq,
    StartRadvd,
    StopDnsmasq,
    StopRadvd,
)
from a9fe.plan.routers import rules
from a9fe.wire.message import Listener

__all__ = ["Operation", "operations"]


def operations(
    desired: HostPlan, observed: HostPlan, *, of_parts: bool = False
) -> tuple[Operation, ...]:
    """Return the operations, in order, that change an `observed` host into a `desired` one.

    With `of_parts` both are some parts of a host (plan.parts): the filters of other taps stay.
    """
    return tuple(_operations(desired, observed, of_parts=of_parts))


def _operations(desired: HostPlan, observed: HostPlan, *, of_parts: bool) -> Iterator[Operation]:
    misplaced = tuple(_misplaced_links(desired, observed))
    for removed in misplaced:
        yield from _close_on(observed.namespaces[removed.namespace], removed.link)
        yield removed
    present = _without(observed, misplaced)
    filters = admission.effective(desired, observed)
    if filters is not None and filters != observed.port_security:
        yield _set_filters(filters, observed.port_security, of_parts=of_parts)
    yield from (
        SetBridge(bridge=bridge)
        for bridge in sorted(desired.bridges - observed.bridges, key=lambda b: b.name)
    )
    empty = tuple(_remove_bridges(desired, observed))
    yield from _uplinks(desired, observed, frozenset(removed.name for removed in empty))
    yield from _unplugged(desired, observed)
    yield from admission.isolations(filters, observed)
    for name, plan in sorted(desired.namespaces.items()):
        yield from _namespace(plan, present.namespaces.get(name))
    for name, plan in sorted(present.namespaces.items()):
        if name not in desired.namespaces:
            yield from _remove_namespace(plan)
    yield from empty
    if filters is None and observed.port_security is not None:
        yield SetPortSecurity(port_security=None)


def _uplinks(desired: HostPlan, observed: HostPlan, going: frozenset[str]) -> Iterator[Operation]:
    for uplink in uplinks.surplus(desired, observed, going):
        yield DeleteUplink(uplink=uplink)
    for uplink in sorted(desired.uplinks - observed.uplinks):
        yield SetUplink(uplink=uplink)


def _set_filters(
    wanted: PortSecurity, found: PortSecurity | None, *, of_parts: bool
) -> SetPortSecurity | SetTaps:
    if of_parts and found is not None:
        return SetTaps(taps=port_security.changes(wanted.taps, found.taps))
    return SetPortSecurity(port_security=wanted)


def _unplugged(desired: HostPlan, observed: HostPlan) -> Iterator[PlugTap]:
    """VMs' devices that lost their bridge, for example because it was deleted."""
    for tap, bridge in sorted(observed.taps.items()):
        if not bridge and tap in desired.taps:
            yield PlugTap(tap=tap, bridge=desired.taps[tap])


def _misplaced_links(desired: HostPlan, observed: HostPlan) -> Iterator[DeleteLink]:
    """Links that block a planned one: the outer end is in another place, or the inner end belongs
    to another pair.
    """
    outers = _outers(desired)
    for name, plan in sorted(observed.namespaces.items()):
        planned = desired.namespaces[name].links if name in desired.namespaces else frozenset()
        inners = {link.inner for link in planned}
        pairs = {(link.inner, link.outer) for link in planned}
        for link in _links(plan.links):
            if (link.inner, link.outer) in pairs:
                continue
            if link.outer in outers or link.inner in inners:
                yield DeleteLink(namespace=name, link=link)


def _without(host: HostPlan, removed: Iterable[DeleteLink]) -> HostPlan:
    """The host after the links were removed, with their addresses, routes and listeners."""
    namespaces = dict(host.namespaces)
    for operation in removed:
        plan, device = namespaces[operation.namespace], operation.link.inner
        namespaces[plan.name] = replace(
            plan,
            links=plan.links - {operation.link},
            addresses=frozenset(a for a in plan.addresses if a.device != device),
            routes=frozenset(r for r in plan.routes if r.device != device),
            listeners=frozenset(x for x in plan.listeners if x.device != device),
        )
    return HostPlan(bridges=host.bridges, namespaces=namespaces)


def _close_on(plan: NamespacePlan, link: Veth) -> Iterator[NamespaceOperation]:
    """Close listeners whose link changes, before the link changes."""
    on_it = [listener for listener in plan.listeners if listener.device == link.inner]
    yield from _close(plan.name, on_it)


def _namespace(desired: NamespacePlan, observed: NamespacePlan | None) -> Iterator[Operation]:
    name = desired.name
    if observed is None:
        yield AddNamespace(namespace=name)
        observed = NamespacePlan(name=name)
    stale = observed.listeners - desired.listeners
    yield from _close(name, [listener for listener in stale if listener.device])
    moved = _moved_floating_ips(desired, observed)
    yield from (DeleteAddress(namespace=name, address=address) for address in sorted(moved))
    observed = replace(observed, addresses=observed.addresses - moved)
    yield from _settings(desired, observed)
    yield from _set_links(name, desired.links, observed.links)
    yield from _open(name, desired, observed)
    yield from (
        AddAddress(namespace=name, address=address)
        for address in sorted(desired.addresses - observed.addresses, key=_own_first)
    )
    yield from (
        SetRoute(namespace=name, route=route)
        for route in _routes(desired.routes - observed.routes)
    )
    yield from _set_dnsmasq(desired, observed)
    yield from _set_radvd(desired, observed)
    yield from _surplus(desired, observed)
    keys = {listener.key for listener in desired.listeners}
    replaced = (listener for listener in stale if listener.device or listener.key in keys)
    yield from _close(name, stale.difference(replaced))


def _moved_floating_ips(desired: NamespacePlan, observed: NamespacePlan) -> frozenset[Address]:
    """Floating IPs that get another fixed IP. They are taken off and put back, because taking one
    off ends its connections, which would still reach the former VM.
    """
    now, before = rules.translations(desired.iptables), rules.translations(observed.iptables)
    moved = {f"{floating}/32" for floating, fixed in before.items() if now.get(floating) != fixed}
    return frozenset(a for a in observed.addresses & desired.addresses if a.cidr in moved)


def _settings(desired: NamespacePlan, observed: NamespacePlan) -> Iterator[Operation]:
    for version, wanted, found in (
        (4, desired.iptables, observed.iptables),
        (6, desired.ip6tables, observed.ip6tables),
    ):
        if wanted != found:
            yield SetIptables(namespace=desired.name, rules=wanted, ip_version=version)
    for path, value in sorted(desired.sysctls.items()):
        if observed.sysctls.get(path) != value:
            yield SetSysctl(namespace=desired.name, path=path, value=value)


def _set_links(
    namespace: str, desired: Set[Veth], observed: Set[Veth]
) -> Iterator[NamespaceOperation]:
    inners = {link.inner for link in observed}
    for link in _links(desired - observed):
        if link.inner in inners:
            yield ChangeLink(namespace=namespace, link=link)
        else:
            yield AddLink(namespace=namespace, link=link)


def _set_dnsmasq(desired: NamespacePlan, observed: NamespacePlan) -> Iterator[Operation]:
    new, old = desired.dnsmasq, observed.dnsmasq
    if new == old:
        return
    if new is None:
        assert old is not None
        yield StopDnsmasq(namespace=desired.name, dnsmasq=old)
    elif old is None or not old.arguments:
        yield StartDnsmasq(namespace=desired.name, dnsmasq=new)
    elif new.arguments != old.arguments:
        yield RestartDnsmasq(namespace=desired.name, dnsmasq=new)
    else:
        yield ReloadDnsmasq(namespace=desired.name, dnsmasq=new)


def _set_radvd(desired: NamespacePlan, observed: NamespacePlan) -> Iterator[Operation]:
    new, old = desired.radvd, observed.radvd
    if new == old:
        return
    if new is None:
        assert old is not None
        yield StopRadvd(namespace=desired.name, radvd=old)
    elif old is None or not old.running:
        yield StartRadvd(namespace=desired.name, radvd=new)
    else:
        yield ReloadRadvd(namespace=desired.name, radvd=new)


def _close(namespace: str, listeners: Iterable[Listener]) -> Iterator[NamespaceOperation]:
    yield from (
        CloseListener(namespace=namespace, listener=listener) for listener in _by_key(listeners)
    )


def _open(
    namespace: str, desired: NamespacePlan, observed: NamespacePlan
) -> Iterator[NamespaceOperation]:
    yield from (
        OpenListener(namespace=namespace, listener=listener)
        for listener in _by_key(desired.listeners - observed.listeners)
    )


def _surplus(desired: NamespacePlan, observed: NamespacePlan) -> Iterator[NamespaceOperation]:
    """Delete unplanned routes, addresses and links, but not those that go with their link."""
    name = desired.name
    kept = {link.inner for link in desired.links}
    destinations = {route.destination for route in desired.routes}
    added = {(address.device, address.cidr) for address in desired.addresses}
    yield from (
        DeleteRoute(namespace=name, route=route)
        for route in reversed(_routes(observed.routes - desired.routes))
        if route.device in kept and route.destination not in destinations
    )
    yield from (
        DeleteAddress(namespace=name, address=address)
        for address in sorted(observed.addresses - desired.addresses, reverse=True)
        if address.device in kept and (address.device, address.cidr) not in added
    )
    yield from (
        DeleteLink(namespace=name, link=link)
        for link in reversed(_links(observed.links))
        if link.inner not in kept
    )


def _remove_namespace(plan: NamespacePlan) -> Iterator[NamespaceOperation]:
    name = plan.name
    yield from _close(name, plan.listeners)
    if plan.dnsmasq is not None:
        yield StopDnsmasq(namespace=name, dnsmasq=plan.dnsmasq)
    if plan.radvd is not None:
        yield StopRadvd(namespace=name, radvd=plan.radvd)
    yield from (DeleteLink(namespace=name, link=link) for link in _links(plan.links))
    yield DeleteNamespace(namespace=name)


def _remove_bridges(desired: HostPlan, observed: HostPlan) -> Iterator[DeleteBridge]:
    """Delete unplanned bridges that have no device left after this plan.

    A VM's tap or a link of the other agent keeps a bridge; the agent that removes the last device
    deletes it.
    """
    wanted = {bridge.name for bridge in desired.bridges}
    going = (_outers(observed) - _outers(desired)) | uplinks.ports(observed)
    for bridge in sorted(observed.bridges, key=lambda b: b.name):
        if bridge.name not in wanted and bridge.devices <= going:
            yield DeleteBridge(name=bridge.name)


def _outers(host: HostPlan) -> frozenset[str]:
    return frozenset(link.outer for plan in host.namespaces.values() for link in plan.links)


def _links(links: Iterable[Veth]) -> list[Veth]:
    return sorted(links, key=lambda link: link.inner)


def _own_first(address: Address) -> tuple[bool, Address]:
    """Sort addresses with a subnet first: dnsmasq takes the first one as its own."""
    return (address.cidr.endswith(("/32", "/128")), address)


def _routes(routes: Iterable[Route]) -> list[Route]:
    """Sort on-link routes first: a route's next hop must be reachable before it is added."""
    return sorted(routes, key=lambda route: (route.via != "", route))


def _by_key(listeners: Iterable[Listener]) -> list[Listener]:
    return sorted(listeners, key=lambda listener: listener.key)
