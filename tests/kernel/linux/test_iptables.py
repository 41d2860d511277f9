"""Our messages make rules that iptables shows as planned, and its changes are noticed."""

import subprocess
from typing import NamedTuple

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from a9fe.linux.kernel import namespace
from a9fe.linux.rulesets.iptables import Iptables, RulesRefused
from a9fe.plan.routers.iptables import canonical, ruleset
from a9fe.plan.routers.rules import rules
from a9fe.plan.settings import L3Settings
from tests.kit import iptables_lines
from tests.lab.places import MARK

SPACE = "t-iptables"
ROUTER = rules(L3Settings())
OWN = ("-A a9fe-own -s 10.0.0.0/9 -j RETURN", "-A PREROUTING -j a9fe-own")


class Programs(NamedTuple):
    ip_version: int
    iptables: str

    def run(self, *arguments, program="", text=""):
        argv = ["nsenter", f"--net=/run/netns/{SPACE}", program or self.iptables, *arguments]
        return subprocess.run(argv, input=text, capture_output=True, text=True, check=True).stdout

    def saved(self):
        return canonical(self.run(program=f"{self.iptables}-save"))

    def restore(self, text):
        self.run(program=f"{self.iptables}-restore", text=text)


IPV4, IPV6 = Programs(4, "iptables"), Programs(6, "ip6tables")


@pytest.fixture(scope="module", autouse=True)
def space():
    namespace.create(SPACE, MARK)
    yield
    namespace.delete(SPACE, MARK)


def seen(rules, ip_version=4):
    with namespace.inside(SPACE):
        return rules.observe(SPACE, ip_version)


def test_iptables_shows_a_router_s_rules():
    Iptables().apply(SPACE, ROUTER, 4)
    assert IPV4.saved() == ROUTER
    shown = IPV4.run("-t", "nat", "-L", "-n")
    assert "169.254.169.254      tcp dpt:80 redir ports 9697" in shown
    assert "Chain POSTROUTING (policy ACCEPT)" in shown
    assert seen(Iptables()) == ROUTER


def rulesets(ip_version):
    tables = {
        table: st.lists(iptables_lines.lines(ip_version, table), max_size=5)
        for table in iptables_lines.CHAINS
    }
    whole = st.fixed_dictionaries(tables)
    # A chain that is jumped to exists if it has a rule.
    return whole.map(
        lambda found: ruleset(
            {table: [*lines, "-A a9fe-own -j RETURN"] for table, lines in found.items()}
        )
    )


@pytest.mark.parametrize("programs", [IPV4, IPV6], ids=["IPv4", "IPv6"])
@settings(max_examples=12, deadline=None, phases=[Phase.generate])
@given(data=st.data())
def test_every_supported_ruleset_is_the_same_to_iptables(programs, data):
    text = data.draw(rulesets(programs.ip_version))
    ours = Iptables()
    ours.apply(SPACE, text, programs.ip_version)
    assert seen(ours, programs.ip_version) == text
    assert programs.saved() == text
    ours.apply(SPACE, "", programs.ip_version)
    assert (seen(ours, programs.ip_version), programs.saved()) == ("", "")
    programs.restore(text)  # as an older a9fe did
    assert seen(ours, programs.ip_version) == text


CHANGES = [
    ("-t", "nat", "-F"),
    ("-t", "nat", "-F", "PREROUTING"),
    ("-D", "FORWARD", "1"),
    ("-A", "FORWARD", "-j", "ACCEPT"),
    ("-I", "INPUT", "-p", "tcp", "-m", "multiport", "--dports", "1,2", "-j", "ACCEPT"),
    ("-A", "INPUT", "-m", "comment", "--comment", "x", "-j", "DROP"),
    ("-A", "INPUT", "-j", "REJECT"),
    ("-P", "FORWARD", "DROP"),
    ("-t", "nat", "-N", "other"),
]


@pytest.mark.parametrize("change", CHANGES, ids=" ".join)
def test_a_change_by_hand_is_noticed_and_repaired(change):
    ours = Iptables()
    ours.apply(SPACE, ROUTER, 4)
    assert seen(ours) == ROUTER
    IPV4.run(*change)
    assert seen(ours) != ROUTER
    ours.apply(SPACE, ROUTER, 4)
    assert (seen(ours), IPV4.saved()) == (ROUTER, ROUTER)


@pytest.mark.parametrize(
    "change",
    [
        ("add", "table", "ip", "nat", "{ flags dormant; }"),
        ("insert", "rule", "ip", "filter", "INPUT", "accept"),
        ("insert", "rule", "ip", "filter", "INPUT", "meta", "length", "1", "counter", "accept"),
        ("add", "chain", "ip", "nat", "POSTROUTING", "{ type nat hook postrouting priority 7; }"),
    ],
    ids=" ".join,
)
def test_a_change_with_nft_is_noticed_and_repaired(change):
    ours = Iptables()
    ours.apply(SPACE, ROUTER, 4)
    IPV4.run(*change, program="nft")
    assert seen(ours) != ROUTER
    ours.apply(SPACE, ROUTER, 4)
    assert (seen(ours), IPV4.saved()) == (ROUTER, ROUTER)


def test_other_tables_and_the_other_ip_version_are_left():
    ours = Iptables()
    IPV6.restore(ruleset({"filter": ("-A INPUT -p ipv6-icmp -j ACCEPT",)}))
    IPV4.run("-t", "raw", "-A", "PREROUTING", "-j", "ACCEPT")
    before = seen(ours, 6)
    ours.apply(SPACE, ROUTER, 4)
    ours.apply(SPACE, "", 4)
    assert "-j ACCEPT" in IPV4.run("-S", "-t", "raw")
    assert (seen(ours, 6), IPV6.saved()) == (before, before)
    IPV4.run("-t", "raw", "-F")
    ours.apply(SPACE, "", 6)


def test_a_refused_ruleset_changes_nothing_and_says_why():
    ours = Iptables()
    ours.apply(SPACE, ROUTER, 4)
    loop = ruleset({"nat": ("-A PREROUTING -j nowhere-made",)})
    with pytest.raises(RulesRefused, match="IPv4 rules in t-iptables: No such file or directory"):
        ours.apply(SPACE, loop, 4)
    assert seen(ours) == ROUTER
