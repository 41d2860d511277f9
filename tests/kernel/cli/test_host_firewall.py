"""The check of `a9fe up` for a host's firewall that drops bridged packets, as Docker's does."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from a9fe.cli.host import host_firewall
from a9fe.linux import bridged_frames
from a9fe.linux.rulesets.nftables import Nftables
from a9fe.plan.filters.fingerprint import NOTHING
from tests.lab.places import MARK

IPTABLES = ("iptables", "ip6tables")
SYSCTL = "/proc/sys/net/bridge/bridge-nf-call-{}"
DROP = ("iptables -P FORWARD DROP", "ip6tables -P FORWARD DROP")


def sh(*commands: str) -> None:
    for command in commands:
        subprocess.run(command.split(), check=True, capture_output=True)


@pytest.fixture(autouse=True)
def _firewall() -> Iterator[None]:
    yield
    for program, family in zip(IPTABLES, ("ip", "ip6"), strict=True):
        sh(f"nft add table {family} filter", f"nft delete table {family} filter")
        Path(SYSCTL.format(program)).write_text("1")
    Nftables(MARK).apply(None)


def checked() -> list[dict[str, object]]:
    with capture_logs() as logs:
        host_firewall.check(MARK)
    assert not Path("/sys/class/net", bridged_frames.BRIDGE).exists()
    return [dict(line) for line in logs]


@pytest.mark.parametrize("filtered", ["with our filters", "without"])
def test_a_host_that_lets_bridged_packets_pass_is_not_named(filtered: str) -> None:
    if filtered != "without":
        Nftables(MARK).apply(NOTHING)
    assert checked() == []


@pytest.mark.parametrize("way", [host_firewall.command, host_firewall.sysctl])
def test_a_host_that_drops_bridged_packets_is_named_until_a_command_is_run(way: object) -> None:
    sh(*DROP)
    (line,) = checked()
    assert (line["log_level"], line["kinds"]) == ("error", "IPv4, IPv6")
    field = "commands" if way is host_firewall.command else "sysctls"
    first, second = str(line[field]).split("; ")
    sh(first)
    assert checked()[0]["kinds"] == "IPv6"
    sh(second)
    assert checked() == []


def test_a_policy_that_the_kernel_does_not_apply_to_bridges_is_no_fault() -> None:
    for program in IPTABLES:
        Path(SYSCTL.format(program)).write_text("0")
    sh(*DROP)
    assert checked() == []
