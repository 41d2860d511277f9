"""Leases whose next hop to metadata is not announced any more."""

from pathlib import Path

import pytest

from a9fe.linux.dhcp import leases
from a9fe.runtime.clock import SystemClock

LEASE = 1000  # s
DHCP, ROUTER = "10.1.0.2", "10.1.0.1"  # next hops
MACS = {"10.1.0.5": "fa:16:3e:00:00:05", "10.1.0.6": "fa:16:3e:00:00:06"}


def hold(directory: Path, **ages: int) -> None:
    """Write leases by the last part of their addresses; `a5=3` was granted 3 s ago."""
    now = int(SystemClock().now())
    addresses = {name: f"10.1.0.{name.removeprefix('a')}" for name in ages}
    lines = [
        f"{now - age + LEASE} {MACS[addresses[n]]} {addresses[n]} h *" for n, age in ages.items()
    ]
    (directory / "leases").write_text("\n".join([*lines, "duid 00:01", ""]))


def tell(directory: Path, *hops: str) -> None:
    leases.begin(str(directory), hops, LEASE)
    leases.end(str(directory), hops, LEASE)


def in_use(directory: Path) -> dict[str, set[str]]:
    return {hop: set(found) for hop, found in leases.in_use(str(directory), LEASE).items()}


def test_without_announced_next_hops_none_is_in_use(tmp_path: Path) -> None:
    assert in_use(tmp_path) == {}
    hold(tmp_path, a5=0)
    assert in_use(tmp_path) == {}


def test_a_lease_keeps_the_next_hop_announced_when_it_was_granted(tmp_path: Path) -> None:
    tell(tmp_path, DHCP)
    hold(tmp_path, a5=0)
    assert in_use(tmp_path) == {DHCP: {"10.1.0.5"}}
    tell(tmp_path, ROUTER)
    assert in_use(tmp_path) == {DHCP: {"10.1.0.5"}}, "not also the new one, in the same second"
    hold(tmp_path, a5=900, a6=0)
    assert in_use(tmp_path) == {DHCP: {"10.1.0.5"}, ROUTER: {"10.1.0.6"}}
    tell(tmp_path, DHCP)
    assert in_use(tmp_path)[ROUTER] == {"10.1.0.6"}


@pytest.mark.parametrize("left", [{}, {"a5": LEASE + 1}, {"a6": 900}])
def test_a_lease_that_has_ended_uses_nothing(tmp_path: Path, left: dict[str, int]) -> None:
    tell(tmp_path, DHCP)
    hold(tmp_path, a5=0)
    tell(tmp_path, ROUTER)
    hold(tmp_path, **left)
    assert DHCP not in in_use(tmp_path)


def test_a_renewed_lease_counts_for_both_next_hops(tmp_path: Path) -> None:
    """A client may keep the old route or take the new one."""
    tell(tmp_path, DHCP)
    hold(tmp_path, a5=0)
    tell(tmp_path, ROUTER)
    hold(tmp_path, a5=-1)
    assert in_use(tmp_path) == {DHCP: {"10.1.0.5"}, ROUTER: {"10.1.0.5"}}


def test_a_next_hop_announced_between_two_leases_is_not_in_use(tmp_path: Path) -> None:
    hold(tmp_path, a5=900)
    tell(tmp_path, DHCP)
    tell(tmp_path, ROUTER)
    assert in_use(tmp_path) == {}


def test_an_infinite_lease_counts_for_all_next_hops(tmp_path: Path) -> None:
    (tmp_path / "leases").write_text(f"0 {MACS['10.1.0.5']} 10.1.0.5 h *\n")
    for hop in (DHCP, ROUTER):
        leases.begin(str(tmp_path), [hop], -1)
        leases.end(str(tmp_path), [hop], -1)
    assert leases.in_use(str(tmp_path), -1)[DHCP] == {"10.1.0.5"}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"told": 1, "given": {}}', '{"told": {}}'])
def test_an_unreadable_file_counts_as_empty(tmp_path: Path, text: str) -> None:
    (tmp_path / "next_hops").write_text(text)
    assert in_use(tmp_path) == {}


@pytest.mark.parametrize("name", ["next_hops", "leases"])
def test_a_file_that_cannot_be_read_stops_no_plan(tmp_path: Path, name: str) -> None:
    tell(tmp_path, DHCP)
    hold(tmp_path, a5=-1)
    (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / name).mkdir()
    assert in_use(tmp_path) == {}


def test_an_agent_killed_during_a_change_knows_both_next_hops(tmp_path: Path) -> None:
    """Until dnsmasq has read the new options, new leases have the old next hop."""
    tell(tmp_path, DHCP)
    leases.begin(str(tmp_path), [ROUTER], LEASE)
    hold(tmp_path, a5=-1)
    assert in_use(tmp_path) == {DHCP: {"10.1.0.5"}, ROUTER: {"10.1.0.5"}}
    tell(tmp_path, ROUTER)
    assert in_use(tmp_path) == {DHCP: {"10.1.0.5"}, ROUTER: {"10.1.0.5"}}


def test_another_next_hop_changes_nothing_for_those_that_stay(tmp_path: Path) -> None:
    tell(tmp_path, DHCP)
    hold(tmp_path, a5=-1)
    tell(tmp_path, DHCP, "10.2.0.2")
    assert in_use(tmp_path)[DHCP] == {"10.1.0.5"}


@pytest.mark.parametrize("later", [LEASE // 10, LEASE * 10, -1])
def test_a_lease_of_another_duration_still_counts(tmp_path: Path, later: int) -> None:
    """dhcp_lease_duration was changed, then a router was added."""
    tell(tmp_path, DHCP)
    hold(tmp_path, a5=0)
    for hop in (DHCP, ROUTER):
        leases.begin(str(tmp_path), [hop], later)
        leases.end(str(tmp_path), [hop], later)
    assert leases.in_use(str(tmp_path), later)[DHCP] == {"10.1.0.5"}
