"""The bridges' filters, tested with raw frames of guests."""

import itertools
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest

from a9fe.host_agent.converge import converge
from a9fe.linux.host import Host
from a9fe.linux.kernel import links, namespace
from a9fe.linux.rulesets.nftables import Unrecognised
from a9fe.model.resources import METADATA_IPV4, METADATA_IPV6, Port
from a9fe.plan import names
from a9fe.plan.dhcp import namespaces as dhcp
from a9fe.plan.filters import admission
from a9fe.plan.filters.connect_limit import ConnectLimit
from a9fe.plan.host import ANY_FILTER, HostPlan, Veth
from a9fe.plan.operations import AddLink, AddNamespace, DeleteNamespace, SetTaps
from a9fe.plan.parts import Look
from a9fe.plan.settings import DhcpSettings
from tests.kit.conditions import eventually
from tests.kit.fake_model import HOST, FakeModel, port
from tests.lab import frames
from tests.lab.cards import card
from tests.lab.frames import ACK, ARP, BROADCAST, ICMPV6, IPV4, IPV6, SYN, TCP, UDP
from tests.lab.hostile import (
    BRIDGE,
    DHCP,
    DROPPED,
    ELSEWHERE,
    GUARDED,
    MODEL,
    NET,
    OPEN,
    OTHER_BRIDGE,
    PAIRED,
    PASSING,
    SUBNET,
    VICTIM,
    arp,
    ip,
    ip6,
    link_local,
    tagged,
)
from tests.lab.places import MARK

_token = itertools.count(1)


def run(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def counter(name: str) -> int:
    shown = json.loads(run("nft", "-j", "list", "counters", "table", "bridge", MARK.table))
    counters = (entry["counter"] for entry in shown["nftables"] if "counter" in entry)
    return next(c["packets"] for c in counters if c["name"] == f"refused_{name}")


@dataclass
class Guest:
    """A namespace whose `eth0` is the peer of a device on a bridge."""

    space: str
    device: str
    raw: socket.socket

    def sends(self, frame: bytes) -> bytes:
        """Send the frame with a unique token in or after it; return the token."""
        token = b"tok%05d" % next(_token)
        marked = frame.replace(frames.MARK, token) if frames.MARK in frame else frame + token
        self.raw.send(marked)
        return token

    def sees(self, token: bytes) -> bool:
        """Whether it is among the frames that arrived since the last call."""
        end = time.monotonic() + 0.05
        while time.monotonic() < end:
            try:
                if token in self.raw.recv(65536):
                    return True
            except TimeoutError:
                return False
        return False

    def hears(self, wanted: Callable[[bytes], bool], until: bytes = b"") -> bool:
        """Whether such a frame arrives before one with `until`, or within a moment."""
        end = time.monotonic() + (10 if until else 0.3)
        while time.monotonic() < end:
            with suppress(TimeoutError):
                data = self.raw.recv(65536)
                if wanted(data):
                    return True
                if until and until in data:
                    return False
        assert not until, f"{until!r} has not come"
        return False


class World:
    """A bridge with our service port, and guests plugged in by device name."""

    def __init__(self, connects: ConnectLimit | None = None) -> None:
        self.host = Host(NoListeners(), "/nonexistent", MARK, connects)
        self.model = FakeModel(MODEL)
        self.guests: list[Guest] = []
        self.converges()
        link = Veth(
            inner="ns-service",
            outer=names.outer_device(DHCP.id),
            bridge=BRIDGE,
            mac=DHCP.mac_address,
            mtu=1500,
        )
        self.host.apply(AddNamespace(namespace="service"))
        self.host.apply(AddLink(namespace="service", link=link))
        self.service = Guest("service", link.outer, card("service", "ns-service"))

    def desired(self) -> HostPlan:
        return dhcp.plan(self.model, HOST, DhcpSettings(dhcp_confs="/nonexistent"))

    def converges(self) -> None:
        assert converge(self.host, "dhcp", self.desired()).failures == {}
        again = converge(self.host, "dhcp", self.desired())
        assert (again.applied, again.failures) == ((), {})

    def plug(self, device: str, bridge: str = BRIDGE) -> Guest:
        space = f"vm{len(self.guests)}"
        namespace.create(space, MARK)
        namespace.call_inside(
            space, lambda: namespace.write_sysctl("net/ipv6/conf/default/disable_ipv6", "1")
        )
        run("ip", "link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", space)
        run("ip", "-n", space, "link", "set", "eth0", "up")
        run("ip", "link", "set", device, *(("master", bridge) if bridge else ()), "up")
        guest = Guest(space, device, card(space, "eth0"))
        self.guests.append(guest)
        return guest

    def vm(self, of: Port) -> Guest:
        return self.plug(names.outer_device(of.id))

    def passes(
        self, guest: Guest, frame: bytes, to: Guest | None = None, what: str = "the frame"
    ) -> None:
        receiver = to or self.service
        token = guest.sends(frame)
        eventually(lambda: receiver.sees(token), what=f"{what} arrives")

    def drops(
        self,
        guest: Guest,
        frame: bytes,
        reason: str,
        to: Guest | None = None,
        what: str = "the frame",
    ) -> None:
        receiver, before = to or self.service, counter(reason)
        token = guest.sends(frame)
        eventually(lambda: counter(reason) > before, what=f"{what} is counted as {reason}")
        assert not receiver.sees(token), what

    def end(self) -> None:
        for guest in (*self.guests, self.service):
            guest.raw.close()
            subprocess.run(["ip", "link", "del", guest.device], check=False, capture_output=True)
            namespace.delete(guest.space, MARK)
        self.host.apply(DeleteNamespace(namespace="service"))
        converge(self.host, "dhcp", HostPlan())


class NoListeners:
    """A proxy without listeners."""

    def open(self, listener: object) -> None: ...

    def close(self, listener: object) -> None: ...

    def observed(self, cookies: object, spaces: object = None) -> dict[str, frozenset[object]]:
        return {}


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.end()


def test_what_a_guest_may_send(world: World) -> None:
    guests = {of.id: world.vm(of) for of in (GUARDED, PAIRED, OPEN)}
    for what, (of, frame) in PASSING.items():
        world.passes(guests[of.id], frame, what=what)


def test_what_a_guest_may_not_send(world: World) -> None:
    guests = {of.id: world.vm(of) for of in (GUARDED, PAIRED, OPEN)}
    tokens: list[bytes] = []
    for reason in sorted({reason for _, _, reason in DROPPED.values()}):
        group = {what: row for what, row in DROPPED.items() if row[2] == reason}
        wanted = counter(reason) + len(group)
        tokens += [guests[of.id].sends(frame) for of, frame, _ in group.values()]
        eventually(
            lambda reason=reason, wanted=wanted: counter(reason) == wanted,
            what=f"each is counted once as {reason}: {', '.join(group)}",
        )
    end = guests[GUARDED.id].sends(arp(GUARDED, "10.1.0.5"))
    assert not world.service.hears(lambda data: any(t in data for t in tokens), until=end)


@pytest.fixture
def limited() -> Iterator[World]:
    made = World(ConnectLimit(rate=1, burst=5))
    yield made
    made.end()


def test_connections_of_a_vm_above_its_rate_are_dropped(limited: World) -> None:
    """Packets of its connections pass, and other VMs connect. An IPv6 connection counts, too."""

    def segment(of: Port, address: str, flags: int) -> bytes:
        packet = frames.ipv4(address, METADATA_IPV4, TCP, frames.tcp(5000, 80, flags))
        return frames.ether(DHCP.mac_address, of.mac_address, IPV4, packet)

    noisy, other = limited.vm(GUARDED), limited.vm(VICTIM)
    syn = segment(GUARDED, "10.1.0.5", SYN)
    for _ in range(5):
        limited.passes(noisy, syn)
    own = link_local(GUARDED.mac_address)
    syn6 = ip6(GUARDED, own, TCP, frames.tcp(5000, 80, SYN), METADATA_IPV6)
    for frame in (syn, syn6, syn.replace(b"\x50\x02", b"\x50\xc2")):
        before = counter("rate")
        eventually(lambda f=frame, n=before: noisy.sends(f) and counter("rate") > n, what="drops")
    for flags in (ACK, SYN | ACK):
        limited.passes(noisy, segment(GUARDED, "10.1.0.5", flags))
    limited.passes(other, segment(VICTIM, "10.1.0.6", SYN))
    limited.converges()


def test_metadata_answers_reach_only_the_tap_that_asked(world: World) -> None:
    """A VM sees no answer to a neighbour, neither by flooding nor with a stolen MAC.

    The bridge learns MACs, so a VM that sends from a neighbour's MAC gets its frames.
    """
    victim, thief, other = world.vm(VICTIM), world.vm(OPEN), world.vm(GUARDED)
    answer = frames.ipv4(METADATA_IPV4, "10.1.0.6", UDP, frames.udp(80, 5000))
    to_victim = frames.ether(VICTIM.mac_address, DHCP.mac_address, IPV4, answer)
    before = counter("metadata")
    token = world.service.sends(to_victim)
    eventually(lambda: victim.sees(token), what="the flooded answer arrives")
    assert not thief.sees(token)
    assert not other.sees(token)
    assert counter("metadata") == before + 2
    world.passes(thief, ip(OPEN, "10.1.0.99", "10.1.0.2", mac=VICTIM.mac_address))
    world.drops(world.service, to_victim, "metadata", to=thief, what="the stolen answer")
    world.passes(victim, ip(VICTIM, "10.1.0.6", "10.1.0.2"))
    world.passes(world.service, to_victim, to=victim)
    asked = ip(VICTIM, "10.1.0.6", METADATA_IPV4)
    to_unknown = frames.mac("02:00:00:00:00:99") + asked[6:]
    world.drops(victim, to_unknown, "metadata", to=thief, what="the flooded request")


def test_ipv6_metadata_answers_reach_only_the_tap_that_asked(world: World) -> None:
    victim, thief = world.vm(VICTIM), world.vm(OPEN)
    address = link_local(VICTIM.mac_address)
    answer = frames.ipv6(METADATA_IPV6, address, UDP, frames.udp(80, 5000))
    to_victim = frames.ether(VICTIM.mac_address, DHCP.mac_address, IPV6, answer)
    before = counter("metadata")
    token = world.service.sends(to_victim)
    eventually(lambda: victim.sees(token), what="the flooded answer arrives")
    assert not thief.sees(token)
    assert counter("metadata") == before + 1
    world.passes(thief, ip(OPEN, "10.1.0.99", "10.1.0.2", mac=VICTIM.mac_address))
    world.drops(world.service, to_victim, "metadata", to=thief, what="the stolen answer")
    world.passes(victim, ip(VICTIM, "10.1.0.6", "10.1.0.2"))
    world.passes(world.service, to_victim, to=victim)
    asked = ip6(VICTIM, address, UDP, frames.udp(5000, 80), METADATA_IPV6)
    world.drops(victim, asked, "metadata", to=thief, what="the flooded request")
    neighbour = frames.ipv6(METADATA_IPV6, address, ICMPV6, frames.icmpv6(136, METADATA_IPV6))
    here = frames.ether(VICTIM.mac_address, DHCP.mac_address, IPV6, neighbour)
    world.passes(world.service, here, to=victim, what="where metadata is")


def learned(device: str) -> set[str]:
    """The MACs that a bridge has learned on a device of it."""
    shown = json.loads(run("bridge", "-j", "fdb", "show", "dev", device))
    return {entry["mac"] for entry in shown if "state" not in entry or not entry["state"]}


def flood(guest: Guest, of: Port, count: int) -> None:
    """Send from many MACs to the guest's own, so that no receiver's queue overflows."""
    packet = frames.ipv4(of.fixed_ips[0].ip_address, "10.1.0.2", UDP, frames.udp(5000, 80))
    for number in range(count):
        mac = f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}"
        guest.raw.send(frames.ether(of.mac_address, mac, IPV4, packet))


def test_a_guarded_tap_teaches_the_bridge_no_macs(world: World) -> None:
    guest, open_one = world.vm(GUARDED), world.vm(OPEN)
    world.passes(guest, arp(GUARDED, "10.1.0.5"))
    world.passes(open_one, arp(OPEN, "10.1.0.8"))
    before = counter("mac")
    flood(guest, GUARDED, 300)
    eventually(lambda: counter("mac") == before + 300, what="all are dropped")
    assert learned(guest.device) == {GUARDED.mac_address}
    flood(open_one, OPEN, 300)
    world.passes(open_one, arp(OPEN, "10.1.0.8"))
    assert len(learned(open_one.device)) == 301, "the attack works"


def test_a_bridge_learns_no_more_macs_than_its_bound(world: World) -> None:
    """Kernels before 6.8 have no bound."""
    guest = world.vm(OPEN)
    world.passes(guest, arp(OPEN, "10.1.0.8"))
    flood(guest, OPEN, links.MOST_LEARNED + 100)
    world.passes(guest, arp(OPEN, "10.1.0.8"))
    has_bound = tuple(map(int, os.uname().release.split(".")[:2])) >= (6, 8)
    assert has_bound == (len(learned(guest.device)) <= links.MOST_LEARNED)


def test_a_device_that_is_not_known_is_dropped_without_any_agent(world: World) -> None:
    """Plugged in while no agent runs: a device of another name, and a port of another host."""
    guarded = world.vm(GUARDED)
    strangers = world.plug("vnet0"), world.vm(ELSEWHERE)
    run("ip", "link", "set", strangers[1].device, "group", str(MARK.vm_group))
    for stranger in strangers:
        world.drops(stranger, arp(ELSEWHERE, "10.1.0.9"), "stranger")
        world.drops(stranger, ip(ELSEWHERE, "10.1.0.9", METADATA_IPV4), "stranger")
        world.drops(guarded, arp(GUARDED, "10.1.0.5"), "stranger", to=stranger)
        world.passes(guarded, arp(GUARDED, "10.1.0.5"))


def test_a_tap_whose_port_is_deleted_is_dropped(world: World) -> None:
    guest = world.vm(GUARDED)
    world.passes(guest, arp(GUARDED, "10.1.0.5"))
    world.model.drop(GUARDED)
    world.converges()
    world.drops(guest, arp(GUARDED, "10.1.0.5"), "stranger")


def test_unknown_devices_are_kept_apart_and_named(world: World) -> None:
    one, two = world.plug("vnet0"), world.vm(ELSEWHERE)
    misplaced = world.plug(names.outer_device(VICTIM.id), OTHER_BRIDGE)
    desired = world.desired()
    assert converge(world.host, "dhcp", desired).failures == {}
    observed = world.host.observe("dhcp")
    found = {r.device: r for r in admission.refused(world.model, HOST, desired, observed)}
    assert found.keys() == {one.device, two.device, misplaced.device}
    assert found["vnet0"].network == NET.id
    assert "expected the name tap" in found["vnet0"].reason
    assert "bound to host node2" in found[two.device].reason
    assert f"belongs on bridge {BRIDGE}" in found[misplaced.device].reason
    assert converge(world.host, "dhcp", desired).applied == ()
    frame = arp(ELSEWHERE, "10.1.0.9")
    world.drops(one, frame, "stranger")
    assert not two.sees(one.sends(frame))
    run("ip", "link", "set", misplaced.device, "master", BRIDGE)
    world.converges()
    world.passes(misplaced, arp(VICTIM, "10.1.0.6"))


def test_a_bridge_of_somebody_else_is_left_alone(world: World) -> None:
    run("ip", "link", "add", "virbr0", "type", "bridge", "stp_state", "0", "forward_delay", "0")
    run("ip", "link", "set", "virbr0", "up")
    try:
        one, two = world.plug("vnet0", "virbr0"), world.plug("vnet1", "virbr0")
        world.converges()
        world.passes(one, arp(VICTIM, "10.1.0.1"), to=two)
        world.passes(one, tagged(arp(VICTIM, "10.1.0.1"), 0x8100), to=two)
    finally:
        run("ip", "link", "del", "virbr0")


@pytest.mark.parametrize("of", [GUARDED, OPEN, ELSEWHERE], ids=["guarded", "open", "unknown"])
def test_the_hosts_own_stack_is_unreachable(world: World, of: Port) -> None:
    """The host's address on another device gets no ARP reply and no packet; none is forwarded."""
    guest = world.vm(of)
    lan = world.plug("lan0", "")
    run("ip", "address", "add", "10.98.0.1/24", "dev", "lan0")
    run("ip", "neighbour", "add", "10.98.0.2", "lladdr", BROADCAST, "dev", "lan0")
    run("ip", "address", "add", "10.99.0.1/24", "dev", "lo")
    run("ip", "address", "add", "fd99::1/64", "dev", "lo")
    namespace.in_thread(lambda: namespace.write_sysctl("net/ipv4/ip_forward", "1"))
    address = of.fixed_ips[0].ip_address
    try:
        for setting in ("rp_filter", "arp_ignore"):  # not only by them
            for device in ("all", BRIDGE):
                path = f"net/ipv4/conf/{device}/{setting}"
                namespace.in_thread(lambda path=path: namespace.write_sysctl(path, "0"))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("0.0.0.0", 5353))
            server.settimeout(0.2)
            tokens: list[bytes] = []
            bridge_mac = run("cat", f"/sys/class/net/{BRIDGE}/address").strip()
            for to in (bridge_mac, BROADCAST, "01:80:c2:00:00:0e"):
                for far in ("10.99.0.1", "10.98.0.2"):
                    packet = frames.ipv4(address, far, UDP, frames.udp(5353, 5353))
                    tokens.append(guest.sends(frames.ether(to, of.mac_address, IPV4, packet)))
                guest.sends(
                    frames.ether(
                        to,
                        of.mac_address,
                        ARP,
                        frames.arp(1, of.mac_address, address, "10.99.0.1"),
                    )
                )
            with pytest.raises(TimeoutError):
                server.recv(2048)
            server.sendto(b"the end", ("10.98.0.2", 9))
        assert not lan.hears(lambda data: any(t in data for t in tokens), until=b"the end")
        assert not guest.hears(lambda data: data[12:14] == b"\x08\x06")
    finally:
        run("ip", "address", "del", "10.99.0.1/24", "dev", "lo")
        run("ip", "address", "del", "fd99::1/64", "dev", "lo")


def test_the_l3_agent_alone_leaves_no_bridge_unfiltered(world: World) -> None:
    run("nft", "delete", "table", "bridge", MARK.table)
    desired = HostPlan(bridges=world.desired().bridges, port_security=ANY_FILTER)
    assert converge(world.host, "l3", desired).failures == {}
    assert converge(world.host, "l3", desired).applied == ()
    world.drops(world.vm(GUARDED), arp(GUARDED, "10.1.0.5"), "stranger")
    world.converges()
    assert converge(world.host, "l3", desired).applied == ()
    world.passes(world.guests[-1], arp(GUARDED, "10.1.0.5"))


def test_counters_go_on_when_ports_change_and_another_agent_takes_over(world: World) -> None:
    guest = world.vm(GUARDED)
    world.drops(guest, arp(GUARDED, "10.1.0.6"), "arp")
    world.model.put(port(20, NET, (SUBNET, "10.1.0.20")))
    world.converges()
    assert counter("arp") == 1
    world.host = Host(NoListeners(), "/nonexistent", MARK)
    assert converge(world.host, "dhcp", world.desired()).applied == ()
    look = Look(namespaces=frozenset(), bridges=frozenset(), taps=frozenset({guest.device}))
    assert world.host.observe("dhcp", look).port_security is not None, "recognised by the marker"
    world.host.apply(SetTaps(taps={guest.device: None}))
    world.drops(guest, arp(GUARDED, "10.1.0.5"), "stranger")
    run("nft", "delete", "table", "inet", MARK.table)
    with pytest.raises(Unrecognised):
        world.host.apply(SetTaps(taps={guest.device: None}))
    world.converges()
