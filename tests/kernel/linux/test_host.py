"""A host is changed to a plan from any state, and then needs no further operation."""

import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from a9fe.host_agent.converge import converge
from a9fe.linux import observation
from a9fe.linux.dhcp import dnsmasq
from a9fe.linux.host import Host
from a9fe.linux.kernel import libc, links, namespace, rtnetlink
from a9fe.linux.processes import process
from a9fe.plan.filters.fingerprint import security
from a9fe.plan.host import (
    HostPlan,
    NamespacePlan,
    Route,
)
from a9fe.plan.operations import (
    AddNamespace,
    ChangeLink,
    DeleteBridge,
    ReloadDnsmasq,
    RestartDnsmasq,
    SetIptables,
    StartDnsmasq,
)
from a9fe.plan.routers.iptables import ruleset
from tests.kit.conditions import eventually
from tests.kit.host_plans import (
    BRIDGE,
    NETWORK,
    QDHCP,
    QROUTER,
    FakeProxy,
    dhcp_plan,
    router_plan,
    served,
)
from tests.lab.places import MARK


def settles(host, owner, desired):
    """Apply the plan without a failure, and check that a second pass has no operation."""
    first = converge(host, owner, desired)
    assert first.failures == {}
    second = converge(host, owner, desired)
    assert second.applied == ()
    assert second.failures == {}
    return first.applied


def dnsmasq_pid(confs):
    return int(Path(confs, NETWORK, "pid").read_text())


def run(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def home_links():
    return {link.name for link in namespace.in_thread(rtnetlink.links)}


@pytest.mark.parametrize("owner", ["dhcp", "l3"])
def test_a_plan_is_built_seen_by_iproute2_and_removed(host, confs, owner):
    desired = dhcp_plan(confs) if owner == "dhcp" else router_plan()
    before = home_links()
    assert settles(host, owner, desired)
    space = QDHCP if owner == "dhcp" else QROUTER
    seen = host.observe(owner)
    assert {BRIDGE} <= seen.bridges
    found, planned = seen.namespaces[space], desired.namespaces[space]
    assert (found.links, found.addresses, found.routes, found.iptables) == (
        planned.links,
        planned.addresses,
        planned.routes,
        planned.iptables,
    )
    shown = run("ip", "-n", space, "-4", "addr", "show")
    assert all(f"inet {a.cidr} " in shown for a in planned.addresses)
    settles(host, owner, HostPlan())
    assert space not in run("ip", "netns", "list")
    assert home_links() == before


def test_ipv6_rules_are_loaded_repaired_and_removed(host):
    text = ruleset({"filter": ("-A FORWARD -j DROP",)})
    plan = router_plan()
    ipv6 = replace(plan.namespaces[QROUTER], ip6tables=text)
    desired = replace(plan, namespaces={QROUTER: ipv6})
    settles(host, "l3", desired)
    run("ip", "netns", "exec", QROUTER, "ip6tables", "-F")
    (repair,) = settles(host, "l3", desired)
    assert repair == SetIptables(namespace=QROUTER, rules=text, ip_version=6)
    settles(host, "l3", plan)
    assert "DROP" not in run("ip", "netns", "exec", QROUTER, "ip6tables-save")


def test_bridges_have_no_stp_delay_or_ipv6(host, confs):
    settles(host, "l3", HostPlan(bridges=frozenset({BRIDGE})))
    shown = run("ip", "-d", "link", "show", BRIDGE.name)
    assert "forward_delay 0 " in shown
    assert "stp_state 0 " in shown
    assert run("ip", "-6", "addr", "show", "dev", BRIDGE.name) == ""
    subprocess.run(["ip", "link", "set", BRIDGE.name, "down"], check=True)
    assert settles(host, "l3", HostPlan(bridges=frozenset({BRIDGE})))


def test_a_bridge_with_a_vms_tap_is_kept(host):
    settles(host, "l3", HostPlan(bridges=frozenset({BRIDGE})))
    run("ip", "link", "add", "tapvm", "type", "veth", "peer", "name", "vm0")
    run("ip", "link", "set", "tapvm", "master", BRIDGE.name)
    try:
        settles(host, "l3", HostPlan())
        assert BRIDGE.name in home_links()
        assert host.observe("l3").bridges == {BRIDGE}
    finally:
        run("ip", "link", "del", "tapvm")


def test_drift_is_repaired(host, confs):
    desired = dhcp_plan(confs)
    settles(host, "dhcp", desired)
    inner = "ns-0000000d-11"
    for command in (
        ["ip", "link", "set", "tap0000000d-11", "nomaster"],
        ["ip", "-n", QDHCP, "addr", "del", "169.254.169.254/32", "dev", inner],
        ["ip", "-n", QDHCP, "addr", "add", "10.66.0.1/24", "dev", inner],
        ["ip", "-n", QDHCP, "route", "add", "10.67.0.0/24", "dev", inner],
        ["ip", "-n", QDHCP, "link", "set", inner, "mtu", "1300"],
    ):
        run(*command)
    with namespace.inside(QDHCP):
        namespace.write_sysctl("net/ipv4/ip_forward", "1")
    applied = settles(host, "dhcp", desired)
    assert any(isinstance(operation, ChangeLink) for operation in applied)


@pytest.mark.parametrize(
    "command",
    [
        ["ip", "-n", QDHCP, "link", "set", "ns-0000000d-11", "down"],
        ["ip", "link", "set", "tap0000000d-11", "down"],
        ["ip", "link", "set", "tap0000000d-11", "mtu", "1300"],
    ],
)
def test_an_end_that_is_down_or_of_another_mtu_is_repaired(host, confs, command):
    desired = dhcp_plan(confs)
    settles(host, "dhcp", desired)
    run(*command)
    applied = settles(host, "dhcp", desired)
    assert isinstance(applied[0], ChangeLink)


def test_a_bridge_with_a_new_device_is_not_deleted(host, confs):
    settles(host, "dhcp", dhcp_plan(confs))
    with pytest.raises(links.LinkError, match=f"{BRIDGE.name}: not deleted, devices are attached"):
        host.apply(DeleteBridge(name=BRIDGE.name))
    assert BRIDGE.name in home_links()


def test_a_lost_pair_and_a_left_over_outer_end_are_replaced(host, confs):
    desired = dhcp_plan(confs)
    settles(host, "dhcp", desired)
    links.delete_link("tap0000000d-11", MARK)
    pair = ["tap0000000d-11", "group", str(MARK.group), "type", "veth", "peer", "name", "stale0"]
    run("ip", "link", "add", *pair)
    settles(host, "dhcp", desired)
    assert "stale0" not in home_links()


def test_changed_rules_are_seen_and_set_again(host):
    desired = router_plan()
    settles(host, "l3", desired)
    run("ip", "netns", "exec", QROUTER, "iptables", "-t", "nat", "-F")
    applied = settles(host, "l3", desired)
    assert [type(operation) for operation in applied] == [SetIptables]
    assert "redir ports 9697" in run("ip", "netns", "exec", QROUTER, "iptables", "-t", "nat", "-L")
    assert settles(Host(FakeProxy(), "/nonexistent", MARK), "l3", desired) == ()


def test_dnsmasq_is_recognised_reloaded_and_restarted(host, confs):
    desired = dhcp_plan(confs)
    settles(host, "dhcp", desired)
    pid = dnsmasq_pid(confs)
    assert os.getsid(pid) != os.getsid(0)
    assert Path(f"/proc/{pid}").stat().st_uid == 65534
    another = Host(host._proxy, confs, MARK)
    assert settles(another, "dhcp", desired) == ()

    more = served(confs, hosts=served(confs).hosts + "fa:16:3e:00:00:09,h9,10.1.0.9\n")
    applied = settles(host, "dhcp", dhcp_plan(confs, dnsmasq=more))
    assert [type(operation) for operation in applied] == [ReloadDnsmasq]
    assert dnsmasq_pid(confs) == pid

    other = replace(more, arguments=(*more.arguments, "--dhcp-authoritative"))
    applied = settles(host, "dhcp", dhcp_plan(confs, dnsmasq=other))
    assert [type(operation) for operation in applied] == [RestartDnsmasq]
    assert dnsmasq_pid(confs) != pid
    assert not process.alive(pid)


def test_dnsmasq_that_died_is_started_again(host, confs):
    desired = dhcp_plan(confs)
    settles(host, "dhcp", desired)
    pid = dnsmasq_pid(confs)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not process.alive(pid))
    applied = settles(host, "dhcp", desired)
    assert [type(operation) for operation in applied] == [StartDnsmasq]


def test_a_file_written_but_not_loaded_is_loaded(host, confs):
    """An agent was killed between the rename and the SIGHUP."""
    desired = dhcp_plan(confs)
    settles(host, "dhcp", desired)
    new = served(confs, hosts="fa:16:3e:00:00:07,h7,10.1.0.7\n")
    dnsmasq._write(new)
    applied = settles(host, "dhcp", dhcp_plan(confs, dnsmasq=new))
    assert [type(operation) for operation in applied] == [ReloadDnsmasq]


def test_a_dnsmasq_that_lost_its_files_ends_with_its_namespace(host, confs):
    settles(host, "dhcp", dhcp_plan(confs))
    pid = dnsmasq_pid(confs)
    shutil.rmtree(f"{confs}/{NETWORK}")
    settles(host, "dhcp", HostPlan())
    assert not process.alive(pid)


def test_a_lost_pid_file_does_not_start_a_second_dnsmasq(host, confs):
    desired = dhcp_plan(confs)
    settles(host, "dhcp", desired)
    first = dnsmasq_pid(confs)
    Path(confs, NETWORK, "pid").unlink()
    settles(host, "dhcp", desired)
    assert not process.alive(first)
    assert our_dnsmasqs(confs) == [dnsmasq_pid(confs)]


def test_a_directory_that_dnsmasq_cannot_search_is_named(host, confs):
    os.chmod(os.path.dirname(confs), 0o700)
    outcome = converge(host, "dhcp", dhcp_plan(confs))
    assert list(outcome.failures) == [f"{QDHCP} dnsmasq"]
    assert f"chmod a+x {os.path.dirname(confs)}" in outcome.failures[f"{QDHCP} dnsmasq"]


def test_removal_ends_dnsmasq_and_its_files(host, confs):
    settles(host, "dhcp", dhcp_plan(confs))
    pid = dnsmasq_pid(confs)
    settles(host, "dhcp", HostPlan())
    assert not process.alive(pid)
    assert os.listdir(confs) == []


def test_a_namespace_removed_by_hand_is_built_again(host, confs):
    desired = dhcp_plan(confs)
    settles(host, "dhcp", desired)
    pid = dnsmasq_pid(confs)
    run("ip", "netns", "del", QDHCP)
    settles(host, "dhcp", desired)
    assert not process.alive(pid)


def test_dnsmasq_of_a_namespace_made_anew_is_moved(host, confs):
    desired = dhcp_plan(confs)
    settles(host, "dhcp", desired)
    pid = dnsmasq_pid(confs)
    run("ip", "netns", "del", QDHCP)
    namespace.create(QDHCP, MARK)
    settles(host, "dhcp", desired)
    assert not process.alive(pid)
    assert process.network_namespace(dnsmasq_pid(confs)) == namespace.inode(QDHCP)


def test_a_broken_handle_is_replaced_or_removed(host, confs):
    desired = dhcp_plan(confs)
    settles(host, "dhcp", desired)
    libc.umount(namespace.path(QDHCP), libc.MNT_DETACH)
    settles(host, "l3", router_plan())
    libc.umount(namespace.path(QROUTER), libc.MNT_DETACH)
    applied = settles(host, "dhcp", desired)
    assert any(isinstance(operation, AddNamespace) for operation in applied)
    Host(FakeProxy(), confs, MARK).observe("l3")
    assert QROUTER not in namespace.handles()


def test_a_failed_namespace_does_not_stop_the_others(host, confs):
    bad = replace(
        router_plan().namespaces[QROUTER],
        routes=frozenset({Route(destination="10.7.0.0/16", via="172.31.0.1", device="qr-none")}),
    )
    other = f"qrouter-{NETWORK}"
    desired = HostPlan(
        bridges=frozenset({BRIDGE}),
        namespaces={QROUTER: bad, other: NamespacePlan(name=other)},
    )
    outcome = converge(host, "l3", desired)
    assert "device qr-none: does not exist" in outcome.failures[QROUTER]
    assert other in host.observe("l3").namespaces


def test_port_security_is_set_recognised_and_removed(host):
    for element in ("tap0", "tap1"):
        guarded = security({element: frozenset({("taps", "")})})
        assert len(settles(host, "dhcp", HostPlan(port_security=guarded))) == 1
    shown = run("nft", "list", "table", "bridge", MARK.table)
    assert guarded.marker in shown
    assert '"tap1"' in shown
    assert '"tap0"' not in shown
    assert len(settles(host, "dhcp", HostPlan())) == 1
    assert run("nft", "list", "tables") == ""


def our_dnsmasqs(confs):
    return [p for p in process.all_pids() if dnsmasq.DAEMON.is_ours(p, f"{confs}/{NETWORK}")]


def test_unchanged_namespaces_are_observed_without_running_programs(host):
    spaces = [f"qrouter-{n:08x}-2222-3333-4444-555555555555" for n in range(20)]
    for space in spaces:
        namespace.create(space, MARK)
    assert len(host.observe("l3").namespaces) == 20
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt
    assert len(host.observe("l3").namespaces) == 20
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt == before


LIMITED = """
import pickle, sys
from a9fe.linux.processes import privileges
from a9fe.linux.host import Host
from a9fe.plan.host import HostPlan
from a9fe.host_agent.converge import converge
from tests.kit.host_plans import FakeProxy
from tests.lab.places import MARK
privileges.limit_capabilities()
confs, dhcp, reloaded, l3 = pickle.load(sys.stdin.buffer)
host = Host(FakeProxy(), confs, MARK)
steps = [("dhcp", dhcp), ("l3", l3), ("dhcp", dhcp), ("l3", l3), ("dhcp", reloaded)]
for owner, plan in (*steps, ("dhcp", HostPlan()), ("l3", HostPlan())):
    outcome = converge(host, owner, plan)
    print("pass", len(outcome.applied), outcome.failures)
"""


@pytest.mark.parametrize("lacking", ["", "--bounding-set=-sys_ptrace"])
def test_the_capabilities_of_an_agent_are_enough(confs, lacking):
    """Also for a root that lacks some capabilities, as in a container."""
    reloaded = dhcp_plan(confs, dnsmasq=served(confs, options=""))
    with_less = ["setpriv", lacking] if lacking else []
    done = subprocess.run(
        [*with_less, sys.executable, "-c", LIMITED],
        input=pickle.dumps((confs, dhcp_plan(confs), reloaded, router_plan())),
        stdout=subprocess.PIPE,
        check=True,
    )
    lines = done.stdout.decode().splitlines()  # among log lines
    said = [line.removeprefix("pass ") for line in lines if line.startswith("pass ")]
    many, rules_, none, still, one, back, rest = said
    assert (none, still, one) == ("0 {}", "0 {}", "1 {}")
    assert all(line.endswith(" {}") for line in (many, rules_, back, rest))
    assert QDHCP not in namespace.handles()
    assert our_dnsmasqs(confs) == []


def test_files_that_outlived_their_namespace_are_removed(host, confs):
    """A reboot removes the namespace, but not the files."""
    os.makedirs(f"{confs}/{NETWORK}")
    os.makedirs(f"{confs}/kept")
    host.observe("dhcp")
    assert os.listdir(confs) == ["kept"]


def test_the_calling_thread_stays_in_its_namespace(host, confs):
    home = namespace.own_cookie()
    settles(host, "dhcp", dhcp_plan(confs))
    assert namespace.own_cookie() == home
    assert observation.DHCP.network_id(QDHCP) == NETWORK
