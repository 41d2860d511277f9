"""Neutron's rules on which networks get metadata from their DHCP namespace, as a table."""

from dataclasses import replace

import pytest

from a9fe.model.resources import ROUTER_INTERFACE_OWNERS, Port, Subnet
from a9fe.plan.dhcp.isolation import Serving, listener, routed_subnets, serving
from a9fe.plan.settings import DhcpSettings
from tests.kit.fake_model import interface, network, port, router, subnet

NET = network(1)
V4 = subnet(1, NET, "10.1.0.0/24", "10.1.0.1")
NO_GATEWAY = replace(V4, gateway_ip=None)
OTHER = subnet(2, NET, "10.2.0.0/24", "10.2.0.1")
V6 = subnet(3, NET, "fd00::/64", "fd00::1", ip_version=6)
ON_GATEWAY = interface(1, router(1), NET, (V4, "10.1.0.1"))
ELSEWHERE = interface(2, router(1), NET, (V4, "10.1.0.77"))
VM_ON_GATEWAY = port(3, NET, (V4, "10.1.0.1"))

DEFAULT = DhcpSettings(dhcp_confs="/d")
OFF = replace(DEFAULT, enable_isolated_metadata=False)
FORCE = replace(OFF, force_metadata=True)


def without_dhcp(of: Subnet) -> Subnet:
    return replace(of, enable_dhcp=False)


@pytest.mark.parametrize(
    ("subnets", "ports", "settings", "expected"),
    [
        ((), (), DEFAULT, Serving.NO_DHCP_SUBNET),
        ((without_dhcp(V4),), (), FORCE, Serving.NO_DHCP_SUBNET),
        ((V4,), (ON_GATEWAY,), FORCE, Serving.FORCED),
        ((V4,), (), OFF, Serving.NOT_WANTED),
        ((V4,), (), DEFAULT, Serving.ISOLATED),
        ((V6,), (), DEFAULT, Serving.ISOLATED),
        ((NO_GATEWAY,), (ON_GATEWAY,), DEFAULT, Serving.ISOLATED),
        ((V4,), (ON_GATEWAY,), DEFAULT, Serving.ROUTED),
        ((V4,), (ELSEWHERE,), DEFAULT, Serving.ISOLATED),
        ((V4,), (VM_ON_GATEWAY,), DEFAULT, Serving.ISOLATED),
        ((V4, OTHER), (ON_GATEWAY,), DEFAULT, Serving.ISOLATED),
        ((V4, without_dhcp(OTHER)), (ON_GATEWAY,), DEFAULT, Serving.ROUTED),
    ],
)
def test_serving(
    subnets: tuple[Subnet, ...],
    ports: tuple[Port, ...],
    settings: DhcpSettings,
    expected: Serving,
):
    assert serving(subnets, ports, settings) == expected


@pytest.mark.parametrize("why", Serving)
def test_only_forced_and_isolated_networks_have_a_listener(why: Serving):
    assert why.serves == (why in (Serving.FORCED, Serving.ISOLATED))


@pytest.mark.parametrize("owner", sorted(ROUTER_INTERFACE_OWNERS))
def test_every_kind_of_router_interface_routes(owner: str):
    assert routed_subnets((V4,), (replace(ON_GATEWAY, device_owner=owner),)) == {V4.id}


def test_the_same_address_on_another_subnet_does_not_route():
    twin = subnet(4, NET, "10.1.0.0/24", "10.1.0.1")
    assert routed_subnets((V4, twin), (ON_GATEWAY,)) == {V4.id}


def test_the_listener_serves_the_network():
    assert listener(NET).key == f"qdhcp-{NET.id}/169.254.169.254:80"
    assert (listener(NET).kind, listener(NET).id) == ("network", NET.id)
