"""DHCP options 121, 249, 3 and 6 of subnets, as tables."""

from dataclasses import replace

import pytest

from a9fe.model.resources import DhcpOption, HostRoute, Port, Subnet
from a9fe.plan.dhcp.dnsmasq_lines import Writer
from a9fe.plan.dhcp.network import DhcpNetwork
from a9fe.plan.dhcp.options import classless_routes, options
from a9fe.plan.settings import DhcpSettings
from tests.kit.fake_model import dhcp_port, interface, network, port, router, subnet

NET = network(1)
PLAIN = subnet(1, NET, "10.1.0.0/24", "10.1.0.1")
NO_GATEWAY = replace(PLAIN, gateway_ip=None)
OTHER = subnet(2, NET, "10.2.0.0/24", "10.2.0.1")
V6 = subnet(3, NET, "fd00::/64", "fd00::1", ip_version=6)
OWN = dhcp_port(1, NET, (PLAIN, "10.1.0.2"), (OTHER, "10.2.0.2"))
ROUTED = interface(2, router(1), NET, (PLAIN, "10.1.0.1"))
TO_DHCP = ("169.254.169.254/32", "10.1.0.2")
TO_GATEWAY = ("169.254.169.254/32", "10.1.0.1")
DEFAULT_ROUTE = ("0.0.0.0/0", "10.1.0.1")

ON = DhcpSettings(dhcp_confs="/d")
OFF = replace(ON, enable_isolated_metadata=False)
FORCE = replace(ON, force_metadata=True)


def routes_to(*pairs: tuple[str, str]) -> tuple[HostRoute, ...]:
    return tuple(HostRoute(destination=d, nexthop=n) for d, n in pairs)


def of(subnets: tuple[Subnet, ...], *ports: Port, own: Port = OWN) -> DhcpNetwork:
    return DhcpNetwork(network=NET, subnets=subnets, ports=(own, *ports), port=own)


WITH_ROUTES = replace(PLAIN, host_routes=routes_to(("10.9.0.0/16", "10.1.0.9")))
DEFAULT_BY_ROUTE = replace(
    NO_GATEWAY, host_routes=routes_to(("0.0.0.0/0", "10.1.0.7"), ("10.9.0.0/16", "10.1.0.9"))
)
BOTH_DEFAULTS = replace(PLAIN, host_routes=routes_to(("0.0.0.0/0", "10.1.0.7")))
FAR = ("10.9.0.0/16", "10.1.0.9")
ON_LINK = ("10.2.0.0/24", "0.0.0.0")


@pytest.mark.parametrize(
    ("case", "network_", "settings", "expected"),
    [
        ("isolated", of((PLAIN,)), ON, (TO_DHCP, DEFAULT_ROUTE)),
        ("isolated, not wanted", of((PLAIN,)), OFF, ()),
        ("routed", of((PLAIN,), ROUTED), ON, (TO_GATEWAY, DEFAULT_ROUTE)),
        ("routed, not wanted", of((PLAIN,), ROUTED), OFF, (TO_GATEWAY, DEFAULT_ROUTE)),
        ("routed, forced", of((PLAIN,), ROUTED), FORCE, (TO_DHCP, DEFAULT_ROUTE)),
        ("no gateway", of((NO_GATEWAY,)), ON, (TO_DHCP,)),
        ("no gateway, not wanted", of((NO_GATEWAY,)), OFF, ()),
        ("no gateway, router there", of((NO_GATEWAY,), ROUTED), ON, (TO_DHCP,)),
        ("host routes", of((WITH_ROUTES,)), ON, (FAR, TO_DHCP, DEFAULT_ROUTE)),
        ("host routes, not wanted", of((WITH_ROUTES,)), OFF, (FAR, DEFAULT_ROUTE)),
        (
            "default by host route",
            of((DEFAULT_BY_ROUTE,)),
            ON,
            (FAR, TO_DHCP, ("0.0.0.0/0", "10.1.0.7")),
        ),
        ("gateway beats host route", of((BOTH_DEFAULTS,)), ON, (TO_DHCP, DEFAULT_ROUTE)),
        ("two subnets", of((PLAIN, OTHER)), ON, (ON_LINK, TO_DHCP, DEFAULT_ROUTE)),
        ("two subnets, not wanted", of((PLAIN, OTHER)), OFF, (ON_LINK, DEFAULT_ROUTE)),
        (
            "the other without DHCP",
            of((PLAIN, replace(OTHER, enable_dhcp=False))),
            ON,
            (ON_LINK, TO_DHCP, DEFAULT_ROUTE),
        ),
        ("beside IPv6", of((PLAIN, V6)), ON, (TO_DHCP, DEFAULT_ROUTE)),
        ("no address of ours", of((PLAIN,), own=replace(OWN, fixed_ips=())), ON, ()),
    ],
)
def test_classless_routes(
    case: str, network_: DhcpNetwork, settings: DhcpSettings, expected: tuple[tuple[str, str], ...]
):
    assert classless_routes(network_, network_.subnets[0], settings) == expected, case


def test_the_second_subnet_of_a_mixed_network_goes_by_its_own_rule():
    mixed = of((PLAIN, OTHER), ROUTED)
    assert classless_routes(mixed, OTHER, ON) == (
        ("10.1.0.0/24", "0.0.0.0"),
        ("169.254.169.254/32", "10.2.0.2"),
        ("0.0.0.0/0", "10.2.0.1"),
    )


def test_the_networks_other_subnets_come_first_the_latest_before():
    third = subnet(4, NET, "10.4.0.0/24", None)
    whole = of((PLAIN, OTHER, third))
    assert classless_routes(whole, PLAIN, ON)[:2] == (("10.4.0.0/24", "0.0.0.0"), ON_LINK)


def lines(network_: DhcpNetwork, settings: DhcpSettings = ON) -> list[str]:
    return options(network_, settings, Writer()).splitlines()


def test_option_249_equals_option_121():
    tag = f"tag:subnet-{PLAIN.id}"
    routes = "169.254.169.254/32,10.1.0.2,0.0.0.0/0,10.1.0.1"
    assert lines(of((PLAIN,))) == [
        f"{tag},option:classless-static-route,{routes}",
        f"{tag},249,{routes}",
        f"{tag},option:router,10.1.0.1",
    ]


def test_an_empty_list_is_not_sent_and_no_gateway_is_an_empty_router():
    assert lines(of((NO_GATEWAY,)), OFF) == [f"tag:subnet-{PLAIN.id},option:router"]


def test_the_default_of_a_host_route_is_the_router():
    assert f"tag:subnet-{PLAIN.id},option:router,10.1.0.7" in lines(of((DEFAULT_BY_ROUTE,)))


@pytest.mark.parametrize(
    ("servers", "more", "expected"),
    [
        ((), (), None),
        (("9.9.9.9", "1.1.1.1"), (), "9.9.9.9,1.1.1.1"),
        (("9.9.9.9", "fd00::9"), (), "9.9.9.9"),
        (("0.0.0.0",), (), ""),
        ((), (dhcp_port(9, NET, (PLAIN, "10.1.0.3"), host="node2"),), "10.1.0.2,10.1.0.3"),
    ],
)
def test_dns_servers(servers: tuple[str, ...], more: tuple[Port, ...], expected: str | None):
    found = [
        line.partition("option:dns-server")[2].lstrip(",")
        for line in lines(of((replace(PLAIN, dns_nameservers=servers),), *more))
        if "dns-server" in line
    ]
    assert found == ([] if expected is None else [expected])


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        (DhcpOption(opt_name="ntp-server", opt_value="10.1.0.4"), "option:ntp-server,10.1.0.4"),
        (DhcpOption(opt_name="42", opt_value="10.1.0.4"), "42,10.1.0.4"),
        (DhcpOption(opt_name="ntp-server", opt_value="fd00::4", ip_version=6), None),
        (DhcpOption(opt_name="client-id", opt_value="01:02"), None),
        # dnsmasq would ignore these lines, and say so in its log only
        (DhcpOption(opt_name="nosuch", opt_value="1"), None),
        (DhcpOption(opt_name="ntp-server", opt_value="ntp.example"), None),
        (DhcpOption(opt_name="42", opt_value="10.1.0.4,10.1.0.300"), None),
        (DhcpOption(opt_name="61", opt_value="01:02"), None),
        (DhcpOption(opt_name="ntp-server", opt_value="x\ntag:port-other,3,10.6.6.6"), None),
        (DhcpOption(opt_name="3,10.6.6.6\n4", opt_value="x"), None),
    ],
)
def test_extra_options_of_a_port(option: DhcpOption, expected: str | None):
    vm = port(5, NET, (PLAIN, "10.1.0.5"), extra_dhcp_opts=(option,))
    found = [line for line in lines(of((PLAIN,), vm)) if not line.startswith("tag:subnet-")]
    assert found == ([] if expected is None else [f"tag:port-{vm.id},{expected}"])
