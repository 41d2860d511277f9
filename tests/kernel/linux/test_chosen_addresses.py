"""Guests with link-local addresses of their own choice read metadata through our filters.

Such an address is opaque (RFC 7217), not made of the MAC. Two guests may have the same one.
"""

import ctypes
import fcntl
import json
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from a9fe.host_agent.converge import converge
from a9fe.linux.host import Host
from a9fe.linux.kernel import namespace
from a9fe.linux.listeners.proxy_link import ProxyLink
from a9fe.model.resources import METADATA_IPV6, Port, Resource
from a9fe.plan import names
from a9fe.plan.dhcp import namespaces as dhcp
from a9fe.plan.host import HostPlan
from a9fe.plan.parts import Look
from a9fe.plan.routers import namespaces as l3
from a9fe.plan.settings import DhcpSettings, L3Settings
from a9fe.wire.message import Answer, Request
from tests.kit import fake_model as fm
from tests.kit.conditions import eventually
from tests.kit.host_plans import FakeProxy
from tests.lab import frames
from tests.lab.cards import Card, plug
from tests.lab.frames import ACK, ICMPV6, RST, TCP
from tests.lab.handmade import sh
from tests.lab.hostile import CHOSEN, GROUP6, TEMPORARY, ip6, translated
from tests.lab.places import MARK
from tests.lab.proxy import proxy_link

NET, SECOND = fm.network(1), fm.network(2)
V6 = fm.subnet(11, NET, "fd00::/64", "fd00::1", ip_version=6)
OTHER_V6 = fm.subnet(12, SECOND, "fd01::/64", "fd01::1", ip_version=6)
OWN = fm.dhcp_port(1, NET, (V6, "fd00::2"))
ONE, TWO = (fm.port(n, NET, (V6, f"fd00::{n}")) for n in (5, 6))
OPEN = replace(fm.port(8, NET, (V6, "fd00::8")), port_security_enabled=False)
ROUTER = fm.router(1)
LEGS = (
    fm.interface(3, ROUTER, NET, (V6, "fd00::1")),
    fm.interface(4, ROUTER, SECOND, (OTHER_V6, "fd01::1")),
)
FAR = fm.port(9, SECOND, (OTHER_V6, "fd01::9"))
SIOCETHTOOL, ETHTOOL_STXCSUM = 0x8946, 0x17
TIMEOUT = 2  # s
FILLING = "x" * 20_000  # several segments


def named(request: Request) -> Answer:
    """Answer with the client that the proxy sees."""
    client = {"address": request.client_address, "mac": request.client_mac, "more": FILLING}
    return Answer(status=200, body=json.dumps(client).encode())


@dataclass(kw_only=True)
class Guest:
    """A guest with a chosen link-local address only, and a real IP stack."""

    card: Card

    @property
    def port(self) -> Port:
        return self.card.port

    def connect(self, source: str = CHOSEN, number: int = 0) -> socket.socket:
        def connected() -> socket.socket:
            made = socket.socket(socket.AF_INET6)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.settimeout(TIMEOUT)
            index = socket.if_nametoindex("eth0")
            made.bind((source, number, 0, index))
            try:
                made.connect((METADATA_IPV6, 80, 0, index))
            except OSError:
                made.close()
                raise
            return made

        return namespace.call_inside(self.card.space, connected)

    def asks(self, connection: socket.socket) -> dict[str, str]:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: metadata\r\n\r\n")
        data = b""
        while not data.endswith(b"}"):
            got = connection.recv(65536)
            assert got, "the connection was closed"
            data += got
        return json.loads(data.partition(b"\r\n\r\n")[2])

    def reads(self, source: str = CHOSEN) -> dict[str, str]:
        with self.connect(source) as connection:
            return self.asks(connection)

    def reads_its_own(self) -> bool:
        try:
            found = self.reads()
        except OSError:
            return False
        assert found["mac"] == self.port.mac_address
        assert found["address"] == translated(self.port)
        return True


def without_offload(space: str, device: str) -> None:
    """Have the kernel compute checksums, so that the receiver checks them."""

    def change() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            value = ctypes.create_string_buffer(struct.pack("=II", ETHTOOL_STXCSUM, 0))
            request = struct.pack("16sP", device.encode(), ctypes.addressof(value))
            fcntl.ioctl(sock, SIOCETHTOOL, request)

    namespace.call_inside(space, change)


class World:
    """An agent on a host, with the filters of its ports."""

    def __init__(self, link: ProxyLink, confs: str, owner: str, *resources: Resource) -> None:
        self.link, self.confs, self.owner = link, confs, owner
        self.model = fm.FakeModel(resources)
        self.host = Host(link, confs, MARK)
        self.guests: list[Guest] = []
        own = dhcp.plan(self.model, fm.HOST, DhcpSettings(dhcp_confs=confs))
        if owner == "l3":
            others = Host(FakeProxy(), confs, MARK)
            assert converge(others, "dhcp", replace(own, namespaces={})).failures == {}
            settings = L3Settings(ra_confs=str(Path(confs).parent / "ra"))
            own = l3.plan(self.model, fm.HOST, settings)
        self.plan = own

    def is_settled(self) -> bool:
        outcome = converge(self.host, self.owner, self.plan)
        return not outcome.failures and not outcome.applied

    def guest(self, port: Port) -> Guest:
        made = Guest(card=plug(port))
        space = made.card.space
        sh(
            f"""
            ip -n {space} -6 addr flush dev eth0
            ip -n {space} -6 addr add {CHOSEN}/64 dev eth0 nodad
            """
        )
        self.guests.append(made)
        return made

    def end(self) -> None:
        for guest in self.guests:
            guest.card.unplug()
        for owner in ("l3", "dhcp"):
            converge(self.host, owner, HostPlan())


@pytest.fixture
def isolated(confs: str, tmp_path: Path) -> Iterator[World]:
    """A DHCP namespace that serves metadata."""
    bound = fm.bound("dhcp", NET)
    with proxy_link(tmp_path, "dhcp_agent", named) as link:
        world = World(link, confs, "dhcp", NET, V6, OWN, ONE, TWO, OPEN, bound)
        eventually(world.is_settled, what="metadata is usable")
        yield world
        world.end()


@pytest.fixture
def routed(confs: str, tmp_path: Path) -> Iterator[World]:
    """A router with two networks."""
    resources = NET, SECOND, V6, OTHER_V6, ROUTER, *LEGS, ONE, TWO, FAR, fm.bound("l3", ROUTER)
    with proxy_link(tmp_path, "l3_agent", named) as link:
        world = World(link, confs, "l3", *resources)
        eventually(world.is_settled, what="metadata is usable")
        yield world
        world.end()


SPACE = names.dhcp_namespace(NET.id)
DEVICE = names.dhcp_device(OWN.id)


def counter(name: str) -> int:
    shown = json.loads(sh(f"nft -j list counter bridge {MARK.table} refused_{name}"))
    return next(e["counter"]["packets"] for e in shown["nftables"] if "counter" in e)


def neighbours() -> list[str]:
    return sh(f"ip -n {SPACE} -6 neigh show dev {DEVICE}").splitlines()


def test_guests_with_the_same_chosen_address_read_each_its_own(isolated: World) -> None:
    guests = [isolated.guest(port) for port in (ONE, TWO, OPEN)]
    without_offload(guests[0].card.space, "eth0")
    for guest in (*guests, *guests):
        eventually(guest.reads_its_own, what="its metadata")
    without_offload(SPACE, DEVICE)
    for guest in guests:
        assert guest.reads_its_own()
    number = 40_000
    connections = [guest.connect(number=number) for guest in guests]
    for guest, connection in zip(guests, connections, strict=True):
        with connection:
            assert guest.asks(connection)["mac"] == guest.port.mac_address


def test_a_guest_cannot_take_over_a_neighbours_chosen_address(isolated: World) -> None:
    """Before, while and after the neighbour uses it: by its source address, by neighbour
    discovery for it, and by the address that our namespace sees.
    """
    thieves = [isolated.guest(port) for port in (TWO, OPEN)]
    for thief in thieves:
        assert thief.reads_its_own()
        attack(thief)
    victim = isolated.guest(ONE)
    connection = victim.connect(number=41_000)
    for thief in thieves:
        attack(thief)
        with thief.connect(number=41_000) as same:
            assert thief.asks(same)["mac"] == thief.port.mac_address
        attack(thief)
        assert victim.asks(connection)["mac"] == ONE.mac_address
    connection.close()
    for thief in thieves:
        attack(thief)
        assert thief.reads_its_own()
        assert victim.reads_its_own()


def attack(thief: Guest) -> None:
    """Send what could direct the victim's packets to the thief, or end its connection."""
    of, seen = thief.port, translated(ONE)
    lladdr = bytes([2, 1]) + frames.mac(of.mac_address)
    for target in (CHOSEN, seen, "fe80:100::1", "fe80::"):
        for source in (CHOSEN, seen, METADATA_IPV6, "fe80:100::1"):
            body = struct.pack(">BBHI", 136, 0, 0, 0x20000000)
            body += socket.inet_pton(socket.AF_INET6, target) + lladdr
            _send(thief, source, ICMPV6, body, 2)
    ask = struct.pack(">BBHI", 135, 0, 0, 0) + socket.inet_pton(socket.AF_INET6, METADATA_IPV6)
    for source in (CHOSEN, seen):
        for to in (GROUP6, METADATA_IPV6):
            _send(thief, source, ICMPV6, ask + bytes([1, 1]) + lladdr[2:], 2, to)
        for flags in (RST, ACK, RST | ACK):
            for number in (0, 1, 2):
                segment = frames.tcp(41_000, 80, flags, number, b"")
                _send(thief, source, TCP, segment, 16, METADATA_IPV6)


def _send(
    thief: Guest, source: str, kind: int, payload: bytes, at: int, to: str = "ff02::1"
) -> None:
    whole = ip6(thief.port, source, kind, payload, to)
    thief.card.raw.send(whole[:14] + frames.summed(whole[14:], at))


def test_a_flood_of_chosen_addresses_does_not_stop_a_neighbour(isolated: World) -> None:
    """It makes few entries in the neighbour table, which all namespaces of a host share."""
    thief, victim = isolated.guest(TWO), isolated.guest(ONE)
    assert victim.reads_its_own()
    before = counter("solicitation")
    lladdr = bytes([1, 1]) + frames.mac(TWO.mac_address)
    ask = struct.pack(">BBHI", 135, 0, 0, 0) + socket.inet_pton(socket.AF_INET6, METADATA_IPV6)
    for number in range(2000):
        source = f"fe80::1:0:0:{number + 1:x}"
        _send(thief, source, ICMPV6, ask + lladdr, 2, GROUP6)
        _send(thief, source, TCP, frames.tcp(5000, 80, payload=b""), 16, METADATA_IPV6)
    eventually(lambda: counter("solicitation") > before + 1500, what="most are dropped")
    assert len(neighbours()) < 200
    assert victim.reads_its_own()
    for guest in (thief, victim):
        eventually(guest.reads_its_own, what="its metadata")


def test_other_addresses_do_not_reach_metadata(isolated: World) -> None:
    """A temporary address of the subnet's prefix (RFC 8981): port security refuses it, too."""
    guest = isolated.guest(ONE)
    space = guest.card.space
    sh(f"ip -n {space} -6 addr add {TEMPORARY}/64 dev eth0 nodad")
    assert guest.reads_its_own()
    before = counter("metadata")
    with pytest.raises(TimeoutError):
        guest.reads(TEMPORARY)
    assert counter("metadata") > before


def test_a_new_agent_finds_it_all_and_repairs_the_way_back(isolated: World) -> None:
    guest = isolated.guest(ONE)
    connection = guest.connect()
    assert guest.asks(connection)["mac"] == ONE.mac_address
    isolated.host = Host(isolated.link, isolated.confs, MARK)
    assert isolated.is_settled(), "a new agent changes nothing"
    taps = frozenset({names.outer_device(ONE.id)})
    look = Look(namespaces=frozenset(), bridges=frozenset(), taps=taps)
    assert isolated.host.observe("dhcp", look).port_security is not None, "recognised"
    assert guest.asks(connection)["mac"] == ONE.mac_address
    connection.close()
    for damage in ("neigh del fe80:100::1 dev", "-6 route del fe80::/16 dev"):
        sh(f"ip -n {SPACE} {damage} {DEVICE}")
        assert not isolated.is_settled()
        assert isolated.is_settled()
        assert guest.reads_its_own()


def test_a_router_serves_them_on_each_of_its_networks(routed: World) -> None:
    guests = [routed.guest(port) for port in (ONE, TWO, FAR)]
    for guest in (*guests, *guests):
        eventually(guest.reads_its_own, what="its metadata")
