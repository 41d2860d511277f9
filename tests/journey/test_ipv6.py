"""Guests on IPv6 networks, by SLAAC and DHCPv6, and cloud-init that asks fe80::a9fe:a9fe first."""

import json
import os
import signal

import pytest

from tests.kit.conditions import eventually
from tests.lab.cloud import METADATA, Cloud, Vm
from tests.lab.cloud_init import crawl
from tests.lab.hostile import CHOSEN

SOON = 10  # s; without events radvd is back after 30 s
URL = "http://[fe80::a9fe:a9fe%25eth0]"
INSTANCE = "/openstack/latest/meta_data.json"


def network(cloud: Cloud, kind: str, mode: str) -> str:
    """Create an IPv6-only network, with a router if it is "routed"; return its name."""
    name = cloud.network("fd00:6::/64", "--ipv6-mode", mode)
    if kind == "routed":
        cloud.router(name)
    return name


def reads_its_own(vm: Vm) -> bool:
    answer = vm.run("curl", "-gsf", "-m", "3", URL + INSTANCE)
    if answer.returncode:
        return False
    assert json.loads(answer.stdout)["uuid"] == vm.instance["id"]
    return True


def has_address(vm: Vm) -> bool:
    return f"inet6 {vm.address}/" in vm.sh("ip", "-6", "address")


@pytest.mark.parametrize("kind", ["isolated", "routed"])
def test_cloud_init_asks_the_ipv6_address_first(cloud: Cloud, kind: str) -> None:
    """With its link-local address only, and by SLAAC behind a router."""
    vm = cloud.vm(network(cloud, kind, "slaac")).start("none")
    if kind == "routed":
        eventually(lambda: has_address(vm), what="an address by SLAAC")
    eventually(lambda: reads_its_own(vm), what="metadata")
    found = crawl(vm, "OpenStack", "http://[fe80::a9fe:a9fe%eth0]", METADATA)
    assert found["instance_id"] == vm.instance["id"]
    (shown,) = found["network"]["networks"]
    assert shown["type"] == "ipv6_slaac"
    assert vm.status("/") == "000"  # the guest has no way to the IPv4 address
    vm.sh("ip", "-6", "address", "flush", "dev", "eth0")
    vm.sh("ip", "-6", "address", "add", f"{CHOSEN}/64", "dev", "eth0", "nodad")
    eventually(lambda: reads_its_own(vm), what="metadata from an opaque address")


def test_a_guest_by_dhcpv6_behind_a_router(cloud: Cloud) -> None:
    vm = cloud.vm(network(cloud, "routed", "dhcpv6-stateful")).start("none")
    eventually(lambda: "default via fe80::" in vm.sh("ip", "-6", "route"), what="advertisement")
    files = ("-lf", "/run/dhclient6.leases", "-pf", "/run/dhclient6.pid")
    vm.sh("dhclient", "-6", "-1", "-v", *files, "eth0")
    assert has_address(vm)
    eventually(lambda: reads_its_own(vm), what="metadata")
    killed = radvd(cloud)
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: radvd(cloud) not in (0, killed), SOON, "radvd is back")
    said = cloud.house.log.read_text()
    assert "damage repaired" in said
    assert "radvd" in said[said.rindex("damage repaired") :].splitlines()[0]


def radvd(cloud: Cloud) -> int:
    """The process of the router's radvd, 0 for none."""
    (router,) = cloud.routers
    file = cloud.house.state / "ra" / cloud.id("routers", router) / "pid"
    pid = int(file.read_text()) if file.exists() else 0
    return pid if os.path.isdir(f"/proc/{pid}") else 0
