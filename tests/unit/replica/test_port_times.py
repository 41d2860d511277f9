"""Since when a port has its current fields, through changes, snapshots and restarts."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a9fe.model.resources import FixedIp, Port
from a9fe.replica.port_times import LONG_AGO, PortTimes, watched_fields

PORT = Port(
    id="p",
    network_id="n",
    mac_address="fa:16:3e:00:00:01",
    fixed_ips=(FixedIp(subnet_id="s", ip_address="10.0.0.5"),),
    device_id="vm",
)
OTHERS = {
    "network": replace(PORT, network_id="m"),
    "MAC": replace(PORT, mac_address="fa:16:3e:00:00:02"),
    "device": replace(PORT, device_id="vm2"),
    "address": replace(PORT, fixed_ips=()),
}
WALL = 1_800_000_000.0


def at(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).isoformat()


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_changes_that_make_a_new_time(other: Port):
    times = PortTimes()
    times.changed(None, PORT, 10.0)
    times.changed(PORT, replace(PORT, status="ACTIVE", name="x"), 20.0)
    assert times.since("p") == 10.0
    times.changed(PORT, other, 30.0)
    assert times.since("p") == 30.0


def test_a_deleted_port_is_forgotten():
    times = PortTimes()
    times.changed(None, PORT, 10.0)
    times.changed(PORT, None, 20.0)
    assert (times.since("p"), len(times)) == (LONG_AGO, 0)


@pytest.mark.parametrize(
    ("updated_at", "since"),
    [
        (at(WALL - 5), 95.0),  # the agent was killed right after it had heard of it
        (at(WALL - 99_999), LONG_AGO),
        (at(WALL + 3600), 100.0),  # the server's clock is ahead
        (at(WALL - 5).replace("+00:00", "Z"), 95.0),
        ("", LONG_AGO),
    ],
)
def test_ports_on_disk_at_the_start_have_the_servers_time(updated_at: str, since: float):
    times = PortTimes()
    times.loaded([replace(PORT, updated_at=updated_at)], 100.0, WALL)
    assert times.since("p") == pytest.approx(since)


PORTS = st.dictionaries(
    st.sampled_from("pq"), st.sampled_from([PORT, *OTHERS.values()]), max_size=2
).map(lambda found: {id: replace(port, id=id) for id, port in found.items()})


@given(st.lists(PORTS, min_size=1))
def test_a_snapshot_gives_new_times_only_to_changed_ports(snapshots: list[dict[str, Port]]):
    times, expected, before = PortTimes(), {}, {}
    for now, after in enumerate(snapshots, 1):
        times.replaced(before, after, float(now))
        for id, port in after.items():
            if id not in before or watched_fields(before[id]) != watched_fields(port):
                expected[id] = float(now)
        assert {id: times.since(id) for id in after} == {id: expected[id] for id in after}
        assert len(times) == len(after)
        before = after
