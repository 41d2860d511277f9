"""Models drawn by hypothesis: a few networks, subnets, routers and ports that change and move."""

from dataclasses import dataclass, field, replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from a9fe.model.resources import HostRoute, Network, Port, Resource, Router, Subnet
from tests.kit.fake_model import (
    FakeModel,
    bound,
    dhcp_port,
    floating_ip,
    gateway,
    interface,
    network,
    port,
    router,
    subnet,
)

CHEAP = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], database=None)
CIDRS = ("10.1.0.0/24", "10.1.0.0/25", "10.2.0.0/16")  # overlapping, and sharing addresses
ADDRESSES = ("2", "3", "9")  # last part, inside each of them


def within(cidr: str, last: str) -> str:
    if ":" in cidr:
        return f"{cidr.partition('/')[0]}{last}"
    return f"{cidr.rsplit('.', 1)[0]}.{last}"


@dataclass
class Draft:
    """A model under construction."""

    resources: list[Resource] = field(default_factory=list)

    def add(self, *resources: Resource) -> None:
        self.resources.extend(resources)


@st.composite
def models(draw: st.DrawFn) -> FakeModel:
    """Up to three networks with up to two subnets, two routers, and changing ports."""
    draft = Draft()
    routers = [router(n, admin_state_up=draw(st.booleans())) for n in (1, 2)]
    for number in draw(st.sets(st.sampled_from([1, 2, 3]))):
        net = network(
            number,
            mtu=draw(st.sampled_from([1400, 1500])),
            admin_state_up=draw(st.sampled_from([True, True, False])),
        )
        subnets = draw_subnets(draw, net, number)
        draft.add(net, *subnets, *draw_dhcp(draw, net, subnets, number))
        draft.add(*draw_interfaces(draw, net, subnets, routers, number))
        if subnets and draw(st.booleans()):
            draft.add(port(number * 10 + 9, net, (subnets[0], within(subnets[0].cidr, "100"))))
    for one in routers:
        draft.add(draw_routes(draw, one), *([bound("l3", one)] if draw(st.booleans()) else []))
    draft.add(*draw_way_out(draw, routers, draft.resources))
    return FakeModel(draft.resources)


def draw_way_out(draw: st.DrawFn, routers: list[Router], others: list[Resource]) -> list[Resource]:
    """An external network, perhaps with gateways of the routers and floating IPs of ports."""
    outside = network(4, external=True)
    hop = draw(st.sampled_from([None, "203.0.113.1", "192.0.2.1"]))
    block = subnet(40, outside, "203.0.113.0/24", hop)
    ports = [p for p in others if isinstance(p, Port) and p.fixed_ips]
    made: list[Resource] = [outside, block]
    for index, one in enumerate(routers):
        if draw(st.booleans()):
            made.append(gateway(40 + index, one, outside, (block, f"203.0.113.{10 + index}")))
        if ports and draw(st.booleans()):
            to = draw(st.sampled_from(ports))
            made.append(floating_ip(index, outside, f"203.0.113.{20 + index}", one, to))
    return made


def draw_subnets(draw: st.DrawFn, net: Network, number: int) -> list[Subnet]:
    cidrs = draw(st.lists(st.sampled_from(CIDRS), max_size=2, unique=True))
    six = subnet(
        number * 10 + 8,
        net,
        f"fd00:{number}::/64",
        f"fd00:{number}::1",
        ip_version=6,
        ipv6_ra_mode=draw(st.sampled_from([None, "slaac", "dhcpv6-stateful"])),
        enable_dhcp=draw(st.booleans()),
    )
    found = [
        subnet(
            number * 10 + index,
            net,
            cidr,
            draw(st.sampled_from([None, within(cidr, "1"), "10.77.0.1"])),
            enable_dhcp=draw(st.booleans()),
        )
        for index, cidr in enumerate(cidrs)
    ]
    return [six, *found] if draw(st.booleans()) else found


def draw_ips(draw: st.DrawFn, subnets: list[Subnet]) -> list[tuple[Subnet, str]]:
    return [(s, within(s.cidr, draw(st.sampled_from(ADDRESSES)))) for s in subnets]


def draw_dhcp(draw: st.DrawFn, net: Network, subnets: list[Subnet], number: int) -> list[Resource]:
    if not draw(st.booleans()):
        return []
    which = number * 10 + draw(st.sampled_from([0, 1]))
    own = dhcp_port(which, net, *draw_ips(draw, subnets))
    mac = draw(st.sampled_from([own.mac_address, "fa:16:3e:77:77:77"]))
    return [replace(own, mac_address=mac), bound("dhcp", net)]


def draw_interfaces(
    draw: st.DrawFn, net: Network, subnets: list[Subnet], routers: list[Router], number: int
) -> list[Port]:
    """Use the same port ids on both routers, so that ports move."""
    return [
        interface(number * 10 + 5 + index, draw(st.sampled_from(routers)), net, ip)
        for index, ip in enumerate(draw_ips(draw, subnets))
        if draw(st.booleans())
    ]


def draw_routes(draw: st.DrawFn, one: Router) -> Router:
    hops = draw(st.lists(st.sampled_from(["10.1.0.20", "10.2.0.20"]), max_size=1))
    routes = tuple(HostRoute(destination="10.50.0.0/16", nexthop=hop) for hop in hops)
    return replace(one, routes=routes)
