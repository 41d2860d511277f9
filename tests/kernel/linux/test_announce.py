"""Announcements update the MAC of an address in its neighbours' caches."""

import json
import subprocess

import pytest

from a9fe.host_agent.converge import converge
from a9fe.linux.host import Host
from a9fe.plan.host import Address, Bridge, HostPlan, NamespacePlan, Veth
from tests.kit.conditions import eventually
from tests.lab.places import MARK

BRIDGE = Bridge(name="brqaaaaaaaa-99", mtu=1450)
ROUTERS = [f"qrouter-{letter * 8}-9999-4444-8888-555555555555" for letter in "ab"]
GATEWAYS = {"10.1.0.1/24": "10.1.0.1", "fd00::1/64": "fd00::1"}
OLD_MAC = "fa:16:3e:00:00:aa"


class NoProxy:
    """A proxy without listeners."""

    def observed(self, cookies, spaces=None):
        return {}


def run(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def gateway(number, mac):
    """The gateway's addresses in one of the two routers."""
    device = f"qr-0000000{number}-99"
    outer = f"tap0000000{number}-99"
    link = Veth(inner=device, outer=outer, bridge=BRIDGE.name, mac=mac, mtu=1450)
    addresses = frozenset(Address(device=device, cidr=cidr) for cidr in GATEWAYS)
    name = ROUTERS[number]
    space = NamespacePlan(name=name, links=frozenset({link}), addresses=addresses)
    return HostPlan(bridges=frozenset({BRIDGE}), namespaces={name: space})


@pytest.fixture
def host(tmp_path):
    host = Host(NoProxy(), str(tmp_path), MARK)
    yield host
    converge(host, "l3", HostPlan())


@pytest.fixture
def guest(host):
    """A namespace on the bridge, whose neighbour cache entries do not expire."""
    converge(host, "l3", HostPlan(bridges=frozenset({BRIDGE})))
    run("ip", "netns", "add", "neighbour")
    run("ip", "link", "add", "tapn", "type", "veth", "peer", "name", "eth0", "netns", "neighbour")
    run("ip", "link", "set", "tapn", "master", BRIDGE.name, "up")
    run("ip", "-n", "neighbour", "link", "set", "eth0", "up")
    for address in ("10.1.0.5/24", "fd00::5/64"):
        run("ip", "-n", "neighbour", "address", "add", address, "dev", "eth0", "nodad")
    yield "neighbour"
    run("ip", "link", "delete", "tapn")
    run("ip", "netns", "delete", "neighbour")


def remember(guest, mac):
    for address in GATEWAYS.values():
        run(*_neighbour(guest, "replace", address), "lladdr", mac, "nud", "stale")


def known(guest, address):
    (entry,) = json.loads(run(*_neighbour(guest, "show", address, json=True)))
    return entry["lladdr"]


def _neighbour(guest, command, address, *, json=False):
    options = ["-json"] if json else []
    return ["ip", "-n", guest, *options, "neighbour", command, address, "dev", "eth0"]


def test_addresses_that_come_up_are_announced(host, guest):
    remember(guest, OLD_MAC)
    assert converge(host, "l3", gateway(0, "fa:16:3e:00:00:01")).failures == {}
    for address in GATEWAYS.values():
        eventually(lambda a=address: known(guest, a) == "fa:16:3e:00:00:01", what=address)


def test_addresses_that_move_to_another_namespace_are_announced(host, guest):
    converge(host, "l3", gateway(0, "fa:16:3e:00:00:01"))
    remember(guest, "fa:16:3e:00:00:01")
    assert converge(host, "l3", gateway(1, "fa:16:3e:00:00:02")).failures == {}
    for address in GATEWAYS.values():
        eventually(lambda a=address: known(guest, a) == "fa:16:3e:00:00:02", what=address)


def test_a_pair_that_was_repaired_is_announced(host, guest):
    desired = gateway(0, "fa:16:3e:00:00:01")
    converge(host, "l3", desired)
    remember(guest, OLD_MAC)
    run("ip", "link", "set", "tap00000000-99", "nomaster")
    assert converge(host, "l3", desired).failures == {}
    for address in GATEWAYS.values():
        eventually(lambda a=address: known(guest, a) == "fa:16:3e:00:00:01", what=address)
