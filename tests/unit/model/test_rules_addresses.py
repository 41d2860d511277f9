"""The rules over addresses, as tables and as properties."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a9fe.model.errors import Conflict, InvalidInput
from a9fe.model.resources import AllocationPool, Subnet
from a9fe.model.rules import addresses as rules
from a9fe.model.rules.free_ranges import free_ranges, lowest

unhurried = settings(max_examples=60)  # CPUs are shared


def pool(start: str, end: str) -> AllocationPool:
    return AllocationPool(start=start, end=end)


@pytest.mark.parametrize(
    ("text", "version", "canonical"),
    [
        ("10.1.0.0/24", 4, "10.1.0.0/24"),
        ("10.1.0.7/24", 4, "10.1.0.0/24"),
        ("fd00:1:0::/64", 6, "fd00:1::/64"),
        ("192.0.2.8/31", 4, "192.0.2.8/31"),
    ],
)
def test_a_cidr_gets_its_canonical_form(text: str, version: int, canonical: str):
    assert rules.subnet_cidr("cidr", text, version) == canonical


@pytest.mark.parametrize(
    ("value", "version"),
    [
        ("10.1.0/24", 4),
        ("10.1.0.0", 4),
        ("10.1.0.0/33", 4),
        ("10.1.0.0/24", 6),
        ("fd00::/64", 4),
        ("", 4),
        (None, 4),
        (167772160, 4),
        (["10.0.0.0/8"], 4),
        ("0.0.0.0/0", 4),
        ("224.0.0.0/24", 4),
        ("127.0.0.0/8", 4),
        ("fe80::%eth0/64", 6),
    ],
)
def test_an_invalid_cidr_is_refused_with_the_field_name(value: object, version: int):
    with pytest.raises(InvalidInput) as error:
        rules.subnet_cidr("cidr", value, version)
    assert str(error.value).startswith(f"cidr: {value!r} is not valid, expected an IPv{version}")


@pytest.mark.parametrize(
    ("block", "gateway", "pools"),
    [
        ("10.1.0.0/24", "10.1.0.1", [("10.1.0.2", "10.1.0.254")]),
        ("10.1.0.0/30", "10.1.0.1", [("10.1.0.2", "10.1.0.2")]),
        ("10.1.0.0/31", "10.1.0.0", [("10.1.0.1", "10.1.0.1")]),
        ("10.1.0.0/32", None, [("10.1.0.0", "10.1.0.0")]),
        ("fd00::/64", "fd00::1", [("fd00::2", "fd00::ffff:ffff:ffff:ffff")]),
    ],
)
def test_gateway_and_pools_have_defaults(block: str, gateway: str | None, pools: list):
    assert rules.default_gateway(block) == gateway
    assert rules.default_pools(block, gateway) == tuple(pool(*p) for p in pools)


def test_a_gateway_in_the_middle_splits_the_pool():
    assert rules.default_pools("10.1.0.0/29", "10.1.0.3") == (
        pool("10.1.0.1", "10.1.0.2"),
        pool("10.1.0.4", "10.1.0.6"),
    )


@pytest.mark.parametrize("gateway", ["10.1.1.1", "10.1.0.0", "10.1.0.255", "fd00::1"])
def test_a_gateway_outside_its_subnet_is_refused(gateway: str):
    with pytest.raises(InvalidInput, match=r"gateway_ip: .* from 10.1.0.1 to 10.1.0.254"):
        rules.check_gateway("10.1.0.0/24", gateway)


@pytest.mark.parametrize(
    ("block", "gateway"),
    [("10.1.0.0/24", None), ("10.1.0.0/24", "10.1.0.254"), ("fd00::/64", "fe80::1")],
)
def test_a_gateway_inside_its_subnet_is_accepted(block: str, gateway: str | None):
    rules.check_gateway(block, gateway)


@pytest.mark.parametrize(
    ("pools", "gateway", "error"),
    [
        ([("10.1.0.5", "10.1.0.9")], "10.1.0.1", None),
        ([("10.1.0.5", "10.1.0.9"), ("10.1.0.10", "10.1.0.12")], None, None),
        ([("10.1.0.5", "10.1.0.9"), ("10.1.0.9", "10.1.0.12")], None, Conflict),
        ([("10.1.0.1", "10.1.0.9")], "10.1.0.1", Conflict),
        ([("10.1.0.9", "10.1.0.5")], None, InvalidInput),
        ([("10.1.0.0", "10.1.0.5")], None, InvalidInput),
        ([("10.1.0.250", "10.1.0.255")], None, InvalidInput),
        ([("10.1.0.250", "fd00::1")], None, InvalidInput),
        ([("10.2.0.2", "10.2.0.3")], None, InvalidInput),
    ],
)
def test_pools(pools: list, gateway: str | None, error: type[Exception] | None):
    given_pools = tuple(pool(*p) for p in pools)
    if error is None:
        rules.check_pools("10.1.0.0/24", given_pools, gateway)
        return
    with pytest.raises(error):
        rules.check_pools("10.1.0.0/24", given_pools, gateway)


def test_subnets_of_one_network_do_not_overlap():
    other = Subnet(id="s1", network_id="n", cidr="10.1.0.0/24")
    rules.check_overlap("10.1.1.0/24", "n", [other])
    rules.check_overlap("fd00::/64", "n", [other])
    for block in ("10.1.0.0/24", "10.1.0.128/25", "10.0.0.0/8"):
        with pytest.raises(InvalidInput, match=r"overlap 10.1.0.0/24 of subnet s1"):
            rules.check_overlap(block, "n", [other])


@pytest.mark.parametrize(
    ("text", "canonical"),
    [("FA:16:3E:00:00:0a", "fa:16:3e:00:00:0a"), ("fa-16-3e-00-00-0a", "fa:16:3e:00:00:0a")],
)
def test_a_mac_gets_its_canonical_form(text: str, canonical: str):
    assert rules.mac("mac_address", text) == canonical


@pytest.mark.parametrize(
    "value", ["", "fa:16:3e:00:00", "01:00:5e:00:00:01", "00:00:00:00:00:00", None, 5, "g" * 17]
)
def test_a_multicast_or_malformed_mac_is_refused(value: object):
    with pytest.raises(InvalidInput, match="mac_address"):
        rules.mac("mac_address", value)


@unhurried
@given(st.binary(min_size=6, max_size=6))
def test_a_random_mac_keeps_its_base(random: bytes):
    assert rules.random_mac("fa:16:3e:00:00:00", random).startswith("fa:16:3e:")
    assert rules.random_mac("fa:16:3e:4f:00:00", random).startswith("fa:16:3e:4f:")
    assert rules.mac("mac", rules.random_mac("fa:16:3e:00:00:00", random))


def test_eui64_of_a_known_mac():
    assert rules.eui64("fd00:1::/64", "fa:16:3e:12:34:56") == "fd00:1::f816:3eff:fe12:3456"


@st.composite
def blocks(draw: st.DrawFn) -> str:
    """Small IPv4 and IPv6 subnets."""
    if draw(st.booleans()):
        prefix = draw(st.integers(27, 31))
        start = draw(st.integers(0x0A000000, 0x0AFFFFFF))
        return str(ip_network((start, prefix), strict=False))
    prefix = draw(st.integers(123, 127))
    start = (0xFD << 120) | draw(st.integers(0, 2**64))
    return str(ip_network((start, prefix), strict=False))


@unhurried
@given(blocks())
def test_allocation_gives_each_address_of_the_pools_once_and_no_other(block: str):
    gateway = rules.default_gateway(block)
    pools = rules.default_pools(block, gateway)
    first, last = rules.usable(block)
    expected = {str(type(first)(n)) for n in range(int(first), int(last) + 1)} - {gateway}
    taken: set[str] = set()
    while (address := lowest(free_ranges(pools, taken))) is not None:
        assert address not in taken
        assert rules.in_pools(address, pools)
        taken.add(address)
    assert taken == expected


@unhurried
@given(blocks(), st.randoms(use_true_random=False))
def test_a_freed_address_is_found_again(block: str, random):
    pools = rules.default_pools(block, rules.default_gateway(block))
    taken: set[str] = set()
    while (address := lowest(free_ranges(pools, taken))) is not None:
        taken.add(address)
    freed = random.choice(sorted(taken))
    assert lowest(free_ranges(pools, taken - {freed})) == freed


@unhurried
@given(blocks())
def test_default_pools_pass_their_own_check(block: str):
    gateway = rules.default_gateway(block)
    rules.check_gateway(block, gateway)
    rules.check_pools(block, rules.default_pools(block, gateway), gateway)


@unhurried
@given(blocks(), blocks())
def test_overlap_is_that_of_the_addresses(one: str, other: str):
    first, second = ip_network(one), ip_network(other)
    share = first.version == second.version and bool(
        {int(a) for a in first} & {int(a) for a in second}
    )
    found = rules.overlapping(one, [Subnet(id="s", network_id="n", cidr=other)])
    assert (found is not None) == share


@unhurried
@given(blocks(), st.integers(-3, 300))
def test_contains_is_between_first_and_last(block: str, offset: int):
    first, last = rules.usable(block)
    number = int(first) + offset
    inside = number <= int(last) and offset >= 0
    assert rules.contains(block, str(ip_address(str(type(first)(number))))) == inside
