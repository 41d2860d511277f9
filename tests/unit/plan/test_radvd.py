"""Router advertisements: Neutron's table of modes, as the lines of radvd.conf."""

from dataclasses import replace

import pytest

from a9fe.model.resources import Network, Subnet
from a9fe.plan.routers.radvd import Interface, radvd
from a9fe.plan.settings import L3Settings
from tests.kit.fake_model import interface, network, router, subnet

NET = network(1, mtu=1450)
ROUTER = router(1)
PORT = interface(3, ROUTER, NET)
SIX = subnet(6, NET, "fd00:6::/64", "fd00:6::1", ip_version=6)
SETTINGS = L3Settings(ra_confs="/ra")
PREFIX = "prefix fd00:6::/64 { AdvOnLink on; AdvAutonomous"


def config(
    *subnets: Subnet, net: Network = NET, settings: L3Settings = SETTINGS
) -> list[str] | None:
    """The lines of the file without indent; None if there is no radvd."""
    found = radvd(ROUTER.id, [Interface(port=PORT, network=net, subnets=subnets)], settings)
    return found and [line.strip() for line in found.config.splitlines()]


def with_mode(mode: str | None, **fields: object) -> Subnet:
    return replace(SIX, ipv6_ra_mode=mode, **fields)  # type: ignore[arg-type]


MODES = {
    "slaac": ([], "on"),
    "dhcpv6-stateless": (["AdvOtherConfigFlag on;"], "on"),
    "dhcpv6-stateful": (["AdvManagedFlag on;"], "off"),
}


@pytest.mark.parametrize("mode", MODES)
def test_the_mode_decides_the_flags(mode: str):
    flags, autonomous = MODES[mode]
    lines = config(with_mode(mode))
    assert lines is not None
    assert [line for line in lines if "Flag" in line] == flags
    assert f"{PREFIX} {autonomous}; }};" in lines
    assert "route fe80::a9fe:a9fe/128 {};" in lines
    assert "AdvLinkMTU 1450;" in lines
    assert "AdvRASrcAddress { fe80::f816:3eff:fe00:3; };" in lines


def test_a_subnet_without_a_mode_is_not_advertised():
    assert config(with_mode(None)) is None
    other = subnet(7, NET, "fd00:7::/64", "fd00:7::1", ip_version=6, ipv6_ra_mode="slaac")
    lines = config(with_mode(None), other)
    assert lines is not None
    assert [line.split()[1] for line in lines if line.startswith("prefix")] == ["fd00:7::/64"]


@pytest.mark.parametrize(
    ("mode", "servers", "expected"),
    [
        ("slaac", ("fd00::53", "FD00:0::54"), ["RDNSS fd00::53 fd00::54 {};"]),
        ("dhcpv6-stateless", ("fd00::53",), ["RDNSS fd00::53 {};"]),
        ("dhcpv6-stateful", ("fd00::53",), []),
        ("slaac", ("::",), []),  # Neutron: announce none
        ("slaac", tuple(f"fd00::{n}" for n in range(1, 6)), ["RDNSS fd00::1 fd00::2 fd00::3 {};"]),
    ],
)
def test_dns_servers(mode: str, servers: tuple[str, ...], expected: list[str]):
    lines = config(with_mode(mode, dns_nameservers=servers))
    assert lines is not None
    assert [line for line in lines if line.startswith("RDNSS")] == expected


def test_options_and_limits():
    settings = replace(
        SETTINGS, min_rtr_adv_interval=3, max_rtr_adv_interval=4, enable_metadata_proxy=False
    )
    lines = config(with_mode("slaac"), net=replace(NET, mtu=1200), settings=settings)
    assert lines is not None
    assert {"MinRtrAdvInterval 3;", "MaxRtrAdvInterval 4;"} <= set(lines)
    assert not any(line.startswith(("route", "AdvLinkMTU")) for line in lines)
