"""The IPv6 metadata address in our namespaces, with guests that have link-local addresses only."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from a9fe.host_agent.converge import Outcome, converge
from a9fe.linux.host import Host
from a9fe.plan import ipv6, sysctls
from a9fe.plan.diff import operations
from a9fe.plan.host import Address, HostPlan
from a9fe.wire.message import Listener
from tests.kit.conditions import eventually
from tests.kit.host_plans import BRIDGE, NETWORK, QDHCP, dhcp_plan
from tests.lab.handmade import sh
from tests.lab.places import MARK
from tests.lab.proxy import proxy_link

DEVICE = "ns-0000000d-11"
SCOPE = f"{QDHCP} fe80::a9fe:a9fe"
GUEST, OTHER = "t-ipv6-guest", "t-ipv6-other"


@pytest.fixture
def confs() -> Iterator[str]:
    """A directory that dnsmasq's user can search, unlike pytest's."""
    base = tempfile.mkdtemp()
    os.chmod(base, 0o755)
    yield f"{base}/dhcp"
    shutil.rmtree(base)


@pytest.fixture
def host(confs: str, tmp_path: Path) -> Iterator[Host]:
    with proxy_link(tmp_path, "dhcp_agent") as link:
        made = Host(link, confs, MARK)
        yield made
        for name in (GUEST, OTHER):
            sh(f"ip netns del {name} 2>/dev/null || true")
        for owner in ("l3", "dhcp"):
            converge(made, owner, HostPlan())


def plugged(name: str, device: str) -> None:
    """Make a namespace with a device on the bridge."""
    sh(
        f"""
        ip netns add {name}
        ip link add {device} type veth peer name eth0 netns {name}
        ip link set {device} master {BRIDGE.name} up
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


def settled(host: Host, desired: HostPlan) -> bool:
    outcome = converge(host, "dhcp", desired)
    return not outcome.failures and operations(desired, host.observe("dhcp")) == ()


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
