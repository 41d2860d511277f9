"""The replica: any order of events ends in the same state, and no look-up sees half of it."""

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from a9fe.api_client.errors import FeedLost
from a9fe.api_client.feed import FeedEvent
from a9fe.model.resources import Network, Port, Resource
from a9fe.replica import Replica, ReplicaUnreadable, follow
from a9fe.replica.disk import Disk
from a9fe.replica.lookups import KEPT_INSTANCES
from a9fe.replica.replica import StoreRefused
from a9fe.runtime.tasks import Backoff
from tests.kit.fake_clock import FakeClock
from tests.kit.feed_events import NOW, delete, feed, plain, port, snapshot, upsert, vm


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "replica-l3" / "replica.db")


@pytest.fixture
def replica() -> Iterator[Replica]:
    made = Replica()
    yield made
    made.close()


# ---- indexes


def ids(ports: tuple[Port, ...]) -> list[str]:
    return sorted(found.id for found in ports)


def test_a_port_that_moves_is_not_found_at_its_old_address(replica: Replica):
    feed(replica, *snapshot(1, port("a", "10.0.0.1", "10.0.0.2", device="vm1")))
    feed(replica, upsert(2, port("a", "10.0.0.3", network="m", device="vm2")))
    for ip in ("10.0.0.1", "10.0.0.2", "10.0.0.3"):
        assert replica.ports_by_address("n", ip) == ()
    assert replica.ports_by_device("vm1") == ()
    assert replica.ports_by_network("n") == ()
    assert ids(replica.ports_by_address("m", "10.0.0.3")) == ["a"]
    assert ids(replica.ports_by_device("vm2")) == ["a"]
    assert ids(replica.ports_by_network("m")) == ["a"]


def test_a_reused_address_finds_only_its_new_owner(replica: Replica):
    feed(replica, *snapshot(1, port("a", "10.0.0.1")))
    feed(replica, delete(2, "port", "a"), upsert(3, port("b", "10.0.0.1")))
    assert ids(replica.ports_by_address("n", "10.0.0.1")) == ["b"]


def test_the_time_of_a_port_survives_snapshots_and_restarts(path: str):
    replica = Replica.open(path)
    feed(replica, *snapshot(1, port("a", "10.0.0.5"), port("b", "10.0.0.6")))
    first = replica.unchanged_since("a")
    assert 0 < first <= time.monotonic()
    feed(replica, *snapshot(2, port("a", "10.0.0.5"), port("b", "10.0.0.7")))
    assert replica.unchanged_since("a") == first
    assert replica.unchanged_since("b") > first
    feed(replica, upsert(3, port("c", "10.0.0.8")), delete(4, "port", "a"))
    assert replica.unchanged_since("c") > replica.unchanged_since("b")
    replica.close()
    again = Replica.open(path)
    assert [again.unchanged_since(id) for id in "bc"] == [0.0, 0.0]
    feed(again, *snapshot(5, port("b", "10.0.0.7"), port("c", "10.0.0.5")))
    assert (again.unchanged_since("b"), again.unchanged_since("c") > 0) == (0.0, True)
    again.close()


def test_a_port_is_found_by_its_mac_on_its_network(replica: Replica):
    feed(replica, *snapshot(1, port("a", "10.0.0.5"), port("b", "10.0.0.5", network="m")))
    mac = port("a").mac_address
    assert ids(replica.ports_by_mac("n", mac)) == ["a"]
    feed(replica, upsert(2, replace(port("a"), mac_address="FA:16:3E:99:00:01")))
    assert replica.ports_by_mac("n", mac) == ()
    assert ids(replica.ports_by_mac("n", "fa:16:3e:99:00:01")) == ["a"]


def test_the_same_address_on_another_network_is_another_port(replica: Replica):
    feed(replica, *snapshot(1, port("a", "10.0.0.1"), port("b", "10.0.0.1", network="m")))
    assert ids(replica.ports_by_address("n", "10.0.0.1")) == ["a"]


def test_ports_without_a_device_are_found_by_none(replica: Replica):
    feed(replica, *snapshot(1, port("a"), port("b")))
    assert replica.ports_by_device("") == ()


def test_an_address_that_a_port_has_twice_is_removed_with_the_port(replica: Replica):
    feed(replica, *snapshot(1, port("a", "10.0.0.1", "10.0.0.1")), delete(2, "port", "a"))
    assert replica.ports_by_address("n", "10.0.0.1") == ()


# ---- snapshots


def test_a_snapshot_becomes_visible_only_when_complete(replica: Replica):
    feed(replica, *snapshot(1, port("a", "10.0.0.1"), Network(id="n")))
    feed(replica, plain("snapshot", 5), upsert(5, port("b", "10.0.0.1")))
    assert ids(replica.all("port")) == ["a"]
    assert replica.get("network", "n") is not None
    feed(replica, plain("synced", 5))
    assert ids(replica.all("port")) == ["b"]
    assert ids(replica.ports_by_address("n", "10.0.0.1")) == ["b"]
    assert replica.get("network", "n") is None
    assert replica.revision == 5


def test_an_interrupted_snapshot_is_forgotten(path: str):
    replica = Replica.open(path)
    feed(replica, *snapshot(1, port("a")), plain("snapshot", 5), upsert(5, port("b")))
    replica.lost(NOW)
    assert replica.resume_from == 1
    feed(replica, *snapshot(6, port("c")))
    replica.close()
    again = Replica.open(path)
    assert ids(again.all("port")) == ["c"]
    again.close()


def test_a_snapshot_may_have_a_lower_revision(replica: Replica):
    feed(replica, *snapshot(9, port("a")), *snapshot(3, port("b")), upsert(4, port("c")))
    assert ids(replica.all("port")) == ["b", "c"]
    assert replica.resume_from == 3


def test_a_deletion_within_a_snapshot(replica: Replica):
    begin = [plain("snapshot", 5), upsert(5, port("a")), upsert(5, port("b"))]
    feed(replica, *begin, delete(6, "port", "a"), plain("synced", 6))
    assert ids(replica.all("port")) == ["b"]


def test_a_resource_that_a_snapshot_left_out_does_not_return(replica: Replica):
    feed(
        replica, *snapshot(5, port("a")), upsert(4, port("gone")), upsert(3, port("a", "10.0.0.9"))
    )
    assert replica.all("port") == (port("a"),)


def test_a_deleted_resource_does_not_return(replica: Replica):
    feed(replica, *snapshot(1), upsert(2, port("a")), delete(3, "port", "a"), upsert(2, port("a")))
    assert replica.all("port") == ()
    feed(replica, upsert(4, port("a")))
    assert ids(replica.all("port")) == ["a"]


def test_the_file_keeps_one_state_only(path: str):
    replica = Replica.open(path)
    feed(replica, *snapshot(1, port("a"), port("b")), *snapshot(2, port("a")))
    replica.close()
    db = sqlite3.connect(path)
    assert db.execute("SELECT count(*) FROM objects").fetchone() == (1,)
    db.close()


def test_changes_without_a_snapshot_are_refused(replica: Replica):
    for event in (upsert(1, port("a")), plain("synced", 1)):
        with pytest.raises(FeedLost, match="snapshot"):
            replica.apply(event, NOW)
    assert not replica.freshness(NOW).ever_synced


# ---- freshness and resuming


def test_freshness_from_nothing_to_synced_to_lost(replica: Replica):
    never = replica.freshness(NOW)
    assert (never.ever_synced, never.synced_now, never.lost_for) == (False, False, float("inf"))
    feed(replica, plain("snapshot", 1))
    assert not replica.freshness(NOW).ever_synced
    feed(replica, plain("synced", 1))
    synced = replica.freshness(NOW + 7)
    assert (synced.ever_synced, synced.synced_now, synced.lost_for) == (True, True, 0)
    replica.lost(NOW + 8)
    lost = replica.freshness(NOW + 10)
    assert (lost.ever_synced, lost.synced_now, lost.lost_for) == (True, False, 2)


def test_changes_before_synced_do_not_make_it_synced(replica: Replica):
    feed(replica, *snapshot(1))
    replica.lost(NOW)
    feed(replica, upsert(2, port("a")), plain("heartbeat", 2), now=NOW + 5)
    caught_up = replica.freshness(NOW + 6)
    assert (caught_up.synced_now, caught_up.lost_for) == (False, 6)
    feed(replica, plain("synced", 2), now=NOW + 6)
    assert replica.freshness(NOW + 6).synced_now


def test_after_a_restart_lost_for_counts_from_the_last_contact(path: str):
    replica = Replica.open(path)
    feed(replica, *snapshot(1, port("a")))
    feed(replica, plain("heartbeat", 4), now=NOW + 10)
    replica.close()
    again = Replica.open(path)
    freshness = again.freshness(NOW + 70)
    assert (freshness.ever_synced, freshness.synced_now) == (True, False)
    assert freshness.lost_for == 60
    assert again.resume_from == 4
    again.close()


def test_a_revision_that_may_be_incomplete_is_requested_again(replica: Replica):
    """A transaction may change several resources at one revision."""
    feed(replica, *snapshot(1), upsert(5, port("a")))
    assert replica.resume_from == 1
    feed(replica, upsert(5, port("b")), upsert(6, port("c")))
    assert replica.resume_from == 5


def test_a_new_server_sends_a_snapshot_while_the_old_state_is_served(path: str):
    replica = Replica.open(path, "http://a")
    feed(replica, *snapshot(7, port("a")))
    replica.close()
    moved = Replica.open(path, "http://b")
    assert moved.resume_from is None
    assert ids(moved.all("port")) == ["a"]
    feed(moved, *snapshot(3, port("b")))
    assert (ids(moved.all("port")), moved.resume_from) == (["b"], 3)
    moved.close()


ONE, OTHER = "1" * 16, "2" * 16


def hello(revision: int, store: str, *accepts: str) -> FeedEvent:
    return FeedEvent(event="hello", revision=revision, store=store, accepts=accepts)


def known_from(path: str, store: str = ONE, revision: int = 9) -> Replica:
    replica = Replica.open(path)
    feed(replica, hello(revision, store), *snapshot(revision, port("a")))
    replica.lost(NOW)
    return replica


@pytest.mark.parametrize(
    ("greeting", "followed"),
    [
        (hello(9, ONE), True),
        (hello(12, ONE), True),
        (hello(8, ONE), False),  # a restored backup
        (hello(1, OTHER), False),  # an empty one
        (hello(99, OTHER), False),
        (hello(99, OTHER, "3" * 16), False),
        (plain("snapshot", 99), False),  # one that does not say which it is
        (plain("synced", 99), False),
        (hello(1, OTHER, ONE), True),
        (hello(1, ONE, ONE), True),
    ],
)
@pytest.mark.parametrize("restarted", [False, True])
def test_another_or_an_older_database_is_not_followed(
    path: str, greeting: FeedEvent, *, followed: bool, restarted: bool
):
    replica = known_from(path)
    if restarted:
        replica.close()
        replica = Replica.open(path)
    with suppress(FeedLost) if followed else pytest.raises(StoreRefused, match=ONE):
        feed(replica, greeting)
    assert ids(replica.all("port")) == ["a"]
    assert not replica.freshness(NOW).synced_now
    replica.lost(NOW)
    assert replica.resume_from == (None if greeting.store == OTHER and followed else 9)
    replica.close()


def test_a_database_that_takes_over_sends_a_snapshot(path: str):
    replica = known_from(path)
    with pytest.raises(
        FeedLost, match="takes over"
    ):  # this stream goes on from 9 of the other one
        feed(replica, hello(3, OTHER, ONE))
    replica.lost(NOW)
    assert replica.resume_from is None
    feed(replica, hello(3, OTHER, ONE), *snapshot(3, port("b")))
    replica.close()
    again = Replica.open(path)
    assert ids(again.all("port")) == ["b"]
    with pytest.raises(StoreRefused, match=OTHER):
        feed(again, hello(99, ONE))
    again.close()


def test_a_new_replica_follows_any_database(path: str):
    replica = Replica.open(path)
    feed(replica, hello(1, OTHER), *snapshot(1, port("b")))
    assert ids(replica.all("port")) == ["b"]
    replica.close()


def test_a_replica_from_before_ids_adopts_its_databases_id(path: str):
    replica = Replica.open(path)
    feed(replica, *snapshot(1, port("a")))
    replica.lost(NOW)
    feed(replica, hello(2, ONE), plain("synced", 2))
    replica.close()
    again = Replica.open(path)
    with pytest.raises(StoreRefused):
        feed(again, hello(99, OTHER))
    again.close()


def test_waiters_for_a_change_are_woken(replica: Replica):
    async def woken(*events: FeedEvent) -> int:
        waiting = asyncio.ensure_future(replica.wait_change(replica.revision))
        await asyncio.wait([waiting], timeout=0)
        feed(replica, *events)
        return await asyncio.wait_for(waiting, 5)

    async def main() -> None:
        assert await woken(*snapshot(1)) == 1
        assert await woken(upsert(2, port("a"))) == 2
        assert await woken(*snapshot(2)) == 2  # the same revision, perhaps another state
        assert await replica.wait_change(1) == 2

    asyncio.run(main())


# ---- user data


def test_user_data_is_read_from_disk_when_asked_for(path: str):
    replica = Replica.open(path)
    feed(replica, *snapshot(1, vm("a", b"\xff\x00"), vm("b", b""), vm("c", None)))
    assert [i.user_data for i in replica.all("instance")] == [None, None, None]
    assert replica.get("instance", "a") == vm("a", b"\xff\x00")
    assert replica.get("instance", "b") == vm("b", b"")
    assert replica.get("instance", "c") == vm("c", None)
    replica.close()


def test_changed_user_data_is_never_the_old_one(path: str):
    replica = Replica.open(path)
    feed(replica, *snapshot(1, vm("a", b"one")))
    assert replica.get("instance", "a") == vm("a", b"one")
    feed(replica, upsert(2, vm("a", b"two")))
    assert replica.get("instance", "a") == vm("a", b"two")
    feed(replica, *snapshot(2, vm("a", b"three")))
    assert replica.get("instance", "a") == vm("a", b"three")
    feed(replica, upsert(3, vm("a", None)))
    assert replica.get("instance", "a") == vm("a", None)
    replica.close()


def test_user_data_of_more_instances_than_are_cached(replica: Replica):
    many = [vm(f"i{n}", bytes([n])) for n in range(KEPT_INSTANCES + 2)]
    feed(replica, *snapshot(1, *many))
    for _ in range(2):
        assert [replica.get("instance", i.id) for i in many] == many


def test_a_failing_disk_is_an_error_and_not_missing_user_data(path: str):
    disk = Disk(path)
    replica = Replica(disk)
    feed(replica, *snapshot(1, vm("a", b"x")))
    disk.close()
    with pytest.raises(ReplicaUnreadable):
        replica.get("instance", "a")


def test_an_instance_is_found_without_reading_the_disk(path: str):
    disk = Disk(path)
    replica = Replica(disk)
    feed(replica, *snapshot(1, vm("a", b"x"), vm("b", None)))
    known, none = replica.instance("a"), replica.instance("b")
    assert known is not None
    assert known.read_user_data is not None
    assert none is not None
    assert none.read_user_data is None
    assert replica.instance("c") is None
    assert known.read_user_data() == b"x"
    disk.close()
    again = replica.instance("a")
    assert again is not None
    assert again.instance == vm("a", None)
    bare = replica.instance("b")
    assert bare is not None
    assert bare.instance == vm("b", None)


def test_user_data_of_a_removed_revision_is_an_error(replica: Replica):
    feed(replica, *snapshot(1, vm("a", b"x")))
    known = replica.instance("a")
    feed(replica, upsert(2, vm("a", b"y")))
    assert known is not None
    assert known.read_user_data is not None
    with pytest.raises(ReplicaUnreadable):
        known.read_user_data()


# ---- who watches


class Watch:
    """Counts how often it is woken."""

    def __init__(self, replica: Replica, *keys: tuple[str, str]) -> None:
        self.woken = 0
        self.forget = replica.watch(keys, self.wake)

    def wake(self) -> None:
        self.woken += 1


def test_a_change_wakes_only_the_watchers_of_its_resource(replica: Replica):
    feed(replica, *snapshot(1, vm("a", b"x"), vm("b", b"x"), port("p", device="a")))
    mine, other = (
        Watch(replica, ("instance", "a"), ("network", "n")),
        Watch(replica, ("instance", "b")),
    )
    feed(replica, upsert(2, vm("a", b"y")), upsert(2, vm("a", b"y")))  # the same again: no news
    assert (mine.woken, other.woken) == (1, 0)
    feed(
        replica, upsert(3, Network(id="n")), delete(4, "network", "n"), upsert(5, Network(id="m"))
    )
    assert (mine.woken, other.woken) == (3, 0)
    mine.forget()
    feed(replica, upsert(6, vm("a", None)))
    assert (mine.woken, replica.watched) == (3, 1)
    other.forget()
    assert replica.watched == 0


def test_a_port_wakes_watchers_of_its_old_and_new_instance(replica: Replica):
    feed(replica, *snapshot(1, port("p", device="a")))
    a, b, c = (Watch(replica, ("instance", id)) for id in "abc")
    feed(replica, upsert(2, port("p", device="b")))
    assert (a.woken, b.woken) == (1, 1)
    feed(replica, delete(3, "port", "p"), upsert(4, port("q")))
    assert (a.woken, b.woken, c.woken) == (1, 2, 0)


def test_a_snapshot_wakes_the_watchers_of_resources_that_differ(replica: Replica):
    feed(replica, *snapshot(1, vm("a", None), vm("b", None), port("p", device="c"), vm("d", b"x")))
    a, b, c, d, e = (Watch(replica, ("instance", id)) for id in "abcde")
    feed(replica, *snapshot(2, vm("a", None), port("p", "1.2.3.4", device="c"), vm("d", None)))
    assert [watch.woken for watch in (a, b, c, d, e)] == [0, 1, 1, 1, 0]
    feed(replica, plain("snapshot", 3))
    replica.lost(NOW)
    assert [watch.woken for watch in (a, b, c, d, e)] == [0, 1, 1, 1, 0]


# ---- the file


def test_only_the_owner_can_read_the_file(path: str):
    replica = Replica.open(path)
    feed(replica, *snapshot(1, vm("a", b"password")))
    modes = {os.stat(path + s).st_mode & 0o777 for s in ("", "-wal") if os.path.exists(path + s)}
    assert modes == {0o600}
    replica.close()


def discarded(path: str, capsys: pytest.CaptureFixture[str]) -> bool:
    replica = Replica.open(path)
    assert replica.resume_from is None
    assert replica.all("port") == ()
    feed(replica, *snapshot(2, port("b")))
    replica.close()
    again = Replica.open(path)
    assert ids(again.all("port")) == ["b"]
    again.close()
    return "discarded a damaged or outdated replica" in capsys.readouterr().out


def prepared(path: str) -> None:
    replica = Replica.open(path)
    feed(replica, *snapshot(1, port("a"), vm("v", b"x")))
    replica.close()


def test_a_file_of_garbage_is_discarded(path: str, capsys: pytest.CaptureFixture[str]):
    prepared(path)
    Path(path).write_bytes(b"garbage " * 1000)
    assert discarded(path, capsys)


def test_a_damaged_page_is_discarded(path: str, capsys: pytest.CaptureFixture[str]):
    prepared(path)
    content = bytearray(Path(path).read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    Path(path).write_bytes(content)
    assert discarded(path, capsys)


@pytest.mark.parametrize(
    "change",
    [
        "PRAGMA user_version = 7",
        "UPDATE objects SET json = '{' WHERE kind = 'port'",
        "UPDATE objects SET json = '{}' WHERE kind = 'port'",
        "UPDATE objects SET kind = 'balloon' WHERE kind = 'port'",
        "UPDATE objects SET json = x'ff' WHERE kind = 'port'",
    ],
)
def test_a_file_of_another_version_or_model_is_discarded(
    path: str, change: str, capsys: pytest.CaptureFixture[str]
):
    prepared(path)
    db = sqlite3.connect(path)
    db.execute(change)
    db.commit()
    db.close()
    assert discarded(path, capsys)


def test_a_second_process_keeps_its_replica_in_memory(
    path: str, capsys: pytest.CaptureFixture[str]
):
    first = Replica.open(path)
    feed(first, *snapshot(1, vm("a", b"first")))
    second = Replica.open(path)
    assert "in use by another process" in capsys.readouterr().out
    feed(second, *snapshot(1, vm("a", b"second")))
    second.persistence.recreate()
    second.close()
    assert first.get("instance", "a") == vm("a", b"first")
    first.close()


# ---- following


class Broken(Exception):
    """The test's feed has no more events."""


def test_following_resumes_from_its_revision():
    replica, asked = Replica(), []
    streams = iter(
        [
            snapshot(3, port("a")),
            [upsert(4, port("b")), upsert(5, port("c"))],
            [upsert(5, port("c")), plain("synced", 5)],
        ]
    )

    async def connect(from_revision: int | None) -> AsyncGenerator[FeedEvent, None]:
        asked.append(from_revision)
        events = next(streams, None)
        if events is None:
            raise Broken
        for event in events:
            yield event
        raise FeedLost("the end")

    with suppress(Broken):
        quick = Backoff(first=0.001, ceiling=0.001)
        asyncio.run(follow(replica, connect, FakeClock(), quick))
    assert asked == [None, 3, 4, 5]
    assert ids(replica.all("port")) == ["a", "b", "c"]
    assert not replica.freshness(FakeClock().now()).synced_now
    replica.close()


# ---- any sequence of events

IPS = ("10.0.0.1", "10.0.0.2")
some_port = st.builds(
    lambda id, ips, network, device: port(id, *ips, network=network, device=device),
    st.sampled_from("abc"),
    st.sets(st.sampled_from(IPS)).map(sorted),
    st.sampled_from("nm"),
    st.sampled_from(["", "vm1", "vm2"]),
)
some_vm = st.builds(vm, st.sampled_from(["vm1", "vm2"]), st.sampled_from([None, b"1", b"2"]))
removal = st.sampled_from(
    [("port", "a"), ("port", "b"), ("port", "c"), ("instance", "vm1"), ("instance", "vm2")]
)
histories = st.lists(st.one_of(some_port, some_vm, removal), min_size=1, max_size=14)


def event_of(revision: int, change: Resource | tuple[str, str]) -> FeedEvent:
    if isinstance(change, tuple):
        return delete(revision, *change)
    return upsert(revision, change)


def state_at(history: list[FeedEvent], revision: int) -> dict[tuple[str, str], Resource]:
    state: dict[tuple[str, str], Resource] = {}
    for event in history[:revision]:
        if event.object is None:
            state.pop((event.kind, event.id), None)
        else:
            state[event.kind, event.id] = event.object
    return state


def known(replica: Replica) -> dict[tuple[str, str], Resource]:
    return {
        (kind, r.id): replica.get(kind, r.id)
        for kind in ("port", "instance")
        for r in replica.all(kind)
    }


def by_id(ports: Iterable[Port]) -> list[Port]:
    return sorted(ports, key=lambda port: port.id)


def assert_indexes_tell_the_same(replica: Replica) -> None:
    ports = by_id(replica.all("port"))
    for network in "nm":
        on = [p for p in ports if p.network_id == network]
        assert by_id(replica.ports_by_network(network)) == on
        for ip in IPS:
            with_ip = [p for p in on if ip in [f.ip_address for f in p.fixed_ips]]
            assert by_id(replica.ports_by_address(network, ip)) == with_ip
    for device in ("vm1", "vm2"):
        of_device = [p for p in ports if p.device_id == device]
        assert by_id(replica.ports_by_device(device)) == of_device


def connected(data: st.DataObject, replica: Replica, history: list[FeedEvent]) -> list[FeedEvent]:
    """Return the events of one connection: perhaps a snapshot, then changes, some repeated."""
    start = replica.resume_from
    events: list[FeedEvent] = []
    if start is None or data.draw(st.booleans(), "snapshot"):
        start = data.draw(st.integers(0, len(history)), "at")
        events = snapshot(start, *state_at(history, start).values())
    rest = history[start:]
    old = st.lists(st.sampled_from(history), max_size=3)
    for number, event in enumerate(rest):
        events.append(event)
        seen = history[: start + number + 1]
        events += [e for e in data.draw(old, "again") if e in seen]
    late = data.draw(old, "late")
    return [*events, plain("synced", len(history)), *late]


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(changes=histories, data=st.data())
def test_any_sequence_ends_in_the_same_state(
    tmp_path: Path, changes: list[Resource | tuple[str, str]], data: st.DataObject
):
    """Events repeated in any order across breaks, with restarts in between."""
    history = [event_of(n, change) for n, change in enumerate(changes, 1)]
    path = str(tmp_path / "replica.db")
    for suffix in ("", "-wal"):
        Path(path + suffix).unlink(missing_ok=True)
    replica = Replica.open(path)
    for _ in range(data.draw(st.integers(0, 3), "breaks")):
        events = connected(data, replica, history)
        feed(replica, *events[: data.draw(st.integers(0, len(events)), "broken off")])
        assert_indexes_tell_the_same(replica)
        replica.lost(NOW)
        if data.draw(st.booleans(), "restart"):
            replica.close()
            replica = Replica.open(path)
    feed(replica, *connected(data, replica, history))
    assert known(replica) == state_at(history, len(history))
    assert_indexes_tell_the_same(replica)
    replica.close()
    again = Replica.open(path)
    assert known(again) == state_at(history, len(history))
    again.close()
