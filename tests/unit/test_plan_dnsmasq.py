"""The arguments and files of one network's dnsmasq."""

from dataclasses import replace

import pytest

from a9fe.model.resources import DhcpOption, Network, Port, Subnet
from a9fe.plan.dhcp_options import DhcpNetwork
from a9fe.plan.dnsmasq import dnsmasq
from a9fe.plan.settings import DhcpSettings
from tests.fakes_model import dhcp_port, network, port, subnet

NET = network(1, mtu=1450)
FIRST = subnet(1, NET, "10.1.0.0/24", "10.1.0.1")
SECOND = subnet(2, NET, "10.2.0.0/28", None)
NO_DHCP = subnet(3, NET, "10.3.0.0/24", None, enable_dhcp=False)
V6 = subnet(4, NET, "fd00::/64", None, ip_version=6)
OWN = dhcp_port(1, NET, (FIRST, "10.1.0.2"), (SECOND, "10.2.0.2"))
SETTINGS = DhcpSettings(dhcp_confs="/var/lib/a9fe/dhcp")


def of(*ports: Port, net: Network = NET) -> DhcpNetwork:
    subnets: tuple[Subnet, ...] = (FIRST, SECOND, NO_DHCP, V6)
    return DhcpNetwork(network=net, subnets=subnets, ports=(OWN, *ports), port=OWN)


def arguments(settings: DhcpSettings = SETTINGS, net: Network = NET) -> tuple[str, ...]:
    return dnsmasq(of(net=net), settings).arguments


def test_each_subnet_with_dhcp_has_a_static_range():
    assert [a for a in arguments() if a.startswith("--dhcp-range")] == [
        f"--dhcp-range=set:subnet-{FIRST.id},10.1.0.0,static,255.255.255.0,86400s",
        f"--dhcp-range=set:subnet-{SECOND.id},10.2.0.0,static,255.255.255.240,86400s",
    ]


def test_leases_for_ever():
    settings = replace(SETTINGS, dhcp_lease_duration=-1)
    ranges = [a for a in arguments(settings) if a.startswith("--dhcp-range")]
    assert all(a.endswith(",infinite") for a in ranges)
    assert ranges


@pytest.mark.parametrize(("most", "expected"), [(2**24, 256 + 16), (271, 271), (100, 100)])
def test_no_more_leases_than_addresses_or_the_limit(most: int, expected: int):
    settings = replace(SETTINGS, dnsmasq_lease_max=most)
    assert f"--dhcp-lease-max={expected}" in arguments(settings)


@pytest.mark.parametrize(
    ("net", "expected"),
    [(NET, ["--dhcp-option-force=option:mtu,1450"]), (replace(NET, mtu=0), [])],
)
def test_mtu(net: Network, expected: list[str]):
    assert [a for a in arguments(net=net) if "mtu" in a] == expected


def test_it_serves_its_own_device_only_and_reads_nothing_of_the_host():
    found = set(arguments())
    assert {"--bind-dynamic", f"--interface=ns-{OWN.id[:11]}", "--except-interface=lo"} <= found
    assert {"--conf-file=/dev/null", "--no-hosts", "--no-resolv"} <= found
    assert not any(a.startswith("--server") for a in found)


def test_dns_is_forwarded_only_where_an_operator_says():
    settings = replace(SETTINGS, dnsmasq_dns_servers=("9.9.9.9", "1.1.1.1"))
    found = [a for a in arguments(settings) if a.startswith("--server")]
    assert found == ["--server=9.9.9.9", "--server=1.1.1.1"]


def test_files_lie_in_the_networks_own_directory():
    found = dnsmasq(of(), SETTINGS)
    assert found.directory == f"/var/lib/a9fe/dhcp/{NET.id}"
    paths = [a.partition("=")[2] for a in found.arguments if f"={found.directory}/" in a]
    ends = {path.removeprefix(f"{found.directory}/") for path in paths}
    assert ends == {"pid", "host", "addn_hosts", "opts", "leases"}


def test_every_ipv4_address_on_a_subnet_with_dhcp_is_a_lease():
    vm = port(
        2,
        NET,
        (FIRST, "10.1.0.5"),
        (SECOND, "10.2.0.5"),
        (NO_DHCP, "10.3.0.5"),
        (V6, "fd00::5"),
        device_id="",
    )
    found = dnsmasq(of(vm), SETTINGS)
    assert found.hosts.splitlines() == [
        f"{OWN.mac_address},host-10-1-0-2.openstacklocal,10.1.0.2",
        f"{OWN.mac_address},host-10-2-0-2.openstacklocal,10.2.0.2",
        f"{vm.mac_address},host-10-1-0-5.openstacklocal,10.1.0.5",
        f"{vm.mac_address},host-10-2-0-5.openstacklocal,10.2.0.5",
    ]
    assert "10.1.0.5 host-10-1-0-5.openstacklocal host-10-1-0-5" in found.names.splitlines()


def test_extra_options_tag_the_lease_and_a_client_id_is_part_of_it():
    extra = (
        DhcpOption(opt_name="client-id", opt_value="01:02:03"),
        DhcpOption(opt_name="ntp-server", opt_value="10.1.0.4"),
    )
    vm = port(2, NET, (FIRST, "10.1.0.5"), extra_dhcp_opts=extra)
    found = dnsmasq(of(vm), SETTINGS)
    assert found.hosts.splitlines()[-1] == (
        f"{vm.mac_address},id:01:02:03,host-10-1-0-5.openstacklocal,10.1.0.5,set:port-{vm.id}"
    )
    assert f"tag:port-{vm.id},option:ntp-server,10.1.0.4" in found.options.splitlines()


def test_no_domain():
    found = dnsmasq(of(), replace(SETTINGS, dns_domain=""))
    assert not any(a.startswith(("--domain", "--local")) for a in found.arguments)
    assert found.names.splitlines()[0] == "10.1.0.2 host-10-1-0-2"


def test_a_new_port_changes_files_and_not_arguments():
    before, after = (
        dnsmasq(of(), SETTINGS),
        dnsmasq(of(port(2, NET, (FIRST, "10.1.0.5"))), SETTINGS),
    )
    assert before.arguments == after.arguments
    assert before.hosts != after.hosts
