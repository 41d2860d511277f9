"""Who asks: the table of design 4.2, over a view of ports."""

from dataclasses import dataclass

import pytest

from a9fe.metadata_agent.identify import identify
from a9fe.metadata_agent.question import Question, parse_question
from a9fe.model.resources import ROUTER_INTERFACE_OWNERS, FixedIp, Port
from a9fe.wire.message import Request
from a9fe.wire.refusals import Refusal


def port(
    id: str, network: str, *ips: str, device: str = "vm", owner: str = "compute:nova"
) -> Port:
    return Port(
        id=id,
        network_id=network,
        mac_address="fa:16:3e:00:00:01",
        fixed_ips=tuple(FixedIp(subnet_id="s", ip_address=ip) for ip in ips),
        device_id=device,
        device_owner=owner,
    )


class Ports:
    """A PortView over a list. An empty network id matches every network: it must not be asked."""

    def __init__(self, *ports: Port) -> None:
        self.ports = ports

    def ports_by_address(self, network_id: str, ip: str) -> tuple[Port, ...]:
        return tuple(
            p
            for p in self.ports
            if network_id in ("", p.network_id) and ip in [f.ip_address for f in p.fixed_ips]
        )

    def ports_by_device(self, device_id: str) -> tuple[Port, ...]:
        return tuple(p for p in self.ports if p.device_id == device_id)


@dataclass(frozen=True)
class Fresh:
    ever_synced: bool = True
    synced_now: bool = True
    lost_for: float = 0.0


LOST_AFTER = 60.0
INTERFACE = "network:router_interface"
VM_A = port("a", "net-a", "10.0.0.5")
VM_B = port("b", "net-b", "10.0.0.5")
VIEW = Ports(
    VM_A,
    VM_B,
    port("a2", "net-a", "10.0.0.6", "10.0.0.7"),
    port("dhcp", "net-a", "10.0.0.2", device="dhcp-x", owner="network:dhcp"),
    port("bare", "net-a", "10.0.0.8", device=""),
    port("ra", "net-a", "10.0.0.1", device="r-a", owner=INTERFACE),
    port("rb", "net-b", "10.0.0.1", device="r-b", owner=INTERFACE),
    port("rab1", "net-a", "10.0.0.3", device="r-ab", owner=INTERFACE),
    port("rab2", "net-b", "10.0.0.3", device="r-ab", owner=INTERFACE),
    port("gw", "net-a", "10.0.0.9", device="r-gw", owner="network:router_gateway"),
    port("twin1", "net-c", "10.0.0.5"),
    port("twin2", "net-c", "10.0.0.5"),
)

TABLE = {
    "network": (Question(address="10.0.0.5", network_id="net-a"), VM_A),
    "other network, same address": (Question(address="10.0.0.5", network_id="net-b"), VM_B),
    "second address": (Question(address="10.0.0.7", network_id="net-a"), VIEW.ports[2]),
    "unknown address": (Question(address="10.0.0.99", network_id="net-a"), Refusal.NO_PORT),
    "unknown network": (Question(address="10.0.0.5", network_id="net-x"), Refusal.NO_PORT),
    "address of another network": (
        Question(address="10.0.0.6", network_id="net-b"),
        Refusal.NO_PORT,
    ),
    "two on one network": (
        Question(address="10.0.0.5", network_id="net-c"),
        Refusal.SEVERAL_PORTS,
    ),
    "DHCP port": (
        Question(address="10.0.0.2", network_id="net-a"),
        Refusal.NO_INSTANCE_ON_PORT,
    ),
    "router's port": (
        Question(address="10.0.0.1", network_id="net-a"),
        Refusal.NO_INSTANCE_ON_PORT,
    ),
    "no device": (
        Question(address="10.0.0.8", network_id="net-a"),
        Refusal.NO_INSTANCE_ON_PORT,
    ),
    "router": (Question(address="10.0.0.5", router_id="r-a"), VM_A),
    "other router, same address": (Question(address="10.0.0.5", router_id="r-b"), VM_B),
    "router of two networks that overlap": (
        Question(address="10.0.0.5", router_id="r-ab"),
        Refusal.SEVERAL_PORTS,
    ),
    "router of two networks": (Question(address="10.0.0.6", router_id="r-ab"), VIEW.ports[2]),
    "router without network": (Question(address="10.0.0.5", router_id="r-0"), Refusal.NO_PORT),
    "router with a gateway only": (
        Question(address="10.0.0.5", router_id="r-gw"),
        Refusal.NO_PORT,
    ),
    "an instance is no router": (Question(address="10.0.0.5", router_id="vm"), Refusal.NO_PORT),
}
CERTAIN = [Fresh()]
UNSURE = [
    (Fresh(ever_synced=False, synced_now=False, lost_for=float("inf")), Refusal.NOT_SYNCED),
    (Fresh(synced_now=False), Refusal.NOT_SYNCED),
    (Fresh(synced_now=False, lost_for=LOST_AFTER), Refusal.NOT_SYNCED),
    (Fresh(synced_now=False, lost_for=LOST_AFTER + 0.1), Refusal.SOURCE_LOST),
]


@pytest.mark.parametrize(("question", "expected"), TABLE.values(), ids=TABLE.keys())
def test_look_up_when_certain(question, expected):
    assert identify(VIEW, question, Fresh(), LOST_AFTER) == expected


@pytest.mark.parametrize(("freshness", "doubt"), UNSURE)
@pytest.mark.parametrize(("question", "expected"), TABLE.values(), ids=TABLE.keys())
def test_unsure_a_port_is_served_and_nothing_is_404(question, expected, freshness, doubt):
    said = identify(VIEW, question, freshness, LOST_AFTER)
    assert said == (expected if isinstance(expected, Port) else doubt)


@pytest.mark.parametrize("owner", sorted(ROUTER_INTERFACE_OWNERS))
def test_every_kind_of_router_interface_counts(owner):
    view = Ports(VM_A, port("r", "net-a", "10.0.0.1", device="r1", owner=owner))
    assert identify(view, Question(address="10.0.0.5", router_id="r1"), Fresh(), 1) == VM_A


def test_a_router_twice_on_a_network_finds_the_port_once():
    view = Ports(
        VM_A,
        port("r1", "net-a", "10.0.0.1", device="r", owner=INTERFACE),
        port("r2", "net-a", "10.1.0.1", device="r", owner=INTERFACE),
    )
    assert identify(view, Question(address="10.0.0.5", router_id="r"), Fresh(), 1) == VM_A


XFF, NET, ROUTER = b"x-forwarded-for", b"x-neutron-network-id", b"x-neutron-router-id"
FIVE = (XFF, b"10.0.0.5")
HEADERS = {
    "network": ((FIVE, (NET, b"n")), Question(address="10.0.0.5", network_id="n")),
    "router": ((FIVE, (ROUTER, b"r")), Question(address="10.0.0.5", router_id="r")),
    "upper case": ((FIVE, (NET, b"AB-C")), Question(address="10.0.0.5", network_id="ab-c")),
    "both": ((FIVE, (NET, b"n"), (ROUTER, b"r")), Refusal.BOTH_IDS),
    "two networks": ((FIVE, (NET, b"n"), (NET, b"m")), Refusal.BOTH_IDS),
    "none": ((FIVE,), Refusal.NO_ID),
    "empty": ((FIVE, (NET, b"")), Refusal.NO_ID),
    "no address": (((NET, b"n"),), Refusal.BAD_ADDRESS),
    "empty address": (((XFF, b""), (NET, b"n")), Refusal.BAD_ADDRESS),
    "a name": (((XFF, b"localhost"), (NET, b"n")), Refusal.BAD_ADDRESS),
    "with port": (((XFF, b"10.0.0.5:80"), (NET, b"n")), Refusal.BAD_ADDRESS),
    "leading zero": (((XFF, b"10.0.0.05"), (NET, b"n")), Refusal.BAD_ADDRESS),
    "no ASCII": (((XFF, b"\xff"), (NET, b"n")), Refusal.BAD_ADDRESS),
    "ends in a comma": (((XFF, b"10.0.0.5,"), (NET, b"n")), Refusal.BAD_ADDRESS),
    "mapped": (
        ((XFF, b"::ffff:10.0.0.5"), (NET, b"n")),
        Question(address="10.0.0.5", network_id="n"),
    ),
    "IPv6": (
        ((XFF, b"2001:DB8:0::1"), (NET, b"n")),
        Question(address="2001:db8::1", network_id="n"),
    ),
    "link-local with zone": (
        ((XFF, b"fe80::1%eth0"), (NET, b"n")),
        Question(address="fe80::1", network_id="n"),
    ),
    "haproxy behind a guest's own": (
        ((XFF, b"10.9.9.9"), FIVE, (NET, b"n")),
        Question(address="10.0.0.5", network_id="n"),
    ),
    "the same in one line": (
        ((XFF, b"10.9.9.9, 10.0.0.5"), (NET, b"n")),
        Question(address="10.0.0.5", network_id="n"),
    ),
}


@pytest.mark.parametrize(("headers", "expected"), HEADERS.values(), ids=HEADERS.keys())
def test_what_the_proxys_headers_ask(headers, expected):
    assert parse_question(Request(method=b"GET", target=b"/", headers=headers)) == expected
