"""Which DHCP namespaces serve metadata at fe80::a9fe:a9fe, as a table."""

from dataclasses import replace

import pytest

from a9fe.model.resources import Port, Subnet
from a9fe.plan.dhcp import ipv6
from a9fe.plan.dhcp.network import DhcpNetwork
from a9fe.plan.settings import DhcpSettings
from tests.kit.fake_model import dhcp_port, interface, network, router, subnet

NET = network(1)
V4 = subnet(1, NET, "10.1.0.0/24", "10.1.0.1")
V6 = subnet(3, NET, "fd00::/64", "fd00::1", ip_version=6)
OWN = dhcp_port(9, NET, (V4, "10.1.0.2"), (V6, "fd00::2"))
ON_GATEWAY = interface(1, router(1), NET, (V4, "10.1.0.1"))
ON_V6 = interface(4, router(1), NET, (V6, "fd00::77"))

DEFAULT = DhcpSettings(dhcp_confs="/d")
OFF = replace(DEFAULT, enable_isolated_metadata=False)
FORCE = replace(OFF, force_metadata=True)


def without_dhcp(of: Subnet) -> Subnet:
    return replace(of, enable_dhcp=False)


@pytest.mark.parametrize(
    ("subnets", "ports", "settings", "expected"),
    [
        ((V4,), (), DEFAULT, False),  # no IPv6 subnet
        ((V6,), (), DEFAULT, True),
        ((V4, V6), (ON_GATEWAY,), DEFAULT, True),  # the router has IPv4 only
        ((V4, without_dhcp(V6)), (), DEFAULT, True),
        ((without_dhcp(V4), without_dhcp(V6)), (), DEFAULT, False),
        ((V6,), (), OFF, False),
        ((V6,), (), FORCE, True),
        ((V6,), (), replace(FORCE, ipv6_on_host=False), False),
        ((V6,), (ON_V6,), DEFAULT, False),  # serves the whole network, also beside a gateway
        ((V6,), (ON_V6,), FORCE, False),
        ((V6,), (replace(ON_V6, device_owner="compute:nova"),), DEFAULT, True),
    ],
)
def test_serving_metadata(
    subnets: tuple[Subnet, ...],
    ports: tuple[Port, ...],
    settings: DhcpSettings,
    *,
    expected: bool,
):
    net = DhcpNetwork(network=NET, subnets=subnets, ports=(OWN, *ports), port=OWN)
    assert ipv6.serves_metadata(net, settings) == expected
    has_address = "fe80::a9fe:a9fe/128" in {a.cidr for a in ipv6.addresses(net, "ns-1", settings)}
    assert has_address == expected


def test_the_listener_serves_the_network_on_the_device():
    net = DhcpNetwork(network=NET, subnets=(V6,), ports=(OWN,), port=OWN)
    (found,) = ipv6.listeners(net, "ns-1", DEFAULT)
    assert found.key == f"qdhcp-{NET.id}/[fe80::a9fe:a9fe]:80%ns-1"
    assert (found.kind, found.id, found.port_id) == ("network", NET.id, "")
