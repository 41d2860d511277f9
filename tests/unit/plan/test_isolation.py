"""Neutron's rules on which networks get metadata from their DHCP namespace, as tables."""

from dataclasses import replace

import pytest

from a9fe.model.resources import ROUTER_INTERFACE_OWNERS, Port, Subnet
from a9fe.plan.dhcp.isolation import Serving, listener, next_hop, serving
from a9fe.plan.dhcp.network import DhcpNetwork, routed_subnets
from a9fe.plan.settings import DhcpSettings
from tests.kit.fake_model import dhcp_port, interface, network, port, router, subnet

NET = network(1)
V4 = subnet(1, NET, "10.1.0.0/24", "10.1.0.1")
NO_GATEWAY = replace(V4, gateway_ip=None)
OTHER = subnet(2, NET, "10.2.0.0/24", "10.2.0.1")
V6 = subnet(3, NET, "fd00::/64", "fd00::1", ip_version=6)
METADATA = subnet(4, NET, "169.254.169.0/24", "169.254.169.1")
OUTSIDE = subnet(5, NET, "169.0.0.0/8", None)
OWN = dhcp_port(9, NET, (V4, "10.1.0.2"), (OTHER, "10.2.0.2"), (METADATA, "169.254.169.2"))
ON_GATEWAY = interface(1, router(1), NET, (V4, "10.1.0.1"))
ELSEWHERE = interface(2, router(2), NET, (V4, "10.1.0.77"))
ON_BOTH = interface(4, router(1), NET, (V4, "10.1.0.1"), (OTHER, "10.2.0.1"))
ON_V6 = interface(5, router(1), NET, (V6, "fd00::1"))
ON_METADATA = interface(6, router(6), NET, (METADATA, "169.254.169.1"))
VM_ON_GATEWAY = port(3, NET, (V4, "10.1.0.1"))

DEFAULT = DhcpSettings(dhcp_confs="/d")
OFF = replace(DEFAULT, enable_isolated_metadata=False)
FORCE = replace(OFF, force_metadata=True)
NETWORK = replace(DEFAULT, enable_metadata_network=True)


def without_dhcp(of: Subnet) -> Subnet:
    return replace(of, enable_dhcp=False)


def of(subnets: tuple[Subnet, ...], *ports: Port) -> DhcpNetwork:
    return DhcpNetwork(network=NET, subnets=subnets, ports=(OWN, *ports), port=OWN)


@pytest.mark.parametrize(
    ("subnets", "ports", "settings", "expected"),
    [
        # 1. no subnet with DHCP, of any IP version
        ((), (), DEFAULT, Serving.NO_DHCP_SUBNET),
        ((without_dhcp(V4),), (), FORCE, Serving.NO_DHCP_SUBNET),
        ((without_dhcp(V4), without_dhcp(V6)), (), DEFAULT, Serving.NO_DHCP_SUBNET),
        ((without_dhcp(METADATA),), (), NETWORK, Serving.NO_DHCP_SUBNET),
        # 2. force_metadata
        ((V4,), (ON_GATEWAY,), FORCE, Serving.FORCED),
        ((V4,), (), FORCE, Serving.FORCED),
        ((METADATA,), (), replace(FORCE, enable_metadata_network=True), Serving.FORCED),
        # 3. not enable_isolated_metadata
        ((V4,), (), OFF, Serving.NOT_WANTED),
        ((METADATA,), (), replace(OFF, enable_metadata_network=True), Serving.NOT_WANTED),
        # 4. enable_metadata_network
        ((METADATA,), (ON_METADATA,), NETWORK, Serving.METADATA_NETWORK),
        ((METADATA,), (ON_METADATA,), DEFAULT, Serving.ROUTED),
        ((METADATA,), (), NETWORK, Serving.METADATA_NETWORK),
        ((V4, METADATA), (ON_GATEWAY,), NETWORK, Serving.METADATA_NETWORK),
        ((V4, without_dhcp(METADATA)), (ON_GATEWAY,), NETWORK, Serving.METADATA_NETWORK),
        ((OUTSIDE,), (), NETWORK, Serving.ISOLATED),
        ((V4,), (ON_GATEWAY,), NETWORK, Serving.ROUTED),
        # 5. a subnet with DHCP that no router port on its gateway serves
        ((V4,), (), DEFAULT, Serving.ISOLATED),
        ((V6,), (), DEFAULT, Serving.ISOLATED),
        ((NO_GATEWAY,), (), DEFAULT, Serving.ISOLATED),
        ((NO_GATEWAY,), (ON_GATEWAY,), DEFAULT, Serving.ISOLATED),
        ((V4,), (ON_GATEWAY,), DEFAULT, Serving.ROUTED),
        ((V4,), (ELSEWHERE,), DEFAULT, Serving.ISOLATED),
        ((V4,), (ELSEWHERE, ON_GATEWAY), DEFAULT, Serving.ROUTED),
        ((V4,), (VM_ON_GATEWAY,), DEFAULT, Serving.ISOLATED),
        ((V4, OTHER), (ON_GATEWAY,), DEFAULT, Serving.ISOLATED),
        ((V4, OTHER), (ON_BOTH,), DEFAULT, Serving.ROUTED),
        ((V4, V6), (ON_GATEWAY,), DEFAULT, Serving.ISOLATED),
        ((V4, V6), (ON_GATEWAY, ON_V6), DEFAULT, Serving.ROUTED),
        ((V4, without_dhcp(OTHER)), (ON_GATEWAY,), DEFAULT, Serving.ROUTED),
        ((without_dhcp(V4), OTHER), (ON_GATEWAY,), DEFAULT, Serving.ISOLATED),
    ],
)
def test_serving(
    subnets: tuple[Subnet, ...],
    ports: tuple[Port, ...],
    settings: DhcpSettings,
    expected: Serving,
):
    assert serving(of(subnets, *ports), settings) == expected


@pytest.mark.parametrize("why", Serving)
def test_these_networks_have_a_listener(why: Serving):
    expected = {Serving.FORCED, Serving.METADATA_NETWORK, Serving.ISOLATED}
    assert why.serves == (why in expected)


@pytest.mark.parametrize("owner", sorted(ROUTER_INTERFACE_OWNERS))
def test_every_kind_of_router_interface_routes(owner: str):
    assert of((V4,), replace(ON_GATEWAY, device_owner=owner)).routed == {V4.id}


def test_the_same_address_on_another_subnet_does_not_route():
    twin = subnet(4, NET, "10.1.0.0/24", "10.1.0.1")
    assert routed_subnets((V4, twin), (ON_GATEWAY,)) == {V4.id}


@pytest.mark.parametrize(
    ("subnets", "ports", "settings", "serves"),
    [
        ((V4,), (), DEFAULT, ("network", NET.id)),
        ((METADATA,), (ON_METADATA,), DEFAULT, ("network", NET.id)),
        ((METADATA,), (), NETWORK, ("network", NET.id)),
        ((V4,), (ON_GATEWAY,), NETWORK, ("network", NET.id)),
        ((METADATA,), (ON_METADATA,), NETWORK, ("router", ON_METADATA.device_id)),
        ((V4, METADATA), (ON_GATEWAY,), NETWORK, ("router", ON_GATEWAY.device_id)),
        # several: the first router port by id
        ((V4, METADATA), (ON_METADATA, ELSEWHERE), NETWORK, ("router", ELSEWHERE.device_id)),
    ],
)
def test_the_listener_serves(
    subnets: tuple[Subnet, ...],
    ports: tuple[Port, ...],
    settings: DhcpSettings,
    serves: tuple[str, str],
):
    found = listener(of(subnets, *ports), settings)
    assert found.key == f"qdhcp-{NET.id}/169.254.169.254:80"
    assert (found.kind, found.id) == serves


@pytest.mark.parametrize(
    ("subnet_", "ports", "settings", "expected"),
    [
        (V4, (ON_GATEWAY,), FORCE, "10.1.0.2"),
        (V4, (), FORCE, "10.1.0.2"),
        (V4, (), DEFAULT, "10.1.0.2"),
        (V4, (), OFF, None),
        (V4, (ON_GATEWAY,), DEFAULT, "10.1.0.1"),
        (V4, (ON_GATEWAY,), OFF, "10.1.0.1"),
        (NO_GATEWAY, (), DEFAULT, "10.1.0.2"),
        (OUTSIDE, (), DEFAULT, None),  # the DHCP port has no address there
        (OUTSIDE, (), FORCE, None),
    ],
)
def test_the_next_hop_that_dhcp_announces(
    subnet_: Subnet, ports: tuple[Port, ...], settings: DhcpSettings, expected: str | None
):
    assert next_hop(of((subnet_,), *ports), subnet_, settings) == expected
