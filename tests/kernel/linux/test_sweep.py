"""`a9fe clean` removes all our objects and no others."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from a9fe.host_agent.converge import converge
from a9fe.linux import sweep
from a9fe.linux.dhcp import dnsmasq
from a9fe.linux.host import Host
from a9fe.linux.kernel import namespace, rtnetlink
from a9fe.linux.kernel.rtnetlink import LinkChange
from a9fe.linux.processes import process
from a9fe.linux.sweep import clean
from a9fe.linux.vms import guest
from a9fe.plan.filters.fingerprint import NOTHING
from a9fe.plan.host import ANY_FILTER, HostPlan
from a9fe.plan.mark import Mark, owner_of
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
FOREIGN_ON_OURS = "brq99999999-99"


@pytest.fixture
def state():
    base = tempfile.mkdtemp()
    os.chmod(base, 0o755)
    yield base
    shutil.rmtree(base)


@pytest.fixture
def foreign():
    """Foreign objects, some with names like ours."""
    names = [
        "tapaaaaaaaa-aa",
        "brqaaaaaaaa-aa",
        "tapbbbbbbbb-bb",
        "br-other",
        "vxtap",
        FOREIGN_ON_OURS,
    ]
    for argv in (
        ["tapaaaaaaaa-aa", "type", "ifb"],
        ["brqaaaaaaaa-aa", "type", "ifb"],
        ["br-other", "type", "bridge"],
        ["tapbbbbbbbb-bb", "type", "veth", "peer", "name", "vbbb"],
        ["vxtap", "type", "veth", "peer", "name", "vvvv"],
        [FOREIGN_ON_OURS, "type", "bridge"],
    ):
        run("ip", "link", "add", *argv)
    run("ip", "link", "set", "tapbbbbbbbb-bb", "master", "br-other")
    run("ip", "link", "set", FOREIGN_ON_OURS, "alias", MARK.text)
    run("ip", "link", "set", "vxtap", "master", FOREIGN_ON_OURS)
    run("ip", "netns", "add", "somebody")
    run("nft", "add", "table", "bridge", "other")
    yield names
    for name in names:
        subprocess.run(["ip", "link", "del", name], check=False, capture_output=True)
    run("ip", "netns", "del", "somebody")
    run("nft", "delete", "table", "bridge", "other")


def run(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def home_links():
    return {link.name for link in namespace.in_thread(rtnetlink.links)}


def build(state):
    confs = f"{state}/dhcp"
    host = Host(FakeProxy(), confs, MARK)
    plan = dhcp_plan(confs)
    desired = HostPlan(bridges=plan.bridges, namespaces=plan.namespaces, port_security=NOTHING)
    assert converge(host, "dhcp", desired).failures == {}
    assert converge(host, "l3", replace(router_plan(), port_security=ANY_FILTER)).failures == {}
    return int(Path(confs, NETWORK, "pid").read_text())


def test_clean_removes_all_our_objects_and_no_others(state, foreign):
    before = home_links()
    pid = build(state)
    run("ip", "tuntap", "add", "dev", "tap0000000f-11", "mode", "tap")
    run("ip", "link", "set", "tap0000000f-11", "master", BRIDGE.name, "alias", MARK.text)
    Path(namespace.path(f"qrouter-{NETWORK}")).write_text(MARK.text)

    swept = clean(state, MARK)

    assert home_links() == before
    assert namespace.handles() == ["somebody"]
    assert not process.alive(pid)
    assert os.listdir(f"{state}/dhcp") == []
    assert run("nft", "list", "tables", "bridge").split() == ["table", "bridge", "other"]
    assert {
        f"dnsmasq {NETWORK} (pid {pid})",
        f"namespace {QDHCP}",
        f"namespace {QROUTER}",
        f"namespace qrouter-{NETWORK}",
        "device tap0000000f-11",
        f"bridge {BRIDGE.name}",
        "port security's nftables table",
    } <= set(swept.removed)
    assert sorted(swept.left) == [
        "bridge brq99999999-99: left, vxtap on it is not ours",
        "bridge brqaaaaaaaa-aa: left, it is a ifb device, not a bridge",
        "device tapaaaaaaaa-aa: left, it is a ifb device, not a veth or tap",
        f"device tapbbbbbbbb-bb: left, it is {owner_of('')}",
    ]


def test_a_second_clean_removes_nothing(state):
    build(state)
    assert clean(state, MARK).removed
    assert clean(state, MARK).removed == ()


def test_a_dnsmasq_of_others_in_our_namespace_is_left(state):
    build(state)
    pid_file = f"{state}/other.pid"
    argv = ["--conf-file=/dev/null", "--port=0", f"--pid-file={pid_file}"]
    run("ip", "netns", "exec", QROUTER, "dnsmasq", *argv)
    pid = int(Path(pid_file).read_text())
    assert dnsmasq.DAEMON.directory_of(pid) == ""
    left = clean(state, MARK).left
    assert process.alive(pid)
    assert process.end(pid)
    assert left == (f"process {pid} (dnsmasq) in {QROUTER}: left, it is not ours",)


def test_links_of_others_in_our_groups_survive(state):
    """Our group numbers show nothing about an object that has another installation's mark."""
    build(state)
    others = {"tapdddddddd-dd": "group", "brqdddddddd-dd": "group", "x-leaving": "leaving_group"}
    for name, group in others.items():
        kind = ["bridge"] if name.startswith("brq") else ["veth", "peer", "name", f"p-{group[:8]}"]
        run("ip", "link", "add", name, "type", *kind)
        change = LinkChange(alias=OTHER.text, group=getattr(MARK, group))
        rtnetlink.change_link(socket.if_nametoindex(name), change)
    before = {x for x in namespace.in_thread(rtnetlink.links) if x.name in others}
    try:
        swept = clean(state, MARK)
        assert {f"bridge {BRIDGE.name}", f"namespace {QDHCP}"} <= set(swept.removed)
        assert namespace.handles() == []
        assert {x for x in namespace.in_thread(rtnetlink.links) if x.name in others} == before
        assert {line.partition(":")[0] for line in swept.left} == {
            "device tapdddddddd-dd",
            "bridge brqdddddddd-dd",
        }
    finally:
        for name in others:
            run("ip", "link", "del", name)


def test_links_that_a_killed_clean_left_in_its_group_are_ours(state):
    build(state)
    for name in (BRIDGE.name, "tap0000000d-11"):
        change = LinkChange(group=MARK.leaving_group)
        rtnetlink.change_link(socket.if_nametoindex(name), change)
    removed = clean(state, MARK).removed
    assert {f"bridge {BRIDGE.name}", "device tap0000000d-11"} <= set(removed)


def test_a_dnsmasq_that_takes_no_sigterm_is_killed(state):
    pid = build(state)
    os.kill(pid, signal.SIGSTOP)
    assert process.end_all({pid: process.alive}, grace=0.2) == {pid}
    assert not process.alive(pid)
    clean(state, MARK)


def test_progress_is_said_while_it_lasts(state):
    said = []
    progress = sweep.Progress(said.append)
    progress.removed(1, 1200, "namespaces")
    progress._next = 0
    progress.removed(300, 1200, "namespaces")
    progress.removed(301, 1200, "namespaces")
    assert said == ["removed 300 of 1,200 namespaces"]


def test_clean_removes_guests(state):
    namespace.create("a9fe-guest-t1", MARK)
    holder = subprocess.Popen(["nsenter", "--net=/run/netns/a9fe-guest-t1", "sleep", "600"])
    assert "guest t1" in clean(state, MARK).removed
    assert holder.wait(timeout=10) == -9
    assert guest.names() == []
