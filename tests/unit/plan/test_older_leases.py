"""What a DHCP namespace serves for leases whose next hop to metadata is not announced any more."""

from dataclasses import replace

import pytest

from a9fe.model.resources import Port, Resource, Subnet
from a9fe.plan.dhcp import namespaces as dhcp
from a9fe.plan.settings import DhcpSettings
from tests.kit.fake_model import (
    HOST,
    FakeModel,
    bound,
    dhcp_port,
    interface,
    network,
    port,
    router,
    subnet,
)

NET = network(1)
SUBNET = subnet(1, NET, "10.1.0.0/24", "10.1.0.1")
OTHER = subnet(2, NET, "10.2.0.0/24", "10.2.0.1")
OWN = dhcp_port(1, NET, (SUBNET, "10.1.0.2"))
OWN_OTHER = dhcp_port(1, NET, (OTHER, "10.2.0.2"))
VM = port(2, NET, (SUBNET, "10.1.0.5"))
LEG = interface(3, router(1), NET, (SUBNET, "10.1.0.1"))
ON_GATEWAY = port(4, NET, (SUBNET, "10.1.0.1"))
SUBNET_OFF = replace(SUBNET, enable_dhcp=False)
MOVED = replace(SUBNET, gateway_ip="10.1.0.254")

ON = DhcpSettings(dhcp_confs="/d")
OFF = replace(ON, enable_isolated_metadata=False)
TO_DHCP = {"10.1.0.2": {"10.1.0.5"}}
TO_ROUTER = {"10.1.0.1": {"10.1.0.5"}}
TO_FORMER = {"10.1.0.9": {"10.1.0.5"}}
OF_OTHER = {"10.2.0.1": {"10.1.0.5"}}  # of another subnet than the lease's


@pytest.mark.parametrize(
    ("subnets", "ports", "settings", "leases", "listens", "takes"),
    [
        ([SUBNET], [VM], ON, {}, True, ""),
        ([SUBNET], [VM, LEG], ON, {}, False, ""),
        # a router was added: the DHCP port keeps its listener
        ([SUBNET], [VM, LEG], ON, TO_DHCP, True, ""),
        ([SUBNET], [LEG], ON, TO_DHCP, False, ""),  # the VM's port is deleted
        ([SUBNET], [VM, LEG], ON, TO_ROUTER, False, ""),
        # force_metadata was switched off
        ([SUBNET], [VM, LEG], OFF, TO_DHCP, True, ""),
        # enable_isolated_metadata was switched off
        ([SUBNET], [VM], OFF, TO_DHCP, False, ""),
        ([SUBNET], [VM], OFF, TO_ROUTER, False, ""),
        # a router was removed: the DHCP port takes its address
        ([SUBNET], [VM], ON, TO_ROUTER, True, "10.1.0.1/32"),
        ([SUBNET], [], ON, TO_ROUTER, True, ""),
        ([SUBNET], [VM, ON_GATEWAY], ON, TO_ROUTER, True, ""),  # another port has it
        # the gateway was changed, without a router and with one
        ([MOVED], [VM], ON, TO_ROUTER, True, "10.1.0.1/32"),
        (
            [MOVED],
            [VM, interface(5, router(1), NET, (SUBNET, "10.1.0.254"))],
            ON,
            TO_ROUTER,
            True,
            "10.1.0.1/32",
        ),
        # the DHCP port had another address
        ([SUBNET], [VM], ON, TO_FORMER, True, "10.1.0.9/32"),
        ([SUBNET], [VM, LEG], ON, TO_FORMER, True, "10.1.0.9/32"),
        # DHCP was switched off on this subnet, and the network has another
        ([SUBNET_OFF, OTHER], [VM, OWN_OTHER], ON, TO_DHCP, True, "10.1.0.2/24"),
        # DHCP is off everywhere
        ([SUBNET_OFF], [VM], ON, TO_DHCP, False, ""),
        ([SUBNET_OFF], [VM], ON, TO_FORMER, False, ""),
        # the subnet is deleted, or is another now
        ([OTHER], [VM], ON, TO_ROUTER, True, ""),
        ([replace(SUBNET, cidr="10.7.0.0/24", gateway_ip=None)], [VM], ON, TO_ROUTER, True, ""),
        # a next hop of another subnet than the lease's
        ([SUBNET, OTHER], [VM, LEG], ON, OF_OTHER, True, ""),
    ],
)
def test_older_leases(
    subnets: list[Subnet],
    ports: list[Port],
    settings: DhcpSettings,
    leases: dict[str, set[str]],
    *,
    listens: bool,
    takes: str,
):
    given = {hop: frozenset(addresses) for hop, addresses in leases.items()}
    resources: list[Resource] = [NET, OWN, bound("dhcp", NET), *subnets, *ports]
    plans = dhcp.plan(FakeModel(resources), HOST, settings, lambda _: given).namespaces
    (plan,) = plans.values()
    assert bool(plan.listeners) == listens
    own = {"10.1.0.2/24"} if OWN_OTHER not in ports else {"10.2.0.2/24"}
    metadata = {"169.254.169.254/32"} if listens else set()
    assert {a.cidr for a in plan.addresses} - own == metadata | ({takes} if takes else set())
    assert takes.partition("/")[0] not in {route.via for route in plan.routes if route.via}


@pytest.mark.parametrize(
    ("subnets", "ports", "leases", "expected"),
    [
        ([SUBNET, OTHER], [], {}, {"10.2.0.0/24"}),  # the DHCP port has no address there yet
        ([SUBNET, replace(OTHER, enable_dhcp=False)], [], {}, {"10.2.0.0/24"}),
        ([SUBNET, replace(OTHER, enable_dhcp=False)], [LEG], {}, set()),  # not served here
        ([SUBNET_OFF, OTHER], [VM, OWN_OTHER], TO_DHCP, set()),  # it keeps its former address
        ([SUBNET_OFF, OTHER], [VM, OWN_OTHER], {}, {"10.1.0.0/24"}),
    ],
)
def test_subnets_without_an_address_of_ours_are_on_link_while_we_serve(
    subnets: list[Subnet], ports: list[Port], leases: dict[str, set[str]], expected: set[str]
):
    """Otherwise a VM with a static address gets no answer."""
    given = {hop: frozenset(addresses) for hop, addresses in leases.items()}
    resources: list[Resource] = [NET, OWN, bound("dhcp", NET), *subnets, *ports]
    plans = dhcp.plan(FakeModel(resources), HOST, ON, lambda _: given).namespaces
    (plan,) = plans.values()
    assert {route.destination for route in plan.routes if not route.via} == expected
