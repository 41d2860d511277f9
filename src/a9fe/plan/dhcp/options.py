"""The lines of dnsmasq's options file for a network.

Each subnet has the tag subnet-<id> (set by its dhcp-range), each port with options of its own
port-<id> (set by its line in the hosts file). plan.dhcp.dnsmasq_lines writes the fields. Rules:
Neutron's, with RFC 3442 in mind: a client that takes option 121 ignores option 3, so 121 repeats
the default route.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from a9fe.model.resources import METADATA_IPV4, DhcpOption, Port, Subnet
from a9fe.plan.dhcp import dnsmasq_lines as lines
from a9fe.plan.dhcp.dnsmasq_lines import Maker, Writer
from a9fe.plan.dhcp.isolation import gateway, next_hop
from a9fe.plan.dhcp.network import DhcpNetwork
from a9fe.plan.host import DEFAULT_ROUTE
from a9fe.plan.settings import DhcpSettings

ON_LINK = "0.0.0.0"  # noqa: S104 - RFC 3442's next hop of an on-link route
MS_CLASSLESS_STATIC_ROUTE = "249"  # option 121's number for Windows before Vista
ROUTE_SIZE = 9  # maximum bytes of a route in option 121 (RFC 3442)
# Bytes of option 121. In an answer of 576 bytes, which every client takes, dnsmasq leaves out an
# option of more than some 210 bytes, and the metadata route with it. 20 host routes always fit.
ROUTES_MAX = 200
ROUTES_TEXT_MAX = lines.LINE_MAX - 80  # characters, beside the line's tag and option
CLIENT_ID = frozenset({"client-id", "61"})
Route = tuple[str, str]  # destination, next hop


def options(network: DhcpNetwork, settings: DhcpSettings, writer: Writer) -> str:
    """Return the options file. What cannot be written is added to `writer.left_out`."""
    writer.left_out += _routes_left_out(network, settings)
    return writer.text(_lines(network, settings))


def _lines(network: DhcpNetwork, settings: DhcpSettings) -> Iterator[tuple[str, Maker]]:
    for subnet in network.served:
        for make in _subnet(network, subnet, settings):
            yield f"subnet {subnet.id}", make
    for port in network.ports:
        for option in extra(port):
            yield f"port {port.id}, option {option.opt_name[:64]!r}", partial(_extra, port, option)


def _routes_left_out(network: DhcpNetwork, settings: DhcpSettings) -> Iterator[str]:
    for subnet in network.served:
        wanted = len(_wanted_routes(network, subnet))
        left = wanted + len(_fixed_routes(network, subnet, settings))
        left -= len(classless_routes(network, subnet, settings))
        if left:
            yield (
                f"subnet {subnet.id}: the last {left} of {wanted} host routes, because option 121"
                f" has room for {ROUTES_MAX} bytes in every answer"
            )


def extra(port: Port) -> tuple[DhcpOption, ...]:
    """The options of a port for dnsmasq: IPv4 options except the client id.

    dnsmasq is configured to ignore client ids (plan.dhcp.dnsmasq).
    """
    found = (o for o in port.extra_dhcp_opts if o.ip_version == 4)
    return tuple(option for option in found if option.opt_name not in CLIENT_ID)


def _extra(port: Port, option: DhcpOption) -> str:
    tag = f"tag:{lines.tag('port', port.id)}"
    return lines.line(tag, *lines.option(option.opt_name, option.opt_value))


def _subnet(network: DhcpNetwork, subnet: Subnet, settings: DhcpSettings) -> Iterator[Maker]:
    def said(option: str, values: Callable[[], Iterable[str]]) -> Maker:
        return lambda: lines.line(f"tag:{lines.tag('subnet', subnet.id)}", option, *values())

    def routes() -> Iterator[str]:
        for destination, hop in classless_routes(network, subnet, settings):
            yield from (lines.prefix(destination), lines.address(hop))

    router, servers = gateway(subnet), network.dns_servers(subnet)
    if servers is not None:
        yield said("option:dns-server", lambda: map(lines.address, servers))
    if classless_routes(network, subnet, settings):
        yield said("option:classless-static-route", routes)
        yield said(MS_CLASSLESS_STATIC_ROUTE, routes)
    # Without a value the option is not sent; without this line dnsmasq announces itself.
    yield said("option:router", lambda: [lines.address(router)] if router else [])


def classless_routes(
    network: DhcpNetwork, subnet: Subnet, settings: DhcpSettings
) -> tuple[Route, ...]:
    """Option 121 (and 249) for one subnet: (destination, next hop) pairs, in Neutron's order.

    The network's other IPv4 subnets on-link, host routes, the metadata route, and the default
    route if there is any other and a gateway. The first host routes that fit (ROUTES_MAX) and the
    metadata and default routes are kept, because dnsmasq does not send an option that is too long.
    """
    last = _fixed_routes(network, subnet, settings)
    size = sum(map(_size, last))
    text = sum(map(_text_size, last))
    kept = []
    for route in _wanted_routes(network, subnet):
        size, text = size + _size(route), text + _text_size(route)
        if size > ROUTES_MAX or text > ROUTES_TEXT_MAX:
            break
        kept.append(route)
    return (*kept, *last)


def _wanted_routes(network: DhcpNetwork, subnet: Subnet) -> list[Route]:
    others = [s for s in network.subnets if s.ip_version == 4 and s.id != subnet.id]
    routes = [(other.cidr, ON_LINK) for other in reversed(others)]
    routes += [
        (r.destination, r.nexthop)
        for r in subnet.host_routes
        if r.destination != DEFAULT_ROUTE and ":" not in r.destination + r.nexthop
    ]
    return routes


def _fixed_routes(
    network: DhcpNetwork, subnet: Subnet, settings: DhcpSettings
) -> tuple[Route, ...]:
    router, metadata = gateway(subnet), next_hop(network, subnet, settings)
    first = ((f"{METADATA_IPV4}/32", metadata),) if metadata else ()
    if router and (first or _wanted_routes(network, subnet)):
        return (*first, (DEFAULT_ROUTE, router))
    return first


def _size(route: Route) -> int:
    """Bytes of a route in option 121 (RFC 3442): the significant octets of the prefix only."""
    length = route[0].partition("/")[2]
    return 5 + (min(int(length), 32) + 7) // 8 if length.isdecimal() else ROUTE_SIZE


def _text_size(route: Route) -> int:
    return sum(map(len, route)) + 2
