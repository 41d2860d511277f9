"""The arguments and files of a network's dnsmasq."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a9fe.model.resources import DhcpOption, HostRoute, Network, Port, Subnet
from a9fe.plan.dhcp import dnsmasq as planned
from a9fe.plan.dhcp.network import DhcpNetwork
from a9fe.plan.host import Dnsmasq
from a9fe.plan.settings import DhcpSettings
from tests.kit.fake_model import dhcp_port, interface, network, port, router, subnet

NET = network(1, mtu=1450)
FIRST = subnet(1, NET, "10.1.0.0/24", "10.1.0.1")
SECOND = subnet(2, NET, "10.2.0.0/28", None)
NO_DHCP = subnet(3, NET, "10.3.0.0/24", None, enable_dhcp=False)
V6 = subnet(4, NET, "fd00::/64", None, ip_version=6, ipv6_address_mode="slaac")
OWN = dhcp_port(1, NET, (FIRST, "10.1.0.2"), (SECOND, "10.2.0.2"))
SETTINGS = DhcpSettings(dhcp_confs="/var/lib/a9fe/dhcp")


def of(*ports: Port, net: Network = NET) -> DhcpNetwork:
    subnets: tuple[Subnet, ...] = (FIRST, SECOND, NO_DHCP, V6)
    return DhcpNetwork(network=net, subnets=subnets, ports=(OWN, *ports), port=OWN)


def dnsmasq(network: DhcpNetwork, settings: DhcpSettings) -> Dnsmasq:
    found = planned.dnsmasq(network, settings)
    assert found is not None
    return found


def arguments(settings: DhcpSettings = SETTINGS, net: Network = NET) -> tuple[str, ...]:
    return dnsmasq(of(net=net), settings).arguments


def test_each_subnet_with_dhcp_has_a_static_range():
    assert [a for a in arguments() if a.startswith("--dhcp-range")] == [
        f"--dhcp-range=set:subnet-{FIRST.id},10.1.0.0,static,255.255.255.0,86400s",
        f"--dhcp-range=set:subnet-{SECOND.id},10.2.0.0,static,255.255.255.240,86400s",
    ]


def test_infinite_leases():
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


def test_dnsmasq_serves_its_own_device_only_and_ignores_the_hosts_files():
    found = set(arguments())
    assert {"--bind-dynamic", f"--interface=ns-{OWN.id[:11]}", "--except-interface=lo"} <= found
    assert {"--conf-file=/dev/null", "--no-hosts", "--no-resolv"} <= found
    assert not any(a.startswith("--server") for a in found)


def test_dns_is_forwarded_only_to_configured_servers():
    settings = replace(SETTINGS, dnsmasq_dns_servers=("9.9.9.9", "1.1.1.1"))
    found = [a for a in arguments(settings) if a.startswith("--server")]
    assert found == ["--server=9.9.9.9", "--server=1.1.1.1"]


def test_files_are_in_the_networks_own_directory():
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


def test_extra_options_tag_the_lease_and_a_client_id_is_ignored():
    extra = (
        DhcpOption(opt_name="client-id", opt_value="01:02:03"),
        DhcpOption(opt_name="ntp-server", opt_value="10.1.0.4"),
    )
    vm = port(2, NET, (FIRST, "10.1.0.5"), extra_dhcp_opts=extra)
    found = dnsmasq(of(vm), SETTINGS)
    assert found.hosts.splitlines()[-1] == (
        f"{vm.mac_address},host-10-1-0-5.openstacklocal,10.1.0.5,set:port-{vm.id}"
    )
    assert f"tag:port-{vm.id},option:ntp-server,10.1.0.4" in found.options.splitlines()
    assert "--dhcp-ignore-clid" in found.arguments


TEXT = st.text(st.characters(codec="utf-8"), max_size=300) | st.text(
    '09afz.:/,-# "\\\\\\n\\t\\r\\0', max_size=40
)
ADDRESS = TEXT | st.sampled_from(["10.1.0.5", "10.1.0.0/24", "0.0.0.0/0", "10.1.0.9,x", "fd00::1"])
LINE = {  # an independent reading of both files: a regular expression for each form of line
    "hosts": r"([0-9a-f]{2}:){5}[0-9a-f]{2},host-[0-9-]+\.openstacklocal,[0-9.]+"
    r"(,set:port-[0-9a-f-]{36})?",
    "names": r"[0-9.]+ host-[0-9-]+\.openstacklocal host-[0-9-]+",
    "subnet": r"tag:subnet-[0-9a-f-]{36},(option:[a-z-]+|249)(,[0-9.]+(/[0-9]+)?)*",
    "port": r"tag:port-[0-9a-f-]{36},(option:[A-Za-z0-9+-]+|[0-9]+),([^\n\"\\\\#`]*)",
}


@given(st.data())
def test_no_text_of_the_api_makes_another_field_or_line(data: st.DataObject):
    """Each file has one line for each entry, with exactly its fields."""
    draw = data.draw
    option = st.builds(DhcpOption, opt_name=TEXT, opt_value=TEXT)
    good = st.builds(DhcpOption, opt_name=st.sampled_from(["67", "client-id"]), opt_value=TEXT)
    route = st.builds(HostRoute, destination=ADDRESS, nexthop=ADDRESS)
    texts = {name: draw(TEXT) for name in ("name", "dns_name", "description", "device_id")}
    vm = port(
        2,
        NET,
        (FIRST, draw(ADDRESS)),
        (FIRST, "10.1.0.7"),
        mac_address=draw(TEXT | st.just("fa:16:3e:00:00:09")),
        extra_dhcp_opts=tuple(draw(st.lists(option | good, max_size=4))),
        **texts,
    )
    changed = replace(
        FIRST,
        gateway_ip=draw(st.none() | ADDRESS),
        dns_nameservers=tuple(draw(st.lists(ADDRESS, max_size=4))),
        host_routes=tuple(draw(st.lists(route, max_size=40))),
    )
    whole = DhcpNetwork(network=NET, subnets=(changed, SECOND), ports=(OWN, vm), port=OWN)
    found = dnsmasq(whole, SETTINGS)
    lines = {"hosts": found.hosts, "names": found.names, "options": found.options}
    for text in lines.values():
        assert text.isascii()
        assert all(len(line) <= 1000 and line.isprintable() for line in text.split("\n"))
    assert all(re.fullmatch(LINE["hosts"], x) for x in found.hosts.splitlines())
    assert all(re.fullmatch(LINE["names"], x) for x in found.names.splitlines())
    subnets = [x for x in found.options.splitlines() if x.startswith("tag:subnet-")]
    assert all(re.fullmatch(LINE["subnet"], x) for x in subnets)
    others = [x for x in found.options.splitlines() if x not in subnets]
    said = [re.fullmatch(LINE["port"], x) for x in others]
    assert all(x.startswith(f"tag:port-{vm.id},") for x in others)
    given_values = {o.opt_value for o in vm.extra_dhcp_opts}
    assert all(match is not None and match.group(2) in given_values for match in said)
    assert len(found.hosts.splitlines()) <= 4
    assert len(others) <= len(vm.extra_dhcp_opts)


def test_values_that_cannot_be_written_safely_are_left_out_with_a_reason():
    bad = DhcpOption(opt_name="67", opt_value="x\ntag:subnet-1,3,10.0.0.9")
    vm = port(2, NET, (FIRST, "10.1.0.5"), extra_dhcp_opts=(bad,))
    found = dnsmasq(of(vm), SETTINGS)
    assert "10.0.0.9" not in found.options
    assert len(found.left_out) == 1
    assert vm.id in found.left_out[0]


def test_too_many_routes_do_not_displace_the_metadata_route():
    many = tuple(HostRoute(destination=f"10.{n}.0.0/16", nexthop="10.1.0.9") for n in range(60))
    subnet_ = replace(FIRST, host_routes=many)
    whole = DhcpNetwork(network=NET, subnets=(subnet_,), ports=(OWN,), port=OWN)
    found = dnsmasq(whole, SETTINGS)
    told = next(x for x in found.options.splitlines() if "classless" in x)
    assert found.left_out == (
        f"subnet {FIRST.id}: the last 34 of 60 host routes, because option 121 has room for"
        " 200 bytes in every answer",
    )
    assert "169.254.169.254/32,10.1.0.2,0.0.0.0/0,10.1.0.1" in told
    assert told.count("/16") == 26


def test_long_routes_fit_into_a_line_that_dnsmasq_reads():
    many = tuple(
        HostRoute(destination=f"{n}.0.0.0/8", nexthop=f"10.100.100.{n}") for n in range(100, 140)
    )
    subnet_ = replace(FIRST, host_routes=many)
    whole = DhcpNetwork(network=NET, subnets=(subnet_,), ports=(OWN,), port=OWN)
    told = [x for x in dnsmasq(whole, SETTINGS).options.splitlines() if "169.254" in x]
    assert len(told) == 2
    assert max(map(len, told)) <= 1000


def test_routers_that_a_metadata_network_does_not_serve_are_named():
    inside = subnet(5, NET, "169.254.169.0/24", None)
    first, second = (
        interface(number, router(number), NET, (inside, f"169.254.169.{number}"))
        for number in (6, 7)
    )
    whole = DhcpNetwork(network=NET, subnets=(inside,), ports=(second, OWN, first), port=OWN)
    assert dnsmasq(whole, SETTINGS).left_out == ()
    on = replace(SETTINGS, enable_metadata_network=True)
    assert dnsmasq(whole, on).left_out == (
        f"router {second.device_id}: the metadata network serves the router of its first"
        f" router port only, {first.device_id}",
    )


def test_no_domain():
    found = dnsmasq(of(), replace(SETTINGS, dns_domain=""))
    assert not any(a.startswith(("--domain", "--local")) for a in found.arguments)
    assert found.names.splitlines()[0] == "10.1.0.2 host-10-1-0-2"


@pytest.mark.parametrize("ports", [0, 1000])
def test_a_new_port_changes_files_and_not_arguments(ports: int):
    others = [port(n + 10, NET, (FIRST, f"10.1.{n // 250}.{n % 250}")) for n in range(ports)]
    before, after = (
        dnsmasq(of(*others), SETTINGS),
        dnsmasq(of(*others, port(2, NET, (FIRST, "10.1.0.5"))), SETTINGS),
    )
    assert before.arguments == after.arguments
    assert before.hosts != after.hosts
