"""The filters' tables: loaded by `nft`, changed by netlink, and changed by other processes."""

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from a9fe.linux.rulesets.nftables import Nftables, Unrecognised
from a9fe.linux.rulesets.tables import Loaded
from a9fe.model.resources import AddressPair, Port
from a9fe.plan import names
from a9fe.plan.filters import port_security
from a9fe.plan.filters.fingerprint import NOTHING
from a9fe.plan.host import ANY_FILTER, PortSecurity
from a9fe.runtime.descriptors import raise_limit
from tests.kit.fake_model import HOST, dhcp_port, network, port, subnet
from tests.lab.places import MARK

NET = network(1)
V4 = subnet(10, NET, "10.1.0.0/24", "10.1.0.1")
V6 = subnet(11, NET, "fd00::/64", "fd00::1", ip_version=6)
DHCP = dhcp_port(12, NET, (V4, "10.1.0.2"), (V6, "fd00::2"))
PAIRS = (
    AddressPair(ip_address="10.1.0.77"),
    AddressPair(ip_address="10.1.0.128/25"),
    AddressPair(ip_address="0.0.0.0/0", mac_address="02:00:00:00:00:01"),
    AddressPair(ip_address="fd00::7"),
    AddressPair(ip_address="fd00:1::/64"),
    AddressPair(ip_address="::/0", mac_address="02:00:00:00:00:01"),
)
PLAIN = port(20, NET, (V4, "10.1.0.20"), (V6, "fd00::20"))
PAIRED = replace(port(21, NET, (V4, "10.1.0.21")), allowed_address_pairs=PAIRS)
OPEN = replace(port(22, NET, (V6, "fd00::22")), port_security_enabled=False)
TAP = names.outer_device(PLAIN.id)


def nft(text: str) -> None:
    subprocess.run(["nft", "-f", "-"], input=text.encode(), check=True, capture_output=True)


def filters(*ports: Port) -> PortSecurity:
    return port_security.of_network([DHCP, *ports], [V4, V6], HOST)


ALL = filters(PLAIN, PAIRED, OPEN)
HAND = {
    "an element removed": f'delete element bridge {MARK.table} taps {{ "{TAP}" }}',
    "an element added": f'add element bridge {MARK.table} open {{ "{TAP}" }}',
    "a rule added": f"add rule bridge {MARK.table} advert accept",
    "a rule put first": f"insert rule inet {MARK.table} input accept",
    "a chain's policy changed": f"chain inet {MARK.table} forward {{ policy drop; }}",
    "rules removed": f"flush chain arp {MARK.table} output",
}
FOREIGN = "add table bridge other\nadd set bridge other s { type ifname ; }"


@pytest.fixture
def tables() -> Iterator[Nftables]:
    made = Nftables(MARK)
    yield made
    made.apply(None)
    subprocess.run(["nft", "delete table bridge other"], check=False, capture_output=True)


def test_elements_by_netlink_are_those_that_nft_loads(tables: Nftables) -> None:
    tables.apply(ALL)
    assert Nftables(MARK).recognise(ALL)
    tables.apply(filters(PLAIN))
    assert Nftables(MARK).recognise(filters(PLAIN))
    assert not Nftables(MARK).recognise(ALL)
    tables.apply(ALL)
    assert Nftables(MARK).recognise(ALL)


@pytest.mark.parametrize("what", HAND)
def test_a_change_by_hand_is_noticed(tables: Nftables, what: str) -> None:
    tables.apply(ALL)
    nft(HAND[what])
    assert tables.observe() == ALL, "the markers are still there"
    assert tables.loaded([TAP]) is None
    with pytest.raises(Unrecognised):
        tables.change({TAP: None})
    assert not tables.recognise(ALL)
    tables.apply(ALL)
    assert tables.recognise(ALL)


@pytest.mark.parametrize("what", HAND)
def test_a_change_by_hand_while_no_agent_ran_is_noticed(tables: Nftables, what: str) -> None:
    tables.apply(ALL)
    nft(HAND[what])
    assert not Nftables(MARK).recognise(ALL)


@pytest.mark.parametrize("is_running", [True, False])
def test_a_rule_replaced_by_hand_is_noticed(tables: Nftables, *, is_running: bool) -> None:
    """The kernel keeps the rule's handle."""
    tables.apply(ALL)
    listed = ["nft", "-a", "list", "chain", "arp", MARK.table, "output"]
    shown = subprocess.run(listed, capture_output=True, text=True, check=True).stdout
    handle = shown.rpartition("handle ")[2].split()[0]
    nft(f"replace rule arp {MARK.table} output handle {handle} accept")
    if is_running:
        assert tables.loaded([TAP]) is None
    agent = tables if is_running else Nftables(MARK)
    assert not agent.recognise(ALL)
    agent.apply(ALL)
    assert Nftables(MARK).recognise(ALL)


def test_changes_of_other_tables_do_not_matter(tables: Nftables) -> None:
    tables.apply(ALL)
    nft(FOREIGN)
    assert tables.loaded([TAP]) == {TAP: ALL.taps[TAP]}
    tables.change({TAP: None})
    nft('add element bridge other s { "eth7" }')
    assert tables.loaded([TAP]) == {}


class Overtaken(Nftables):
    """The L3 agent's, when the DHCP agent makes the tables after it has looked for them."""

    is_overtaken = False

    def _look(self) -> Loaded:
        found = super()._look()
        if not self.is_overtaken:
            self.is_overtaken = True
            Nftables(MARK).apply(ALL)
        return found


def test_both_agents_may_make_the_tables_at_once(tables: Nftables) -> None:
    Overtaken(MARK).apply(ANY_FILTER)
    assert tables.recognise(ALL)


def test_an_agent_with_many_descriptors_changes_them(tables: Nftables) -> None:
    """An agent has a socket and a process descriptor for each network; select(2) ends at 1,024."""
    raise_limit()
    with ExitStack() as held:
        for _ in range(1_100):
            held.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        many = Nftables(MARK)
        many.apply(ALL)
        assert many.recognise(ALL)
        many.change({TAP: None})
        assert many.loaded([TAP]) == {}


def test_more_events_than_the_kernel_keeps_cost_only_a_comparison(tables: Nftables) -> None:
    tables.apply(ALL)
    nft(FOREIGN)
    many = ", ".join(f'"e{number}"' for number in range(20_000))
    nft(f"add element bridge other s {{ {many} }}")
    assert tables.loaded([TAP]) is None
    assert tables.recognise(ALL)
    assert tables.loaded([TAP]) == {TAP: ALL.taps[TAP]}


def test_changes_succeed_while_another_process_changes_its_tables(tables: Nftables) -> None:
    tables.apply(NOTHING)
    nft(FOREIGN)
    done = threading.Event()

    def other() -> None:
        while not done.is_set():
            nft("add chain bridge other c\ndelete chain bridge other c")

    busy = threading.Thread(target=other)
    busy.start()
    try:
        for _ in range(20):
            for wanted in (ALL, filters(OPEN)):
                tables.change(port_security.changes(wanted.taps, tables.loaded(ALL.taps) or {}))
    finally:
        done.set()
        busy.join()
    assert Nftables(MARK).recognise(filters(OPEN))
