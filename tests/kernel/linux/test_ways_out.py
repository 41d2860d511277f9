"""A router's ways out, with VMs behind it and a server on the provider network, as namespaces."""

import socket
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from a9fe.host_agent.converge import converge
from a9fe.linux.host import Host
from a9fe.linux.kernel import namespace
from a9fe.linux.sweep import clean
from a9fe.model.resources import METADATA_IPV4, HostRoute, Port, Resource
from a9fe.plan import names
from a9fe.plan.dhcp import namespaces as dhcp
from a9fe.plan.routers import namespaces as l3
from a9fe.plan.settings import DhcpSettings, L3Settings
from tests.kit.conditions import eventually
from tests.kit.fake_model import HOST, FakeModel, floating_ip, port
from tests.kit.host_plans import FakeProxy
from tests.kit.provider_network import (
    EXTERNAL,
    GATEWAY,
    NET,
    PROVIDER_MODEL,
    SECOND,
    SECOND_NET,
    SUBNET,
)
from tests.kit.provider_network import ROUTER as BARE_ROUTER
from tests.lab.places import MARK
from tests.lab.tcp import PORT, reached, seen_by, serving

VM = port(5, NET, (SUBNET, "10.1.0.5"))
SECOND_VM = port(6, SECOND_NET, (SECOND, "10.2.0.6"))
ROUTER = replace(
    BARE_ROUTER, routes=(HostRoute(destination="192.0.2.0/24", nexthop="203.0.113.2"),)
)
MODEL: Sequence[Resource] = (*PROVIDER_MODEL, VM, SECOND_VM, ROUTER)
QROUTER = names.router_namespace(ROUTER.id)
QG = names.gateway_device(GATEWAY.id)
MAPPED = {"physnet1": "eth1"}


def run(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def ip(*words: str) -> None:
    run("ip", *words)


class World:
    """A host whose `eth1` leads to the namespace provider, and two VMs on networks of a router.

    The provider has 203.0.113.1 and .2, and 198.51.100.1 and 192.0.2.1 behind them.
    """

    def __init__(self) -> None:
        self.host = Host(FakeProxy(), "/nonexistent", MARK)
        self.model = FakeModel(MODEL)
        ip("netns", "add", "provider")
        ip("link", "add", "eth1", "type", "veth", "peer", "name", "out", "netns", "provider")
        ip("link", "set", "eth1", "up")
        for cidr in ("203.0.113.1/24", "203.0.113.2/24", "198.51.100.1/32", "192.0.2.1/32"):
            ip("-n", "provider", "addr", "add", cidr, "dev", "out")
        ip("-n", "provider", "link", "set", "out", "up")
        self.vms = [self.boot(VM, "vm", "10.1.0.1"), self.boot(SECOND_VM, "second", "10.2.0.1")]
        self.converges()

    def boot(self, of: Port, space: str, router: str) -> str:
        tap = names.outer_device(of.id)
        ip("netns", "add", space)
        ip("link", "add", tap, "type", "veth", "peer", "name", "eth0", "netns", space)
        ip("link", "set", tap, "up")
        ip("-n", space, "link", "set", "eth0", "address", of.mac_address, "up")
        ip("-n", space, "addr", "add", f"{of.fixed_ips[0].ip_address}/24", "dev", "eth0")
        ip("-n", space, "route", "add", "default", "via", router)
        return tap

    def converges(self, *changed: Resource) -> None:
        """Apply the plans of both agents with these resources; nothing is left to do."""
        for resource in changed:
            self.model.put(resource)
        plans = {
            "dhcp": dhcp.plan(
                self.model, HOST, DhcpSettings(dhcp_confs="/d", bridge_mappings=MAPPED)
            ),
            "l3": l3.plan(self.model, HOST, L3Settings(bridge_mappings=MAPPED)),
        }
        for owner, plan in plans.items():
            assert converge(self.host, owner, plan).failures == {}
        for owner, plan in plans.items():
            again = converge(self.host, owner, plan)
            assert (again.applied, again.failures) == ((), {})

    def ends(self) -> None:
        for tap in self.vms:
            ip("link", "del", tap)
        clean("/nonexistent", MARK)
        ip("link", "del", "eth1")
        for space in ("provider", "vm", "second"):
            ip("netns", "del", space)


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.ends()


@pytest.mark.parametrize("far", ["203.0.113.1", "198.51.100.1", "192.0.2.1"])
def test_a_vm_reaches_the_provider_network_with_the_routers_address(world: World, far: str):
    with serving("provider", far) as server:
        assert eventually(lambda: reached("vm", far) == far)
        assert seen_by(server) == "203.0.113.10"


def test_networks_of_one_router_see_each_others_addresses(world: World):
    with serving("second", "10.2.0.6") as server:
        assert eventually(lambda: reached("vm", "10.2.0.6"))
        assert seen_by(server) == "10.1.0.5"


def test_without_snat_the_provider_network_sees_the_vms_address(world: World):
    world.converges(replace(ROUTER, enable_snat=False))
    ip("-n", "provider", "route", "add", "10.1.0.0/24", "via", "203.0.113.10")
    with serving("provider", "203.0.113.1") as server:
        assert eventually(lambda: reached("vm", "203.0.113.1"))
        assert seen_by(server) == "10.1.0.5"
    with serving("vm", "10.1.0.5") as server:
        assert reached("provider", "10.1.0.5")
        assert seen_by(server) == "203.0.113.1"


def test_a_provider_host_cannot_use_the_router_as_its_way_out(world: World):
    assert eventually(lambda: tried_out("203.0.113.1", "vm"))
    ip("-n", "provider", "route", "add", "192.0.2.128/25", "via", "203.0.113.10")
    with packets("provider", "out") as card:
        datagram("provider", "192.0.2.200", "laundered")
        datagram("vm", "203.0.113.1", "last")
        found = frames_until(card, b"last")
    assert not [frame for frame in found if frame.endswith(b"laundered")]


def tried_out(address: str, space: str) -> bool:
    with serving("provider", address):
        return bool(reached(space, address))


def packets(space: str, device: str) -> socket.socket:
    """A packet socket on a device of a namespace."""

    def opened() -> socket.socket:
        card = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        card.bind((device, 3))
        card.settimeout(10)
        return card

    return namespace.call_inside(space, opened)


def datagram(space: str, to: str, text: str, number: int = 7001) -> None:
    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(text.encode(), (to, number))

    namespace.call_inside(space, send)


def frames_until(card: socket.socket, last: bytes) -> list[bytes]:
    """The frames that arrived before the one that ends with `last`."""
    found: list[bytes] = []
    while True:
        frame, where = card.recvfrom(4096)
        if where[2] == socket.PACKET_OUTGOING:
            continue
        if frame.endswith(last):
            return found
        found.append(frame)


def test_metadata_reaches_the_proxy_with_the_vms_address_and_never_the_provider(world: World):
    with serving(QROUTER, "0.0.0.0", 9697) as proxy:
        assert eventually(lambda: reached("vm", METADATA_IPV4, 80))
        assert seen_by(proxy) == "10.1.0.5"
    with packets("provider", "out") as card:
        assert reached("vm", METADATA_IPV4, 81, timeout=0.3) == ""
        datagram("vm", METADATA_IPV4, "stray")
        with pytest.raises(PermissionError):
            datagram(QROUTER, METADATA_IPV4, "own")
        datagram("vm", "203.0.113.1", "last")
        found = frames_until(card, b"last")
    assert not [frame for frame in found if socket.inet_aton(METADATA_IPV4) in frame]


def test_metadata_is_refused_from_the_provider_network(world: World):
    assert eventually(lambda: tried_out("203.0.113.1", "vm"))
    ip("-n", "provider", "route", "add", METADATA_IPV4, "via", "203.0.113.10")
    with serving(QROUTER, "0.0.0.0", 9697) as proxy:
        for number in (80, 9697):
            assert reached("provider", METADATA_IPV4, number, timeout=0.3) == ""
            assert reached("provider", "203.0.113.10", number, timeout=0.3) == ""
        proxy.settimeout(0)
        with pytest.raises(BlockingIOError):
            proxy.accept()


FLOATING = floating_ip(1, EXTERNAL, "203.0.113.77", ROUTER, VM)


def test_a_client_on_the_provider_network_reaches_a_vm_by_its_floating_ip(world: World):
    world.converges(FLOATING)
    with serving("vm", "10.1.0.5") as server:
        assert eventually(lambda: reached("provider", "203.0.113.77") == "203.0.113.77")
        assert seen_by(server) == "203.0.113.1"
    with serving("provider", "198.51.100.1") as server:
        assert reached("vm", "198.51.100.1")
        assert seen_by(server) == "203.0.113.77", "its own way out has the floating IP too"
        assert reached("second", "198.51.100.1")
        assert seen_by(server) == "203.0.113.10"


def test_vms_and_the_router_reach_a_floating_ip_of_their_router(world: World):
    world.converges(FLOATING)
    with serving("vm", "10.1.0.5") as server:
        assert eventually(lambda: reached("second", "203.0.113.77") == "203.0.113.77")
        assert seen_by(server) == "203.0.113.10"
        assert reached("vm", "203.0.113.77"), "also its own"
        assert seen_by(server) == "203.0.113.77"
        assert reached(QROUTER, "203.0.113.77")


def test_a_floating_ip_never_becomes_the_identity_of_a_metadata_request(world: World):
    world.converges(FLOATING)
    with serving(QROUTER, "0.0.0.0", 9697) as proxy:
        assert eventually(lambda: reached("vm", METADATA_IPV4, 80))
        assert seen_by(proxy) == "10.1.0.5"


def test_a_floating_ip_moves_and_goes(world: World):
    world.converges(FLOATING)
    with serving("vm", "10.1.0.5") as server:
        assert eventually(lambda: reached("provider", "203.0.113.77"))
        seen_by(server)
    world.converges(replace(FLOATING, fixed_ip_address="10.2.0.6"))
    with serving("second", "10.2.0.6") as server:
        assert eventually(lambda: reached("provider", "203.0.113.77"))
        assert seen_by(server) == "203.0.113.1"
    world.converges(replace(FLOATING, router_id=None, fixed_ip_address=None))
    assert "203.0.113.77" not in run("ip", "-n", QROUTER, "addr", "show")
    assert "203.0.113.77" not in run("ip", "netns", "exec", QROUTER, "iptables-save")
    with serving("provider", "198.51.100.1") as server:
        assert reached("second", "198.51.100.1")
        assert seen_by(server) == "203.0.113.10"


def connection(space: str, address: str) -> socket.socket:
    """An open connection from a namespace to a server that is reachable."""
    assert eventually(lambda: reached(space, address))
    return namespace.call_inside(
        space, lambda: socket.create_connection((address, PORT), timeout=10)
    )


def is_refused(open_before: socket.socket) -> bool:
    try:
        open_before.sendall(b"x")
    except OSError:
        return True
    return False


@pytest.mark.parametrize("is_moved", [True, False])
def test_connections_end_with_their_floating_ip(world: World, *, is_moved: bool):
    moved = replace(FLOATING, fixed_ip_address="10.2.0.6")
    world.converges(FLOATING)
    with serving("vm", "10.1.0.5"), serving("provider", "198.51.100.1"):
        inwards = connection("provider", "203.0.113.77")
        outwards = connection("vm", "198.51.100.1")
        with inwards, outwards:
            world.converges(moved if is_moved else replace(FLOATING, router_id=None))
            assert eventually(lambda: is_refused(outwards)), "it has another source now"
            if is_moved:
                assert eventually(lambda: is_refused(inwards)), "the other VM does not know it"


def test_a_gateway_comes_and_goes_without_a_trace(world: World):
    world.converges(replace(GATEWAY, device_id=""))
    assert QG not in run("ip", "-n", QROUTER, "addr", "show")
    assert "default" not in run("ip", "-n", QROUTER, "route", "show")
    with serving("second", "10.2.0.6"):
        assert reached("vm", "10.2.0.6"), "the router itself goes on"
    world.converges(GATEWAY)
    with serving("provider", "203.0.113.1"):
        assert eventually(lambda: reached("vm", "203.0.113.1"))
