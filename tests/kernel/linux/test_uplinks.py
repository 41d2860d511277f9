"""Flat networks reach their physical network, by an interface or by a bridge of the operator."""

import socket
import subprocess
from collections.abc import Iterator

import pytest

from a9fe.host_agent.converge import Outcome, converge
from a9fe.linux.host import Host
from a9fe.linux.kernel import namespace, rtnetlink
from a9fe.linux.kernel.links import LinkError
from a9fe.linux.sweep import clean
from a9fe.plan import names
from a9fe.plan.bridges import bridges
from a9fe.plan.filters import port_security
from a9fe.plan.host import HostPlan, Uplink
from a9fe.plan.operations import SetUplink, uplink_scope
from tests.kit.conditions import eventually
from tests.kit.fake_model import HOST, FakeModel, network, port, subnet
from tests.kit.host_plans import FakeProxy
from tests.lab.places import MARK
from tests.lab.tcp import reached, serving

NET = network(1, network_type="flat", physical_network="physnet1")
SUBNET = subnet(1, NET, "203.0.113.0/24", "203.0.113.1")
VM = port(5, NET, (SUBNET, "203.0.113.5"))
MODEL = FakeModel([NET, SUBNET, VM])
BRIDGE, TAP = names.bridge(NET.id), names.outer_device(VM.id)
METADATA = "169.254.169.254"


def run(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def ip(*words: str) -> None:
    run("ip", *words)


def desired(device: str) -> HostPlan:
    return HostPlan(
        bridges=bridges(MODEL, NET.id),
        uplinks=frozenset({Uplink(bridge=BRIDGE, device=device, physical_network="physnet1")}),
        port_security=port_security.of_network(
            MODEL.ports_by_network(NET.id), MODEL.subnets_by_network(NET.id), HOST
        ),
        taps={TAP: BRIDGE},
    )


class Place:
    """A host with `eth1`, whose other end is `out` in the namespace provider, and a VM."""

    def __init__(self) -> None:
        self.host = Host(FakeProxy(), "/nonexistent", MARK)
        for space in ("provider", "vm"):
            ip("netns", "add", space)
        ip("link", "add", "eth1", "type", "veth", "peer", "name", "out", "netns", "provider")
        ip("link", "set", "eth1", "up")
        ip("link", "add", TAP, "type", "veth", "peer", "name", "eth0", "netns", "vm")
        ip("link", "set", TAP, "up")
        ip("-n", "vm", "link", "set", "eth0", "address", VM.mac_address)
        for space, device, last in (("provider", "out", 1), ("vm", "eth0", 5)):
            ip("-n", space, "addr", "add", f"203.0.113.{last}/24", "dev", device)
            ip("-n", space, "link", "set", device, "up")

    def converges(self, plan: HostPlan) -> Outcome:
        """Return the first pass. A later one clears the isolation of an unknown device."""
        outcome = converge(self.host, "dhcp", plan)
        if not outcome.failures:
            assert any(converge(self.host, "dhcp", plan).settled for _ in range(2))
        return outcome

    def ends(self) -> None:
        ip("link", "del", TAP)
        converge(self.host, "dhcp", HostPlan())
        assert not namespace.in_thread(lambda: rtnetlink.find(names.uplink(BRIDGE)))
        for device in ("eth1", "br-ex"):
            subprocess.run(["ip", "link", "del", device], check=False, capture_output=True)
        for space in ("provider", "vm"):
            ip("netns", "del", space)


@pytest.fixture
def place() -> Iterator[Place]:
    made = Place()
    yield made
    made.ends()


@pytest.fixture
def br_ex(place: Place) -> str:
    """A bridge of the operator with `eth1` on it, and with an address of the host."""
    ip("link", "add", "br-ex", "type", "bridge")
    ip("link", "set", "eth1", "master", "br-ex")
    ip("addr", "add", "203.0.113.2/24", "dev", "br-ex")
    ip("link", "set", "br-ex", "up")
    return "br-ex"


def connects(here: str, there: str) -> bool:
    """Whether TCP from one namespace reaches the other's address."""
    address = {"provider": "203.0.113.1", "vm": "203.0.113.5"}[there]
    with serving(there, address):
        return bool(reached(here, address, timeout=2))


def state(name: str) -> object:
    """What an operator sees of a device, without the devices on it."""
    found = namespace.in_thread(lambda: rtnetlink.find(name))
    addresses = run("ip", "-brief", "addr", "show", "dev", name)
    return found, addresses, run("bridge", "link", "show", "dev", name)


def test_a_vm_reaches_the_physical_network_by_an_interface(place: Place):
    assert place.converges(desired("eth1")).failures == {}
    assert eventually(lambda: connects("vm", "provider"))
    assert connects("provider", "vm")


def test_a_vm_reaches_it_by_a_bridge_which_is_left_as_it_was(place: Place, br_ex: str):
    before = state(br_ex), state("eth1")
    assert place.converges(desired(br_ex)).failures == {}
    assert eventually(lambda: connects("vm", "provider"))
    assert (state(br_ex), state("eth1")) == before
    swept = clean("/nonexistent", MARK)
    assert f"uplink of {BRIDGE} to {br_ex}" in swept.removed
    assert (state(br_ex), state("eth1")) == before
    assert namespace.in_thread(lambda: rtnetlink.find(names.uplink_peer(BRIDGE))) is None


def test_clean_gives_the_interface_back(place: Place):
    before = state("eth1")
    place.converges(desired("eth1"))
    assert state("eth1") != before
    clean("/nonexistent", MARK)
    assert state("eth1") == before


@pytest.mark.parametrize("mapped", ["eth1", "br-ex"])
def test_metadata_frames_pass_an_uplink_in_no_direction(place: Place, mapped: str, request):
    if mapped == "br-ex":
        request.getfixturevalue("br_ex")
    place.converges(desired(mapped))
    assert eventually(lambda: connects("vm", "provider"))
    listener = namespace.call_inside("provider", lambda: packets("out"))
    guest = namespace.call_inside("vm", lambda: packets("eth0"))
    own = run("ip", "-n", "provider", "-json", "link", "show", "out").partition('"address":"')[2]
    ip("-n", "vm", "route", "add", METADATA, "via", "203.0.113.1")
    ip("-n", "provider", "addr", "add", f"{METADATA}/32", "dev", "out")
    ip("-n", "vm", "neigh", "replace", "203.0.113.1", "lladdr", own[:17], "dev", "eth0")
    with listener, guest:
        namespace.call_inside("vm", lambda: datagram(METADATA, METADATA))
        namespace.call_inside("vm", lambda: datagram("203.0.113.1", "last"))
        assert tokens(listener, b"last") == []
        namespace.call_inside(
            "provider", lambda: datagram("203.0.113.5", METADATA, source=METADATA)
        )
        namespace.call_inside("provider", lambda: datagram("203.0.113.5", "last"))
        assert tokens(guest, b"last") == []


def packets(device: str) -> socket.socket:
    found = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    found.bind((device, 3))
    found.settimeout(10)
    return found


def datagram(to: str, text: str, source: str = "") -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((source, 0))
        sender.sendto(text.encode(), (to, 7001))


def tokens(received: socket.socket, last: bytes) -> list[bytes]:
    """The frames with the metadata address that came before the datagram `last`."""
    found: list[bytes] = []
    address = socket.inet_aton(METADATA)
    while True:
        frame, where = received.recvfrom(2048)
        if where[2] == socket.PACKET_OUTGOING:
            continue
        if frame.endswith(last):
            return found
        if address in frame:
            found.append(frame)


@pytest.mark.parametrize(
    ("device", "commands", "reason"),
    [
        ("", [], "physical network physnet1: not in bridge_mappings of this host"),
        ("eth9", [], "physical network physnet1: eth9 (bridge_mappings) does not exist"),
        ("lo", [], "is not an interface or bridge of the operator"),
        (BRIDGE, [], "is not an interface or bridge of the operator"),
        ("eth1", ["addr add 192.0.2.1/24 dev eth1"], "has the address 192.0.2.1/24"),
        (
            "eth1",
            ["link add br-ex type bridge", "link set eth1 master br-ex"],
            "is on br-ex; map that bridge",
        ),
        ("eth1", ["link set eth1 group 7"], "is in device group 7"),
    ],
)
def test_a_device_that_cannot_be_used_is_refused_with_the_reason(
    place: Place, device: str, commands: list[str], reason: str
):
    for command in commands:
        ip(*command.split())
    before = state("eth1")
    outcome = place.converges(desired(device))
    assert reason in outcome.failures.get(uplink_scope(BRIDGE), ""), outcome.failures
    assert state("eth1") == before
    assert run("bridge", "link", "show", "dev", TAP).find(f"master {BRIDGE}") > 0, "the rest works"


@pytest.mark.parametrize("mapped", ["eth1", "br-ex"])
@pytest.mark.parametrize(
    "command", ["link set {0} down", "link set {0} nomaster", "link set {0} group 0"]
)
def test_a_damaged_uplink_is_repaired(place: Place, mapped: str, command: str, request):
    if mapped == "br-ex":
        request.getfixturevalue("br_ex")
    place.converges(desired(mapped))
    ip(*command.format("eth1" if mapped == "eth1" else names.uplink(BRIDGE)).split())
    outcome = place.converges(desired(mapped))
    assert outcome.failures == {}
    assert not outcome.settled
    assert eventually(lambda: connects("vm", "provider"))


def test_an_interface_that_the_operator_takes_away_leaves_our_group(place: Place):
    place.converges(desired("eth1"))
    ip("link", "add", "br-ex", "type", "bridge")
    ip("link", "set", "eth1", "master", "br-ex")
    outcome = place.converges(desired("eth1"))
    assert "is on br-ex" in outcome.failures[uplink_scope(BRIDGE)]
    found = namespace.in_thread(lambda: rtnetlink.find("eth1"))
    assert found is not None
    assert found.group == 0


def test_it_leaves_our_group_also_if_only_its_network_is_looked_at(place: Place):
    place.converges(desired("eth1"))
    ip("link", "add", "br-ex", "type", "bridge")
    ip("link", "set", "eth1", "master", "br-ex")
    (uplink,) = desired("eth1").uplinks
    with pytest.raises(LinkError, match="is on br-ex"):
        place.host.apply(SetUplink(uplink=uplink))
    assert "group" not in run("ip", "link", "show", "dev", "eth1").replace("group default", "")
    assert run("bridge", "link", "show", "dev", "eth1").find("master br-ex") > 0


def test_a_changed_mapping_moves_the_uplink(place: Place, br_ex: str):
    place.converges(desired(br_ex))
    ip("link", "set", "eth1", "nomaster")
    assert place.converges(desired("eth1")).failures == {}
    assert eventually(lambda: connects("vm", "provider"))
    assert namespace.in_thread(lambda: rtnetlink.find(names.uplink(BRIDGE))) is None
