"""The DHCP namespace of a network with a real dnsmasq, asked by raw frames of its guests."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from a9fe.host_agent.converge import Outcome, converge
from a9fe.linux.dhcp import dnsmasq
from a9fe.linux.host import Host
from a9fe.model.resources import DhcpOption, HostRoute, Resource
from a9fe.plan import names
from a9fe.plan.dhcp import dnsmasq_lines
from a9fe.plan.dhcp import namespaces as dhcp
from a9fe.plan.host import HostPlan
from a9fe.plan.settings import DhcpSettings
from tests.kit.conditions import eventually
from tests.kit.fake_model import (
    HOST,
    FakeModel,
    bound,
    dhcp_port,
    interface,
    network,
    port,
    router,
    subnet,
)
from tests.kit.host_plans import FakeProxy
from tests.lab import frames
from tests.lab.cards import Card, plug
from tests.lab.dhcp_client import ACK, OFFER, REQUEST, ask, routes
from tests.lab.frames import ARP, BROADCAST
from tests.lab.places import MARK

NET = network(1, mtu=1442)
FIRST = subnet(1, NET, "10.1.0.0/24", "10.1.0.1", created_at="2026-01-01T00:00:01Z")
SECOND = subnet(2, NET, "10.2.0.0/20", None, created_at="2026-01-01T00:00:02Z")
THIRD = subnet(3, NET, "10.3.0.0/16", None, created_at="2026-01-01T00:00:03Z")
OWN = dhcp_port(1, NET, (FIRST, "10.1.0.2"))
VM = port(5, NET, (FIRST, "10.1.0.5"))
OPEN = port(6, NET, (FIRST, "10.1.0.6"), port_security_enabled=False)
LEG = interface(7, router(1), NET, (FIRST, "10.1.0.1"))
PLAIN: list[Resource] = [NET, FIRST, OWN, VM, OPEN, bound("dhcp", NET)]
ANSWER = bytes.fromhex("0806 0001 0800 06 04 0002")  # of ARP
FAR = HostRoute(destination="10.9.0.0/17", nexthop="10.1.0.9")


class World:
    """A host that serves NET, and guests on it."""

    def __init__(self, directory: Path) -> None:
        self.host = Host(FakeProxy(), str(directory), MARK)
        self.settings = DhcpSettings(dhcp_confs=str(directory))
        assert self.serves().failures == {}
        self.vm, self.open = plug(VM), plug(OPEN)

    def serves(self, *resources: Resource) -> Outcome:
        plan = dhcp.plan(FakeModel([*PLAIN, *resources]), HOST, self.settings)
        return converge(self.host, "dhcp", plan)

    @property
    def pid(self) -> int | None:
        return dnsmasq.DAEMON.pid_of(f"{self.settings.dhcp_confs}/{NET.id}")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    for path in (tmp_path, *tmp_path.parents[:2]):
        path.chmod(0o755)
    made = World(tmp_path)
    yield made
    made.vm.unplug()
    made.open.unplug()
    converge(made.host, "dhcp", HostPlan())


def test_every_option_has_its_exact_bytes(world: World) -> None:
    extra = (DhcpOption(opt_name="ntp-server", opt_value="10.1.0.4"),)
    first = replace(FIRST, host_routes=(FAR,), dns_nameservers=("0.0.0.0",))
    world.serves(first, SECOND, THIRD, replace(VM, extra_dhcp_opts=extra))
    eventually(lambda: 42 in ask(world.vm.raw, world.vm.mac), what="dnsmasq has read the options")
    told = ask(world.vm.raw, world.vm.mac)
    assert told[53][0] == OFFER
    assert told[121] == told[249]
    assert told[121] == bytes.fromhex(
        "10 0a03 00000000"  # the other subnets, on-link, the latest first
        "14 0a0200 00000000"
        "11 0a0900 0a010009"
        "20 a9fea9fe 0a010002"
        "00 0a010001"
    )
    assert (told[3], told[26], told[42]) == (
        bytes((10, 1, 0, 1)),
        (1442).to_bytes(2, "big"),
        bytes((10, 1, 0, 4)),
    )
    assert 6 not in told
    assert 42 not in ask(world.open.raw, world.open.mac)


def test_an_address_that_goes_to_another_mac_is_leased_to_it(world: World) -> None:
    """dnsmasq would refuse it until the former lease ends."""
    guest, address = world.vm.raw, "10.1.0.5"
    other = replace(VM, mac_address="fa:16:3e:00:00:77")
    assert ask(guest, VM.mac_address, REQUEST, address)[53][0] == ACK
    world.serves(other)
    eventually(
        lambda: ask(guest, other.mac_address).get(53, b"")[:1] == bytes((OFFER,)), what="an offer"
    )
    assert ask(guest, other.mac_address, REQUEST, address)[53][0] == ACK


def test_changes_reach_it_by_reload_and_others_keep_the_leases(world: World) -> None:
    """A client that renews is answered after each change; only some changes restart dnsmasq."""
    guest, running = world.vm.raw, world.pid
    assert ask(guest, VM.mac_address, REQUEST, "10.1.0.5")[53][0] == ACK
    reloads: dict[str, list[Resource]] = {
        "a port": [port(8, NET, (FIRST, "10.1.0.8"))],
        "an option of a port": [
            replace(VM, extra_dhcp_opts=(DhcpOption(opt_name="42", opt_value="10.1.0.4"),))
        ],
        "a gateway": [replace(FIRST, gateway_ip="10.1.0.254")],
        "host routes": [replace(FIRST, host_routes=(FAR,))],
        "name servers": [replace(FIRST, dns_nameservers=("9.9.9.9",))],
        "a router": [LEG],
        "a subnet without DHCP": [replace(SECOND, enable_dhcp=False)],
    }
    for change in reloads.values():
        world.serves(*change)

    def told() -> list[tuple[str, str]]:
        return routes(ask(guest, VM.mac_address, REQUEST, "10.1.0.5")[121])

    eventually(lambda: ("10.2.0.0/20", "0.0.0.0") in told(), what="the last change")
    assert world.pid == running
    for restarts in ([SECOND], [replace(NET, mtu=1400)]):
        world.serves(*restarts)
        assert world.pid not in (None, running)
        assert ask(guest, VM.mac_address, REQUEST, "10.1.0.5")[53][0] == ACK
        running = world.pid


@pytest.mark.parametrize(
    ("form", "kept"), [("10.9.{}.0/24", 23), ("10.9.{}.1/32", 20), ("10.{}.0.0/16", 26)]
)
def test_300_host_routes_leave_the_metadata_route(world: World, form: str, kept: int) -> None:
    """Also for a client that takes answers of 576 bytes only, with all other options."""
    hops = [HostRoute(destination=form.format(n % 256), nexthop="10.1.0.9") for n in range(300)]
    outcome = world.serves(replace(FIRST, host_routes=tuple(hops)))

    def told() -> list[tuple[str, str]]:
        asked = bytes((1, 3, 6, 12, 15, 26, 28, 51, 121))
        return routes(ask(world.vm.raw, world.vm.mac, asked=asked, largest=576)[121])

    eventually(lambda: len(told()) > 2, what="dnsmasq has read the options")
    assert told() == [
        *((h.destination, h.nexthop) for h in hops[:kept]),
        ("169.254.169.254/32", "10.1.0.2"),
        ("0.0.0.0/0", "10.1.0.1"),
    ]
    (plan,) = outcome.desired.namespaces.values()
    assert plan.dnsmasq is not None
    assert f"the last {300 - kept} of 300 host routes" in plan.dnsmasq.left_out[0]


@pytest.mark.parametrize("mtu", [1280, 65535])
def test_the_smallest_and_the_largest_mtu(world: World, mtu: int) -> None:
    assert world.serves(replace(NET, mtu=mtu)).failures == {}
    assert ask(world.vm.raw, world.vm.mac)[26] == mtu.to_bytes(2, "big")


def test_dnsmasq_takes_every_option_that_we_write(world: World, tmp_path: Path) -> None:
    """It ignores lines that it does not understand, and says so in its log only."""
    lines = [
        f"tag:x,{','.join(dnsmasq_lines.option(name, value))}"
        for name in dnsmasq_lines.OPTION_NUMBERS
        for value in ("10.1.0.4,10.1.0.5", "7", "text")
        if taken(name, value)
    ]
    assert len(lines) > 100
    log, options = tmp_path / "log", tmp_path / "options"
    options.write_text("\n".join(lines) + "\n")
    argv = ["dnsmasq", "--conf-file=/dev/null", "--no-daemon", "--port=0", "--interface=lo"]
    argv += [f"--dhcp-optsfile={options}", "--dhcp-range=10.8.0.0,static", "--bind-interfaces"]
    with log.open("w") as said:
        process = subprocess.Popen(argv, stderr=said)
    try:
        eventually(lambda: f"read {options}" in log.read_text(), what="the options are read")
    finally:
        process.kill()
        process.wait()
    assert [line for line in log.read_text().splitlines() if " at line " in line] == []


def taken(name: str, value: str) -> bool:
    try:
        dnsmasq_lines.option(name, value)
    except dnsmasq_lines.UnsafeValue:
        return False
    return True


def test_arguments_that_dnsmasq_refuses_leave_it_running(world: World) -> None:
    running = world.pid
    world.settings = replace(world.settings, dnsmasq_dns_servers=("no address",))
    outcome = world.serves()
    assert list(outcome.failures) == [f"{names.dhcp_namespace(NET.id)} dnsmasq"]
    assert "dnsmasq" in next(iter(outcome.failures.values()))
    assert world.pid == running


def test_the_metadata_address_is_answered_by_arp_while_it_is_served(world: World) -> None:
    """Guests without a lease find it on-link, with port security and without."""
    for router_ports, expected in (([], OWN.mac_address), ([LEG], ""), ([], OWN.mac_address)):
        world.serves(*router_ports)
        for guest in (world.vm, world.open):
            assert answers_arp(guest) == expected


def answers_arp(guest: Card) -> str:
    """Return the MAC that answers for the metadata address, "" for none."""
    question = frames.arp(1, guest.mac, guest.address, "169.254.169.254")
    guest.raw.send(frames.ether(BROADCAST, guest.mac, ARP, question))
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        with suppress(TimeoutError):
            data = guest.raw.recv(65536)
            if data[:6] == frames.mac(guest.mac) and data[12:22] == ANSWER:
                return data[22:28].hex(":")
    return ""


def test_a_subnet_has_a_route_while_its_dhcp_comes_and_goes(world: World) -> None:
    """The kernel's, by the DHCP port's address, or one of ours."""
    space = names.dhcp_namespace(NET.id)
    both = dhcp_port(1, NET, (FIRST, "10.1.0.2"), (SECOND, "10.2.0.2"))
    without = replace(SECOND, enable_dhcp=False)
    for change in ([without], [SECOND, both], [without], [SECOND, both]):
        assert world.serves(*change).failures == {}
        assert world.serves(*change).settled
        shown = subprocess.run(
            ["ip", "-n", space, "route", "show", "10.2.0.0/20"],
            capture_output=True,
            text=True,
            check=True,
        )
        (route,) = shown.stdout.splitlines()
        assert ("proto kernel" in route) == (both in change)
