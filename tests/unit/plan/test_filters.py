"""The elements of taps: by part and whole, and their fingerprint."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a9fe.model.resources import AddressPair, Port
from a9fe.plan import names
from a9fe.plan.filters import fingerprint, port_security
from a9fe.plan.host import TapElements
from tests.kit.fake_model import HOST, dhcp_port, network, port, subnet

NET = network(1)
SUBNET = subnet(10, NET, "10.1.0.0/24", "10.1.0.1")
DHCP = dhcp_port(11, NET, (SUBNET, "10.1.0.2"))
GUARDED = port(12, NET, (SUBNET, "10.1.0.5"))
OPEN = replace(port(13, NET, (SUBNET, "10.1.0.6")), port_security_enabled=False)
PAIRED = replace(
    port(14, NET, (SUBNET, "10.1.0.7")),
    allowed_address_pairs=(AddressPair(ip_address="10.1.0.0/25"),),
)
OTHER_NET = network(2)
OTHER = port(15, OTHER_NET)

ELEMENTS = st.frozensets(
    st.tuples(st.sampled_from(["taps", "macs"]), st.sampled_from(["", "1", "2"]))
)
TAPS = st.dictionaries(st.sampled_from(["tap1", "tap2", "tap3"]), ELEMENTS)
Taps = dict[str, TapElements]


@given(old=TAPS, new=TAPS)
def test_the_marker_after_changes_is_the_marker_of_the_result(old: Taps, new: Taps) -> None:
    before = fingerprint.security(old)
    changes = port_security.changes(new, old)
    gone = {device: old[device] for device in changes if device in old}
    added = {device: found for device, found in changes.items() if found is not None}
    marker = fingerprint.changed(before.marker, gone, added)
    assert marker == fingerprint.security(new).marker
    assert (marker == before.marker) == (old == new)


@given(taps=TAPS, gone=st.sets(st.sampled_from(["tap1", "tap9"])))
def test_a_filter_without_taps_has_the_marker_of_the_others(taps: Taps, gone: set[str]) -> None:
    left = {device: found for device, found in taps.items() if device not in gone}
    found = port_security.without(fingerprint.security(taps), gone)
    assert (found, found.taps) == (fingerprint.security(left), left)


def test_elements_of_two_taps_are_not_the_elements_of_one() -> None:
    """No concatenation of a device, sets and keys is another's."""
    one = {"tap1": frozenset({("macs", "1"), ("macs", "2")})}
    others: list[Taps] = [
        {"tap1": frozenset({("macs", "1")}), "tap2": frozenset({("macs", "2")})},
        {"tap1": frozenset({("macs", "1\nmacs 2")})},
        {"tap1\nmacs 1": frozenset({("macs", "2")})},
    ]
    markers = {fingerprint.security(taps).marker for taps in [one, *others]}
    assert len(markers) == 4


def test_the_union_of_networks_filters_has_the_taps_of_all() -> None:
    first = port_security.of_network([DHCP, GUARDED, OPEN, PAIRED], [SUBNET], HOST)
    second = port_security.of_network([OTHER], [], HOST)
    whole = fingerprint.union([first, second])
    assert whole == fingerprint.security(whole.taps)
    assert whole.taps == {**first.taps, **second.taps}
    assert whole.taps.keys() == {names.outer_device(p.id) for p in (GUARDED, OPEN, PAIRED, OTHER)}


CLAIMS = {
    ("reserved4", "10.1.0.1"),
    ("reserved4", "10.1.0.2"),
    ("reserved_macs", DHCP.mac_address),
}


@pytest.mark.parametrize(("one", "reserved"), [(GUARDED, set()), (OPEN, CLAIMS), (PAIRED, CLAIMS)])
def test_gateways_and_our_ports_are_reserved_for_taps_that_could_claim_them(
    one: Port, reserved: set[tuple[str, str]]
) -> None:
    found = port_security.of_port(one, port_security.reservations([DHCP, one], [SUBNET]))
    assert CLAIMS & found == reserved
