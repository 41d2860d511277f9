"""DHCPv6 in the arguments and files of a network's dnsmasq."""

from dataclasses import replace

import pytest

from a9fe.model.resources import DhcpOption, Port, Subnet
from a9fe.plan.dhcp.dnsmasq import dnsmasq
from a9fe.plan.dhcp.network import DhcpNetwork
from a9fe.plan.host import Dnsmasq
from a9fe.plan.settings import DhcpSettings
from tests.kit.fake_model import dhcp_port, network, port, subnet

NET = network(1)
V4 = subnet(1, NET, "10.1.0.0/24", "10.1.0.1")
SIX = subnet(6, NET, "fd00:6::/64", "fd00:6::1", ip_version=6)
STATEFUL = replace(SIX, ipv6_ra_mode="dhcpv6-stateful", ipv6_address_mode="dhcpv6-stateful")
STATELESS = replace(SIX, ipv6_ra_mode="dhcpv6-stateless", ipv6_address_mode="dhcpv6-stateless")
SLAAC = replace(SIX, ipv6_ra_mode="slaac", ipv6_address_mode="slaac")
OWN = dhcp_port(1, NET, (SIX, "fd00:6::2"))
VM = port(2, NET, (SIX, "fd00:6::5"))
SETTINGS = DhcpSettings(dhcp_confs="/d")
TAG = f"tag:subnet-{SIX.id}"


def of(*subnets: Subnet, vm: Port = VM, settings: DhcpSettings = SETTINGS) -> Dnsmasq | None:
    return dnsmasq(DhcpNetwork(network=NET, subnets=subnets, ports=(OWN, vm), port=OWN), settings)


RANGE = f"--dhcp-range=set:subnet-{SIX.id},fd00:6::,static,64,86400s"
LEASE = f"{VM.mac_address},host-fd00-6--5.openstacklocal,[fd00:6::5]"


@pytest.mark.parametrize(
    ("six", "leases"),
    [(STATEFUL, True), (SIX, True), (STATELESS, False)],
    ids=["stateful", "no modes", "stateless"],
)
def test_a_subnet_with_dhcpv6_has_a_static_range(six: Subnet, *, leases: bool):
    found = of(six)
    assert found is not None
    assert RANGE in found.arguments
    assert not any("enable-ra" in argument for argument in found.arguments)
    assert (LEASE in found.hosts.splitlines()) == leases
    assert ("fd00:6::5 host-fd00-6--5.openstacklocal host-fd00-6--5" in found.names) == leases
    assert f"{TAG},option6:domain-search,openstacklocal" in found.options


@pytest.mark.parametrize(
    "six",
    [
        SLAAC,
        replace(SIX, ipv6_ra_mode="slaac"),
        replace(STATEFUL, enable_dhcp=False),
        replace(STATEFUL, cidr="fd00:6::/56"),
    ],
)
def test_other_subnets_have_none(six: Subnet):
    assert of(six) is None
    beside = of(V4, six)
    assert beside is not None
    assert not any("fd00" in argument for argument in beside.arguments)


def test_without_ipv6_on_the_host_there_is_none():
    assert of(STATEFUL, settings=replace(SETTINGS, ipv6_on_host=False)) is None


@pytest.mark.parametrize(
    ("servers", "expected"),
    [
        ((), []),  # dnsmasq announces itself
        (("::",), [f"{TAG},option6:dns-server"]),
        (("fd00::53", "FD00:0::54"), [f"{TAG},option6:dns-server,[fd00::53],[fd00::54]"]),
    ],
)
def test_dns_servers(servers: tuple[str, ...], expected: list[str]):
    found = of(replace(STATEFUL, dns_nameservers=servers))
    assert found is not None
    assert [line for line in found.options.splitlines() if "dns-server" in line] == expected


def test_extra_options_need_a_lease_and_a_known_name():
    vm = replace(
        VM,
        extra_dhcp_opts=(
            DhcpOption(opt_name="ntp-server", opt_value="[fd00:6::4]", ip_version=6),
            DhcpOption(opt_name="ntp-servers", opt_value="x", ip_version=6),
        ),
    )
    found = of(STATEFUL, vm=vm)
    assert found is not None
    assert f"{LEASE},set:port-{VM.id}" in found.hosts
    assert f"tag:port-{VM.id},option6:ntp-server,[fd00:6::4]" in found.options
    assert [reason for reason in found.left_out if "'ntp-servers', expected" in reason]
    stateless = of(STATELESS, vm=vm)
    assert stateless is not None
    assert "ntp-server," not in stateless.options
    assert any("no DHCPv6 lease" in reason for reason in stateless.left_out)
