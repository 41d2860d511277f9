"""Uplinks: which bridges have one, and the operations that connect and remove them."""

from collections.abc import Mapping

import pytest

from a9fe.model.resources import Network
from a9fe.plan import names
from a9fe.plan.dhcp import namespaces as dhcp
from a9fe.plan.diff import operations
from a9fe.plan.host import HostPlan, Uplink
from a9fe.plan.operations import is_spoilt, scope, uplink_scope
from a9fe.plan.routers import namespaces as l3
from a9fe.plan.settings import DhcpSettings, L3Settings
from a9fe.plan.uplinks import mappings, uplinks
from tests.kit.fake_host import FakeHost
from tests.kit.fake_model import HOST, FakeModel, network

FLAT = network(1, network_type="flat", physical_network="physnet1")
OTHER = network(2, network_type="flat", physical_network="physnet2")
BRIDGE, OTHER_BRIDGE = names.bridge(FLAT.id), names.bridge(OTHER.id)


def plans(mapped: Mapping[str, str], *networks: Network) -> list[HostPlan]:
    """The plans of both agents."""
    model = FakeModel(networks)
    return [
        l3.plan(model, HOST, L3Settings(bridge_mappings=mapped)),
        dhcp.plan(model, HOST, DhcpSettings(dhcp_confs="/d", bridge_mappings=mapped)),
    ]


def settle(host: FakeHost, desired: HostPlan) -> list[str]:
    done = operations(desired, host.observe("dhcp"))
    for operation in done:
        host.apply(operation)
    assert host.needless == []
    assert operations(desired, host.observe("dhcp")) == ()
    return [type(operation).__name__ for operation in done]


@pytest.mark.parametrize(
    ("items", "found"),
    [
        ([], {}),
        (["physnet1:br-ex"], {"physnet1": "br-ex"}),
        (["physnet1:br-ex", " physnet2:eth1.7 "], {"physnet1": "br-ex", "physnet2": "eth1.7"}),
    ],
)
def test_mappings_have_neutrons_syntax(items: list[str], found: dict[str, str]):
    assert mappings(items) == found


@pytest.mark.parametrize(
    "items",
    [
        ["physnet1"],
        ["physnet1:"],
        [":eth1"],
        ["physnet1:eth1:eth2"],
        ["physnet1:a/b"],
        ["physnet1:a b"],
        ["physnet1:more-than-15-characters"],
        ["physnet1:eth1", "physnet1:eth2"],
        ["physnet1:eth1", "physnet2:eth1"],
    ],
)
def test_other_mappings_are_refused_with_the_item(items: list[str]):
    with pytest.raises(ValueError, match=items[-1]):
        mappings(items)


@pytest.mark.parametrize(
    ("of", "mapped", "device"),
    [
        (FLAT, {"physnet1": "eth1"}, "eth1"),
        (FLAT, {"physnet2": "eth1"}, None),
        (FLAT, {}, None),
        (network(1), {"physnet1": "eth1"}, None),
        (
            network(1, network_type="vlan", physical_network="physnet1", segmentation_id=7),
            {"physnet1": "eth1"},
            None,
        ),
    ],
)
def test_flat_networks_with_a_mapping_have_an_uplink_in_both_agents(
    of: Network, mapped: Mapping[str, str], device: str | None
):
    expected = {Uplink(bridge=BRIDGE, device=device)} if device else set()
    assert [plan.uplinks for plan in plans(mapped, of)] == [expected, expected]


def test_an_uplink_comes_after_its_bridge_and_goes_before_it():
    host = FakeHost()
    (_, desired) = plans({"physnet1": "eth1"}, FLAT)
    assert settle(host, desired) == ["SetPortSecurity", "SetBridge", "SetUplink"]
    assert settle(host, HostPlan()) == ["DeleteUplink", "DeleteBridge", "SetPortSecurity"]


def test_an_uplink_stays_while_another_device_keeps_the_bridge():
    host = FakeHost()
    (_, desired) = plans({"physnet1": "eth1"}, FLAT)
    settle(host, desired)
    host.plug("tap-of-a-vm", BRIDGE)
    assert settle(host, HostPlan()) == ["SetPortSecurity"]
    assert host.uplinks == {BRIDGE: "eth1"}


@pytest.mark.parametrize(
    ("mapped", "after"),
    [
        ({"physnet1": "eth2", "physnet2": "eth1"}, {BRIDGE: "eth2", OTHER_BRIDGE: "eth1"}),
        ({"physnet2": "eth1"}, {OTHER_BRIDGE: "eth1"}),
        ({}, {}),
    ],
)
def test_changed_mappings_free_devices_before_they_are_used_again(
    mapped: Mapping[str, str], after: dict[str, str]
):
    host = FakeHost()
    settle(host, plans({"physnet1": "eth1", "physnet2": "eth2"}, FLAT, OTHER)[1])
    settle(host, plans(mapped, FLAT, OTHER)[1])
    assert host.uplinks == after


def test_a_failed_uplink_stops_nothing_else_and_needs_bridge_and_filters():
    (_, desired) = plans({"physnet1": "eth1"}, FLAT)
    found = {type(o).__name__: o for o in operations(desired, FakeHost().observe("dhcp"))}
    uplink = found["SetUplink"]
    assert scope(uplink) == uplink_scope(BRIDGE)
    assert not is_spoilt(found["SetBridge"], {scope(uplink)})
    for needed in ("SetPortSecurity", "SetBridge"):
        assert is_spoilt(uplink, {scope(found[needed])})


def test_an_interface_that_left_our_bridge_is_released():
    lost = Uplink(bridge="", device="eth1")
    done = operations(HostPlan(), HostPlan(uplinks=frozenset({lost})))
    assert [type(o).__name__ for o in done] == ["DeleteUplink"]


def test_no_mapping_needs_no_network():
    assert uplinks(FakeModel([FLAT]), FLAT.id, {}) == frozenset()
