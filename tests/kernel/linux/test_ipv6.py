"""IPv6 in our namespaces: the metadata address, and router advertisements."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from a9fe.host_agent.converge import Outcome, converge
from a9fe.linux import radvd
from a9fe.linux.host import Host
from a9fe.linux.processes import process
from a9fe.model.resources import Resource
from a9fe.plan import ipv6, sysctls
from a9fe.plan.dhcp import namespaces as dhcp
from a9fe.plan.diff import operations
from a9fe.plan.host import Address, HostPlan, Radvd
from a9fe.plan.operations import ReloadRadvd, StartRadvd
from a9fe.plan.routers import namespaces as l3
from a9fe.plan.settings import DhcpSettings, L3Settings
from a9fe.wire.message import Listener
from tests.kit import fake_model as fm
from tests.kit.conditions import eventually
from tests.kit.host_plans import BRIDGE, NETWORK, QDHCP, dhcp_plan
from tests.lab.handmade import sh
from tests.lab.places import MARK
from tests.lab.proxy import proxy_link

DEVICE = "ns-0000000d-11"
SCOPE = f"{QDHCP} fe80::a9fe:a9fe"
OTHER_MAC = "fa:16:3e:00:99:99"
GUEST, OTHER = "t-ipv6-guest", "t-ipv6-other"


@pytest.fixture
def host(confs: str, tmp_path: Path) -> Iterator[Host]:
    with proxy_link(tmp_path, "dhcp_agent") as link:
        made = Host(link, confs, MARK)
        yield made
        for name, device in ((GUEST, "tguest"), (OTHER, "tother")):
            sh(f"ip link del {device} 2>/dev/null || true")  # it would keep the bridge
            sh(f"ip netns del {name} 2>/dev/null || true")
        for owner in ("l3", "dhcp"):
            converge(made, owner, HostPlan())


def plugged(name: str, device: str, bridge: str = BRIDGE.name, mac: str = OTHER_MAC) -> None:
    """Make a namespace with a device on the bridge."""
    sh(
        f"""
        ip netns add {name}
        ip netns exec {name} sysctl -qw net.ipv6.conf.all.forwarding=0
        ip link add {device} type veth peer name eth0 address {mac} netns {name}
        ip link set {device} master {bridge} up
        ip -n {name} link set eth0 up
        """
    )


def dual(confs: str) -> HostPlan:
    """The plan of a network with an IPv6 subnet and without a router."""
    plan = dhcp_plan(confs)
    space = plan.namespaces[QDHCP]
    own = Address(device=DEVICE, cidr=f"{ipv6.link_local('fa:16:3e:00:00:02')}/64")
    listener = Listener(
        kind="network",
        id=NETWORK,
        namespace=QDHCP,
        address="fe80::a9fe:a9fe",
        port=80,
        device=DEVICE,
    )
    changed = replace(
        space,
        addresses=space.addresses | {own, ipv6.metadata(DEVICE)},
        sysctls=sysctls.dhcp(ipv6_on_host=True, ipv6=True),
        listeners=space.listeners | {listener},
    )
    return replace(plan, namespaces={QDHCP: changed})


def settled(host: Host, desired: HostPlan, owner: str = "dhcp") -> bool:
    outcome = converge(host, owner, desired)
    return not outcome.failures and operations(desired, host.observe(owner)) == ()


def status(url: str) -> str:
    asked = f"curl -g -s -o /dev/null -w '%{{http_code}}' -m 3 '{url}'"
    return sh(f"ip netns exec {GUEST} {asked} || true")


def test_a_guest_with_a_link_local_address_only_reads_metadata(host: Host, confs: str):
    desired = dual(confs)
    assert converge(host, "dhcp", desired).failures == {}
    plugged(GUEST, "tguest")
    eventually(lambda: settled(host, desired), what="fe80::a9fe:a9fe is usable")
    eventually(lambda: status("http://[fe80::a9fe:a9fe%25eth0]/") == "200", what="metadata")
    own = ipv6.link_local("fa:16:3e:00:00:02")
    assert status(f"http://[{own}%25eth0]/") == "000"  # no other address serves
    settled_off = dhcp_plan(confs)
    assert settled(host, settled_off)
    shown = sh(f"ip -n {QDHCP} -6 addr show dev {DEVICE}")
    assert shown == ""


def test_a_duplicate_is_reported_and_the_address_taken_when_it_goes(host: Host, confs: str):
    assert converge(host, "dhcp", dhcp_plan(confs)).failures == {}  # makes the bridge
    plugged(OTHER, "tother")
    sh(f"ip -n {OTHER} link set eth0 address fa:16:3e:00:99:98")
    sh(f"ip -n {OTHER} addr add fe80::a9fe:a9fe/64 dev eth0 nodad")
    desired = dual(confs)

    def taken() -> Outcome | None:
        outcome = converge(host, "dhcp", desired)
        return outcome if "another device" in outcome.failures.get(SCOPE, "") else None

    outcome = eventually(taken, what="the duplicate is found")
    assert outcome.failures.keys() == {SCOPE}
    assert outcome.observed.namespaces[QDHCP].listeners == desired.namespaces[QDHCP].listeners
    assert "another device" in converge(host, "dhcp", desired).failures[SCOPE]  # not forgotten
    sh(f"ip netns del {OTHER}")
    eventually(lambda: settled(host, desired), what="the address is usable")


NET = fm.network(1, mtu=1450)
SLAAC = fm.subnet(
    6,
    NET,
    "fd00:6::/64",
    "fd00:6::1",
    ip_version=6,
    ipv6_ra_mode="slaac",
    ipv6_address_mode="slaac",
)
ROUTER = fm.router(1)
LEG = fm.interface(3, ROUTER, NET, (SLAAC, "fd00:6::1"))
SPACE = f"qrouter-{ROUTER.id}"


def routed(confs: str, subnet: Resource = SLAAC) -> HostPlan:
    """The plan of a router with an interface on an IPv6 network."""
    model = fm.FakeModel([NET, subnet, ROUTER, LEG, fm.bound("l3", ROUTER)])
    settings = L3Settings(ra_confs=f"{os.path.dirname(confs)}/ra")
    return replace(l3.plan(model, fm.HOST, settings), port_security=None)


def radvds(confs: str) -> list[int]:
    directory = f"{os.path.dirname(confs)}/ra/{ROUTER.id}"
    return [pid for pid in process.all_pids() if radvd.DAEMON.is_ours(pid, directory)]


def guest_has(text: str) -> bool:
    return text in sh(f"ip -n {GUEST} -6 addr; ip -n {GUEST} -6 route")


def test_a_guest_takes_its_address_by_advertisement_and_reads_metadata(host: Host, confs: str):
    desired = routed(confs)
    converge(host, "l3", desired)
    plugged(GUEST, "tguest", f"brq{NET.id[:11]}")
    eventually(lambda: settled(host, desired, "l3"), what="fe80::a9fe:a9fe is usable")
    eventually(lambda: guest_has("inet6 fd00:6::"), what="an address by SLAAC")
    eventually(lambda: guest_has(f"default via {ipv6.link_local(LEG.mac_address)}"), what="route")
    eventually(lambda: status("http://[fe80::a9fe:a9fe%25eth0]/") == "200", what="metadata")
    assert status("http://[fd00:6::1]:9697/") == "000"  # only what is redirected
    assert converge(host, "l3", HostPlan()).failures == {}
    assert radvds(confs) == []
    eventually(lambda: not guest_has("default via"), what="the router said that it ends")


def test_a_router_serves_by_its_advertised_route_while_another_has_the_address(
    host: Host, confs: str
):
    desired = routed(confs)
    converge(host, "l3", replace(desired, namespaces={}))
    bridge = f"brq{NET.id[:11]}"
    plugged(OTHER, "tother", bridge)
    sh(f"ip -n {OTHER} link set eth0 address fa:16:3e:00:99:98")
    sh(f"ip -n {OTHER} addr add fe80::a9fe:a9fe/64 dev eth0 nodad")
    converge(host, "l3", desired)
    plugged(GUEST, "tguest", bridge)
    sh(f"ip netns exec {GUEST} sysctl -qw net.ipv6.conf.eth0.accept_ra_rt_info_max_plen=128")
    eventually(lambda: guest_has("fe80::a9fe:a9fe via fe80::"), what="the advertised route")
    eventually(lambda: status("http://[fe80::a9fe:a9fe%25eth0]/") == "200", what="metadata")
    outcome = converge(host, "l3", desired)
    assert outcome.failures.keys() == {f"{SPACE} fe80::a9fe:a9fe"}


def test_radvd_is_repaired_reloaded_and_stopped(host: Host, confs: str):
    desired = routed(confs)
    converge(host, "l3", desired)
    eventually(lambda: settled(host, desired, "l3"), what="settled")
    os.kill(pid_file(confs), signal.SIGKILL)
    eventually(lambda: radvds(confs) == [], what="the end of radvd and its child")
    (started,) = converge(host, "l3", desired).applied
    assert isinstance(started, StartRadvd)
    changed = routed(confs, replace(SLAAC, dns_nameservers=("fd00::53",)))
    (reloaded,) = converge(host, "l3", changed).applied
    assert isinstance(reloaded, ReloadRadvd)
    assert settled(host, changed, "l3")
    bad = Radvd(router_id=ROUTER.id, directory=reloaded.radvd.directory, config="interface {\n")
    broken = replace(changed, namespaces={SPACE: replace(changed.namespaces[SPACE], radvd=bad)})
    refused = eventually(lambda: converge(host, "l3", broken).failures, what="a refusal")
    assert refused.keys() == {f"{SPACE} radvd"}
    assert "syntax error" in refused[f"{SPACE} radvd"]
    assert settled(host, replace(changed, namespaces={}), "l3")
    assert radvds(confs) == []


def pid_file(confs: str) -> int:
    return int(Path(os.path.dirname(confs), "ra", ROUTER.id, "pid").read_text())


STATEFUL = replace(
    SLAAC,
    ipv6_ra_mode="dhcpv6-stateful",
    ipv6_address_mode="dhcpv6-stateful",
    dns_nameservers=("fd00:6::53",),
)
OWN = fm.dhcp_port(1, NET, (STATEFUL, "fd00:6::2"))
VM = fm.port(5, NET, (STATEFUL, "fd00:6::5"))


def dhcpv6(confs: str, name: str) -> str:
    """Run dhclient once with a DUID of its own; return its lease file."""
    files = f"-lf {confs}/{name}.leases -pf {confs}/{name}.pid -sf /bin/true"
    sh(f"ip netns exec {GUEST} timeout 20 dhclient -6 -1 -v {files} eth0")
    sh(f"kill $(cat {confs}/{name}.pid)")
    return Path(confs, f"{name}.leases").read_text()


def test_a_guest_takes_its_address_by_dhcpv6_on_a_network_with_ipv6_only(host: Host, confs: str):
    """dhclient asks for DHCPv6; its requests come from its link-local address."""
    settings = DhcpSettings(dhcp_confs=confs)

    def plan(vm: Resource) -> HostPlan:
        model = fm.FakeModel([NET, STATEFUL, OWN, vm, fm.bound("dhcp", NET)])
        return replace(dhcp.plan(model, fm.HOST, settings), port_security=None)

    desired = plan(VM)
    converge(host, "dhcp", desired)
    plugged(GUEST, "tguest", f"brq{NET.id[:11]}", VM.mac_address)
    eventually(lambda: "tentative" not in sh(f"ip -n {GUEST} -6 addr"), what="link-local address")
    lease = dhcpv6(confs, "first")
    assert "iaaddr fd00:6::5 {" in lease
    assert "dhcp6.name-servers fd00:6::53;" in lease
    eventually(lambda: settled(host, desired), what="fe80::a9fe:a9fe is usable")
    assert status("http://[fe80::a9fe:a9fe%25eth0]/") == "200"
    # The next VM with the address gets it at once, though the first one did not release it.
    heir = fm.port(6, NET, (STATEFUL, "fd00:6::5"))
    assert settled(host, plan(heir))
    sh(f"ip -n {GUEST} link set eth0 down address {heir.mac_address}")
    sh(f"ip -n {GUEST} link set eth0 up")
    eventually(lambda: "tentative" not in sh(f"ip -n {GUEST} -6 addr"), what="link-local address")
    assert "iaaddr fd00:6::5 {" in dhcpv6(confs, "second")
