"""Only objects with our installation's mark are changed or removed, whatever their names are."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from a9fe.host_agent.converge import converge
from a9fe.linux import foreign
from a9fe.linux.host import Host
from a9fe.linux.kernel import namespace, rtnetlink
from a9fe.linux.sweep import clean
from a9fe.plan import sysctls
from a9fe.plan.filters.fingerprint import NOTHING
from a9fe.plan.host import Bridge, HostPlan, NamespacePlan, Veth
from a9fe.plan.mark import Mark, owner_of
from tests.kit.conditions import eventually
from tests.kit.host_plans import (
    BRIDGE,
    NETWORK,
    QDHCP,
    QROUTER,
    FakeProxy,
    dhcp_plan,
    router_plan,
)
from tests.lab.places import MARK

OTHER = Mark("fedcba98" * 4)
FILTERS = NOTHING


def run(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def everything():
    """All kernel objects: namespaces by inode, links with index and mark, tables."""
    spaces = {name: namespace.inode(name) for name in namespace.handles()}
    links = set(namespace.in_thread(rtnetlink.links))
    return spaces, links, run("nft", "list", "tables")


@pytest.fixture
def state():
    base = tempfile.mkdtemp()
    os.chmod(base, 0o755)
    yield base
    clean(base, MARK)
    shutil.rmtree(base)


def one_network(network, port, confs):
    """The namespace, bridge, pair and filters of another network."""
    space = f"qdhcp-{network}"
    bridge = Bridge(name=f"brq{network[:11]}", mtu=1450)
    link = Veth(
        inner=f"ns-{port[:11]}",
        outer=f"tap{port[:11]}",
        bridge=bridge.name,
        mac="fa:16:3e:00:00:09",
        mtu=1450,
    )
    settings = sysctls.dhcp(ipv6_on_host=True)
    plan = NamespacePlan(name=space, links=frozenset({link}), sysctls=settings)
    return HostPlan(bridges=frozenset({bridge}), namespaces={space: plan}, port_security=FILTERS)


def test_two_installations_leave_each_other_alone(state):
    mine = Host(FakeProxy(), f"{state}/1/dhcp", MARK)
    theirs = Host(FakeProxy(), f"{state}/2/dhcp", OTHER)
    first = replace(dhcp_plan(f"{state}/1/dhcp"), port_security=FILTERS)
    second = one_network("22222222-2222-3333-4444-555555555555", "0000000b-1111", state)
    for _ in range(2):
        assert converge(mine, "dhcp", first).failures == {}
        assert converge(theirs, "dhcp", second).failures == {}
    assert converge(mine, "dhcp", first).settled
    assert converge(theirs, "dhcp", second).settled
    assert {MARK.table, OTHER.table} <= set(run("nft", "list", "tables", "bridge").split())

    assert clean(state, OTHER).removed
    assert converge(mine, "dhcp", first).settled
    assert converge(theirs, "dhcp", second).applied
    assert converge(mine, "dhcp", HostPlan()).failures == {}
    assert converge(theirs, "dhcp", second).settled
    assert clean(state, OTHER).left == ()


@pytest.fixture(params=["", OTHER.text], ids=["unmarked", "another's"])
def planted(request):
    """Objects of a Neutron or another a9fe, with names that we need and with other names."""
    spaces = [QDHCP, QROUTER, f"qdhcp-{NETWORK[:-1]}9", "a9fe-guest-theirs"]
    for space in spaces:
        run("ip", "netns", "add", space)
        run("ip", "-n", space, "link", "set", "lo", "alias", request.param)
    broken = Path(namespace.path(f"qrouter-{NETWORK[:-1]}8"))
    broken.write_text(request.param)
    links = [BRIDGE.name, "brq99999999-99", "tap0000000d-11", "tap99999999-99"]
    for name in links:
        kind = ["type", "bridge"] if name.startswith("brq") else ["type", "veth"]
        run("ip", "link", "add", name, *kind)
        run("ip", "link", "set", name, "alias", request.param)
    run("nft", "add", "table", "bridge", "a9fe")
    run("nft", "add", "table", "bridge", MARK.table)
    yield request.param
    for space in spaces:
        run("ip", "netns", "del", space)
    broken.unlink()
    for name in links:
        run("ip", "link", "del", name)
    run("nft", "delete", "table", "bridge", "a9fe")
    run("nft", "delete", "table", "bridge", MARK.table)


def test_objects_of_others_survive_and_are_named(state, planted):
    before = everything()
    confs = f"{state}/dhcp"
    host = Host(FakeProxy(), confs, MARK)
    for owner in ("dhcp", "l3"):
        assert converge(host, owner, HostPlan()).settled
    desired = replace(dhcp_plan(confs), port_security=FILTERS)
    failed = converge(host, "dhcp", desired).failures
    assert converge(host, "l3", router_plan()).failures.keys() == {BRIDGE.name, QROUTER}
    assert failed.keys() == {QDHCP, "port-security"}  # no bridge stands before its filter
    assert owner_of(planted) in failed[QDHCP]
    assert f"namespace {QDHCP}: left alone" in failed[QDHCP]
    swept = clean(state, MARK)
    assert everything() == before
    assert swept.removed == ()
    left = "\n".join(swept.left)
    for what in (QDHCP, QROUTER, "a9fe-guest-theirs", "brq99999999-99", "tap99999999-99", "a9fe"):
        assert f" {what}: left, it is " in left
    assert f" {MARK.table}: left, it is " in left


def test_a_taken_name_does_not_stop_other_networks(state):
    run("ip", "netns", "add", QROUTER)
    free = f"qrouter-{NETWORK}"
    desired = HostPlan(namespaces={n: NamespacePlan(name=n) for n in (QROUTER, free)})
    host = Host(FakeProxy(), f"{state}/dhcp", MARK)
    try:
        outcome = converge(host, "l3", desired)
        assert outcome.failures.keys() == {QROUTER}
        assert namespace.mark_of(free) == MARK.text
    finally:
        run("ip", "netns", "del", QROUTER)


def test_objects_of_an_older_a9fe_are_adopted(state):
    """Removes the marks of new objects, so that they look as made before marks existed."""
    host = Host(FakeProxy(), f"{state}/dhcp", MARK)
    desired = dhcp_plan(f"{state}/dhcp")
    assert converge(host, "dhcp", desired).failures == {}
    pid = int(Path(state, "dhcp", NETWORK, "pid").read_text())
    for name in (BRIDGE.name, "tap0000000d-11"):
        run("ip", "link", "set", name, "alias", "", "group", "0")
    run("ip", "-n", QDHCP, "link", "set", "ns-0000000d-11", "alias", "", "group", "0")
    run("ip", "-n", QDHCP, "link", "set", "lo", "alias", "")
    run("nft", "add", "table", "bridge", "a9fe")
    run("ip", "link", "add", "tapcccccccc-cc", "type", "veth", "peer", "name", "vccc")
    run("ip", "link", "set", "tapcccccccc-cc", "alias", OTHER.text)
    try:
        assert clean(state, MARK).removed == (f"dnsmasq {NETWORK} (pid {pid})",)
        taken = list(foreign.adopt(MARK))
        assert sorted(taken) == [
            f"bridge {BRIDGE.name}",
            "device tap0000000d-11",
            f"namespace {QDHCP}",
            "nftables table bridge a9fe (removed: ours has another name)",
        ]
        assert list(foreign.adopt(MARK)) == []
        applied = converge(host, "dhcp", desired).applied
        assert {type(o).__name__ for o in applied} == {"SetBridge", "ChangeLink", "StartDnsmasq"}
        assert clean(state, MARK).removed
        assert namespace.handles() == []
    finally:
        run("ip", "link", "del", "tapcccccccc-cc")


KILLED_BEFORE_ALIAS = """
import os, signal, sys
from a9fe.linux.kernel import links
from a9fe.linux.host import Host
from a9fe.host_agent.converge import converge
from tests.kit.host_plans import FakeProxy, dhcp_plan
from tests.lab.places import MARK
confs, left = sys.argv[1], int(sys.argv[2])
marked = links._marked
def die(mark, **rest):
    global left
    left -= 1
    return marked(mark, **rest) if left >= 0 else os.kill(os.getpid(), signal.SIGKILL)
links._marked = die
converge(Host(FakeProxy(), confs, MARK), "dhcp", dhcp_plan(confs))
"""


@pytest.mark.parametrize("already", [0, 1, 2])
def test_a_link_whose_maker_was_killed_before_its_alias_is_ours(state, already):
    confs = f"{state}/dhcp"
    argv = [sys.executable, "-c", KILLED_BEFORE_ALIAS, confs, str(already)]
    assert subprocess.run(argv, check=False).returncode == -signal.SIGKILL
    halves = [x for x in namespace.in_thread(rtnetlink.links) if x.group and not x.alias]
    assert bool(halves) == (already < 2)  # the last one is the inner end
    host = Host(FakeProxy(), confs, MARK)
    assert converge(host, "dhcp", dhcp_plan(confs)).failures == {}
    assert converge(host, "dhcp", dhcp_plan(confs)).settled
    marks = {(x.alias, x.group) for x in namespace.in_thread(rtnetlink.links) if x.group}
    assert marks == {(MARK.text, MARK.group)}


def test_half_made_links_are_cleaned(state):
    argv = [sys.executable, "-c", KILLED_BEFORE_ALIAS, f"{state}/dhcp", "0"]
    assert subprocess.run(argv, check=False).returncode == -signal.SIGKILL
    assert f"bridge {BRIDGE.name}" in clean(state, MARK).removed


def test_agents_of_neutron_are_seen():
    argv = ["/usr/bin/neutron-l3-agent", "-"]
    with subprocess.Popen(argv, executable="/bin/cat", stdin=subprocess.PIPE) as agent:
        try:
            seen = {agent.pid: "neutron-l3-agent"}
            eventually(lambda: foreign.neutron_agents() == seen, what="it is seen")
        finally:
            agent.kill()
