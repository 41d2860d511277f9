"""A full or damaged disk, read-only sysctls: said for each resource, then repaired."""

import os
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from a9fe.host_agent.converge import converge
from a9fe.linux.kernel import libc, namespace
from a9fe.plan.host import HostPlan, NamespacePlan
from tests.kit.host_plans import QDHCP, QROUTER, dhcp_plan, router_plan, served
from tests.lab.host import output as run

OTHER = "qrouter-bbbbbbbb-2222-3333-4444-555555555555"


@contextmanager
def full(directory):
    """Let the tmpfs of the directory have no room for another file."""
    found = os.statvfs(directory)
    run("mount", "-o", f"remount,nr_inodes={found.f_files - found.f_ffree}", directory)
    try:
        yield
    finally:
        run("mount", "-o", f"remount,nr_inodes={found.f_files}", directory)


@contextmanager
def read_only_sysctls():
    run("mount", "--bind", "/proc/sys", "/proc/sys")
    run("mount", "-o", "remount,bind,ro", "/proc/sys")
    try:
        yield
    finally:
        libc.umount("/proc/sys", libc.MNT_DETACH)


def settles(host, owner, desired):
    assert converge(host, owner, desired).failures == {}
    assert converge(host, owner, desired).applied == ()


def test_on_a_full_run_what_is_there_is_changed_and_what_is_new_waits(host):
    plan = router_plan()
    settles(host, "l3", plan)
    changed = replace(plan.namespaces[QROUTER], routes=frozenset())
    new = {QROUTER: changed, OTHER: NamespacePlan(name=OTHER)}
    desired = replace(plan, namespaces=new)
    with full("/run"):
        failures = converge(host, "l3", desired).failures
        assert failures.keys() == {OTHER}
        assert "No space left on device" in failures[OTHER]
        assert host.observe("l3").namespaces[QROUTER].routes == frozenset()
        assert OTHER not in namespace.handles()
    settles(host, "l3", desired)


def test_with_a_full_state_directory_only_dhcp_waits(host, confs):
    os.makedirs(confs)
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", confs)
    try:
        with full(confs):
            failures = converge(host, "dhcp", dhcp_plan(confs)).failures
            assert failures.keys() == {f"{QDHCP} dnsmasq"}
            assert "No space left on device" in failures[f"{QDHCP} dnsmasq"]
            assert host.observe("dhcp").namespaces[QDHCP].listeners
        settles(host, "dhcp", dhcp_plan(confs))
        before = Path(served(confs).directory, "host").read_text()
        more = replace(served(confs), hosts=served(confs).hosts * 2)
        with full(confs):
            failures = converge(host, "dhcp", dhcp_plan(confs, dnsmasq=more)).failures
            assert "No space left on device" in failures[f"{QDHCP} dnsmasq"]
        assert Path(served(confs).directory, "host").read_text() == before
        settles(host, "dhcp", dhcp_plan(confs, dnsmasq=more))
        settles(host, "dhcp", HostPlan())
    finally:
        libc.umount(confs, libc.MNT_DETACH)


def test_read_only_sysctls_are_named_and_nothing_is_built_without_them(host):
    plan = router_plan()
    with read_only_sysctls():
        failures = converge(host, "l3", plan).failures
        assert "Read-only file system" in failures[QROUTER]
        assert "/proc/sys/" in failures[QROUTER]
        assert not host.observe("l3").namespaces[QROUTER].links
    settles(host, "l3", plan)


@pytest.mark.parametrize("name", ["host", "addn_hosts", "opts", "loaded", "pid", "leases"])
@pytest.mark.parametrize("damage", ["unreadable", "directory"])
def test_damaged_files_of_one_network_stop_no_other(host, confs, name, damage):
    """What is no text is written again; for what cannot be, the network's DHCP alone waits."""
    settles(host, "dhcp", dhcp_plan(confs))
    file = Path(served(confs).directory, name)
    file.unlink()
    if damage == "unreadable":
        file.write_bytes(b"\xff\xfe\x00")
        settles(host, "dhcp", dhcp_plan(confs))
        return
    file.mkdir()
    failures = converge(host, "dhcp", dhcp_plan(confs)).failures
    assert failures.keys() <= {f"{QDHCP} dnsmasq"}
    file.rmdir()
    settles(host, "dhcp", dhcp_plan(confs))
