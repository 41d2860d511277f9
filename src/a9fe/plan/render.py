"""A plan as plain text, for golden files: a line for each part, in a fixed order."""

from collections.abc import Iterator

from a9fe.plan.host import Dnsmasq, HostPlan, NamespacePlan, Route, Veth


def text(plan: HostPlan) -> str:
    """Return the plan as lines of text."""
    return "".join(f"{line}\n" for line in _host(plan))


def _host(plan: HostPlan) -> Iterator[str]:
    for bridge in sorted(plan.bridges, key=lambda b: b.name):
        yield f"bridge {bridge.name} mtu {bridge.mtu}"
    for uplink in sorted(plan.uplinks):
        yield f"uplink {uplink.bridge} to {uplink.device or 'nothing'}"
    if plan.port_security is not None:
        yield f"port security {plan.port_security.marker}"
    for _, namespace in sorted(plan.namespaces.items()):
        yield ""
        yield f"namespace {namespace.name}"
        yield from (f"  {line}" for line in _namespace(namespace))


def _namespace(plan: NamespacePlan) -> Iterator[str]:
    yield from (f"sysctl {path} = {value}" for path, value in sorted(plan.sysctls.items()))
    yield from sorted(_link(link) for link in plan.links)
    yield from (f"address {a.cidr} on {a.device}" for a in sorted(plan.addresses))
    yield from (_route(route) for route in sorted(plan.routes))
    yield from _lines("iptables", plan.iptables)
    yield from _lines("ip6tables", plan.ip6tables)
    if plan.dnsmasq is not None:
        yield from _dnsmasq(plan.dnsmasq)
    if plan.radvd is not None:
        yield f"radvd for {plan.radvd.router_id} in {plan.radvd.directory}"
        yield from _lines("  config", plan.radvd.config)
    yield from sorted(
        f"listen {one.key.partition('/')[2]} for {one.kind} {one.id}" for one in plan.listeners
    )


def _link(link: Veth) -> str:
    return f"link {link.inner} to {link.outer} on {link.bridge} mac {link.mac} mtu {link.mtu}"


def _route(route: Route) -> str:
    via = f" via {route.via}" if route.via else ""
    return f"route {route.destination}{via} dev {route.device}"


def _dnsmasq(dnsmasq: Dnsmasq) -> Iterator[str]:
    yield f"dnsmasq for {dnsmasq.network_id} on {dnsmasq.interface} in {dnsmasq.directory}"
    yield from (f"  {argument}" for argument in dnsmasq.arguments)
    yield from _lines("  hosts", dnsmasq.hosts)
    yield from _lines("  names", dnsmasq.names)
    yield from _lines("  options", dnsmasq.options)


def _lines(title: str, content: str) -> Iterator[str]:
    yield from (f"{title} | {line}" for line in content.splitlines())
