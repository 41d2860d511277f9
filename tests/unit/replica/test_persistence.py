"""The replica and a failing disk: memory continues, no file serves old or damaged data."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from a9fe.api_client.errors import FeedLost
from a9fe.api_client.feed import FeedEvent
from a9fe.model.resources import Resource
from a9fe.replica import Replica, ReplicaUnreadable, follow
from a9fe.replica.disk import Disk
from a9fe.replica.persistence import Bounds
from a9fe.runtime.clock import SystemClock
from a9fe.runtime.tasks import Backoff
from tests.kit.conditions import comes_true
from tests.kit.feed_events import NOW, delete, feed, plain, port, snapshot, upsert, vm

QUICK = Backoff(first=0.001, ceiling=0.001)
LARGE = b"user data " * 2000  # more than a page of SQLite


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "replica-metadata" / "replica.db")


def fill(replica: Replica) -> None:
    """Make the disk full, as SQLite reports it."""
    db = replica.persistence._disk._db
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count={pages}")


def fail(message: str) -> Callable[[Replica], None]:
    def failing(replica: Replica) -> None:
        def broken(*_: object) -> None:
            raise sqlite3.OperationalError(message)

        replica.persistence._disk._set_meta = broken  # type: ignore[method-assign]

    return failing


FAULTS = [fill, fail("attempt to write a readonly database"), fail("disk I/O error")]


def files(path: str) -> list[str]:
    return sorted(found.name for found in Path(path).parent.iterdir())


# ---- a disk that cannot be written


@pytest.mark.parametrize("fault", FAULTS)
def test_memory_continues_and_no_restart_loads_an_older_state(path: str, fault, capsys):
    replica = Replica.open(path)
    first = [port("a", "10.0.0.1", device="old"), vm("old", b"1"), vm("new", LARGE)]
    feed(replica, *snapshot(1, *first))
    fault(replica)
    feed(replica, upsert(2, port("a", "10.0.0.1", device="new")), upsert(3, vm("old", LARGE * 20)))
    assert [p.device_id for p in replica.ports_by_address("n", "10.0.0.1")] == ["new"]
    assert replica.revision == 3
    assert replica.get("instance", "old") == vm("old", LARGE * 20)
    assert replica.get("instance", "new") == vm("new", LARGE)  # from the removed file
    assert files(path) == []
    assert capsys.readouterr().out.count("replica cannot be kept on disk") == 1
    feed(replica, delete(4, "instance", "old"))
    assert replica.get("instance", "old") is None
    again = Replica.open(path)  # killed and started again
    assert again.all("port") == ()
    assert again.resume_from is None
    replica.close()
    again.close()


def test_user_data_over_the_bound_are_unreadable_and_never_the_old_ones(path: str):
    replica = Replica(Disk(path), bounds=Bounds(pinned_max=10))
    feed(replica, *snapshot(1, vm("a", b"one"), vm("b", b"one")))
    fail("disk I/O error")(replica)
    feed(replica, upsert(2, vm("a", b"x" * 10)), upsert(3, vm("b", LARGE)))
    feed(replica, upsert(4, vm("c", b"y")))
    assert replica.get("instance", "a") == vm("a", b"x" * 10)
    for id in "bc":
        with pytest.raises(ReplicaUnreadable):
            replica.get("instance", id)
    feed(replica, upsert(5, vm("a", b"")), upsert(6, vm("c", b"z")))
    assert replica.get("instance", "c") == vm("c", b"z")
    replica.close()


def test_a_snapshot_continues_in_memory_when_the_disk_is_full(path: str):
    replica = Replica.open(path)
    feed(replica, *snapshot(1, vm("a", b"one"), vm("gone", b"one")))
    fill(replica)
    feed(replica, *snapshot(1, vm("a", LARGE * 20), vm("b", b"two")))
    assert replica.get("instance", "a") == vm("a", LARGE * 20)
    assert replica.get("instance", "b") == vm("b", b"two")
    assert replica.get("instance", "gone") is None
    replica.close()


def test_a_file_on_a_full_disk_is_read_at_the_start(path: str):
    replica = Replica.open(path)
    feed(replica, *snapshot(1, port("a")))
    replica.close()
    again = Replica.open(path)
    fill(again)
    assert [p.id for p in again.all("port")] == ["a"]
    again.close()


# ---- made anew


class World:
    """A server with the test's resources, and a replica that follows it."""

    def __init__(self, path: str, *resources: Resource) -> None:
        self.replica = Replica(Disk(path), bounds=Bounds(log_interval=0))
        self.asked: list[int | None] = []
        self.resources = list(resources)
        self.revision = 1
        self._news: asyncio.Queue[FeedEvent] = asyncio.Queue()

    async def connect(self, from_revision: int | None) -> AsyncGenerator[FeedEvent, None]:
        self.asked.append(from_revision)
        if from_revision is None:
            for event in snapshot(self.revision, *self.resources):
                yield event
        else:
            yield plain("synced", self.revision)
        while True:
            yield await self._news.get()

    def change(self, resource: Resource) -> None:
        self.resources = [r for r in self.resources if r.id != resource.id] + [resource]
        self.revision += 1
        self._news.put_nowait(upsert(self.revision, resource))

    def run(self, story) -> None:
        async def main() -> None:
            clock = SystemClock()
            following = asyncio.ensure_future(
                follow(self.replica, self.connect, clock, QUICK, QUICK)
            )
            await self.settled()
            await story()
            following.cancel()

        asyncio.run(main())
        self.replica.close()

    @property
    def synced(self) -> bool:
        return self.replica.freshness(NOW).synced_now

    async def settled(self) -> None:
        await comes_true(
            lambda: self.synced and not self.replica.persistence.behind, "the replica is on disk"
        )


def test_when_a_full_disk_has_room_again_a_snapshot_fills_the_file(path: str, capsys):
    world = World(path, vm("a", b"one"), vm("b", LARGE))
    in_the_way = f"{path}.probe"

    async def story() -> None:
        os.mkdir(in_the_way)
        fill(world.replica)
        world.change(vm("a", LARGE * 20))
        await comes_true(lambda: world.replica.persistence.failures > 2, "tries")
        assert world.replica.get("instance", "a") == vm("a", LARGE * 20)
        assert world.replica.get("instance", "b") == vm("b", LARGE)
        assert world.synced
        os.rmdir(in_the_way)
        await world.settled()
        world.change(vm("c", b"three"))
        await comes_true(lambda: world.replica.get("instance", "c"), "the change")

    world.run(story)
    assert world.asked == [None, None]
    said = capsys.readouterr().out
    assert said.count("replica still cannot be kept on disk") >= 2
    assert said.count("replica is kept on disk again") == 1
    again = Replica.open(path)
    assert [again.get("instance", id) for id in "abc"] == [
        vm("a", LARGE * 20), vm("b", LARGE), vm("c", b"three"),
    ]  # fmt: skip
    again.close()


def test_a_kill_before_the_new_file_is_complete_leaves_nothing_to_load(path: str):
    replica = Replica.open(path)
    feed(replica, *snapshot(1, vm("a", b"one")))
    fill(replica)
    feed(replica, upsert(2, vm("a", LARGE * 20)))
    assert replica.persistence.recreate()
    assert replica.resume_from is None
    with pytest.raises(FeedLost):  # this stream ends, and the next one begins with a snapshot
        feed(replica, upsert(3, vm("b", b"two")))
    whole = [plain("snapshot", 4), upsert(4, vm("a", b"four")), plain("synced", 4)]
    feed(replica, *whole[:2])
    assert replica.get("instance", "a") == vm("a", LARGE * 20)
    copied = Path(path).with_name("killed.db")
    for suffix in ("", "-wal"):
        Path(f"{copied}{suffix}").write_bytes(Path(path + suffix).read_bytes())
    killed = Replica.open(str(copied))
    assert (killed.resume_from, killed.all("instance")) == (None, ())
    killed.close()
    feed(replica, *whole[2:], upsert(5, vm("c", b"five")))
    assert Path(path + "-wal").exists()  # closing the former file has left it
    assert replica.get("instance", "a") == vm("a", b"four")
    for suffix in ("", "-wal"):
        Path(f"{copied}{suffix}").write_bytes(Path(path + suffix).read_bytes())
    killed = Replica.open(str(copied))
    assert killed.get("instance", "a") == vm("a", b"four")
    assert killed.get("instance", "c") == vm("c", b"five")
    killed.close()
    replica.close()


def test_a_disk_that_fails_again_during_the_snapshot_loses_nothing(path: str):
    replica = Replica.open(path)
    feed(replica, *snapshot(1, vm("a", LARGE)))
    fail("disk I/O error")(replica)
    feed(replica, upsert(2, vm("b", b"two")))
    assert replica.persistence.recreate()
    fill(replica)
    with pytest.raises(FeedLost, match="continuing in memory"):
        feed(replica, *snapshot(2, vm("a", LARGE * 50), vm("b", b"two")))
    replica.lost(NOW)
    assert replica.resume_from is not None
    assert replica.get("instance", "a") == vm("a", LARGE)
    assert replica.get("instance", "b") == vm("b", b"two")
    replica.close()


# ---- damage


def overwrite(path: str, what: bytes = LARGE[:200]) -> None:
    content = Path(path).read_bytes()
    assert what in content
    with Path(path).open("r+b") as file:
        file.write(content.replace(what, b"#" * len(what)))


def kept_and_opened(path: str, *resources: Resource) -> None:
    replica = Replica.open(path)
    feed(replica, *snapshot(1, *resources))
    replica.close()


def test_damaged_user_data_are_never_served_and_fetched_again(path: str):
    kept_and_opened(path, vm("a", LARGE), vm("b", b"short"), port("p"))
    world = World(path, vm("a", LARGE), vm("b", b"short"), port("p"))

    async def story() -> None:
        overwrite(path)
        with pytest.raises(ReplicaUnreadable, match="damaged"):
            world.replica.get("instance", "a")
        assert world.replica.get("instance", "b") == vm("b", b"short")
        assert [p.id for p in world.replica.all("port")] == ["p"]
        await world.settled()
        assert world.replica.get("instance", "a") == vm("a", LARGE)

    world.run(story)
    assert world.asked == [1, None]
    again = Replica.open(path)
    assert again.get("instance", "a") == vm("a", LARGE)
    again.close()


def test_user_data_damaged_before_the_start_are_never_served(path: str):
    kept_and_opened(path, vm("a", LARGE), vm("b", b"short"))
    overwrite(path)
    replica = Replica.open(path)
    for _ in range(2):
        with pytest.raises(ReplicaUnreadable):
            replica.get("instance", "a")
    assert replica.get("instance", "b") == vm("b", b"short")
    replica.close()


ALTERED = [
    "UPDATE objects SET json = replace(json, '10.0.0.1', '10.0.0.9') WHERE kind = 'port'",
    "UPDATE objects SET id = 'c' WHERE id = 'a'",
    "UPDATE objects SET kind = 'network' WHERE id = 'a'",
    "UPDATE objects SET revision = 7 WHERE id = 'a'",
    "UPDATE objects SET json_sum = json_sum + 1 WHERE id = 'a'",
    "UPDATE objects SET data_sum = NULL",
    "DELETE FROM objects WHERE id = 'a'",
    "DELETE FROM objects",
    "INSERT INTO objects SELECT kind, 'c', generation, revision, json_sum, json, NULL, NULL"
    " FROM objects WHERE id = 'a'",
    "UPDATE meta SET revision = 9",
    "UPDATE meta SET store = 'other'",
    "UPDATE meta SET generation = 0",
    "DELETE FROM meta",
]


@pytest.mark.parametrize("change", ALTERED)
def test_a_row_that_is_altered_or_missing_is_found_at_the_start(path: str, change: str, capsys):
    kept_and_opened(path, port("a", "10.0.0.1"), port("b", "10.0.0.2"), vm("v", b"x"))
    db = sqlite3.connect(path)
    db.execute(change)
    db.commit()
    db.close()
    replica = Replica.open(path)
    assert replica.all("port") == ()
    assert replica.resume_from is None
    assert "discarded a damaged or outdated replica" in capsys.readouterr().out
    feed(replica, *snapshot(2, port("b")))
    replica.close()
    again = Replica.open(path)
    assert [p.id for p in again.all("port")] == ["b"]
    again.close()


@pytest.mark.parametrize(
    "change",
    ["data_sum = (SELECT data_sum", "user_data = (SELECT user_data", "user_data = (SELECT NULL"],
)
def test_user_data_moved_to_another_row_are_not_served(path: str, change: str):
    kept_and_opened(path, vm("a", b"one"), vm("b", b"two"))
    db = sqlite3.connect(path)
    db.execute(f"UPDATE objects SET {change} FROM objects WHERE id = 'b')")
    db.commit()
    db.close()
    disk = Disk(path)
    replica = Replica(disk)
    with pytest.raises(ReplicaUnreadable):
        replica.get("instance", "a")
    replica.close()


# ---- any faults, at any time

changes = st.lists(
    st.one_of(
        st.builds(port, st.sampled_from("abc"), st.sampled_from(["1", "2"])),
        st.builds(vm, st.sampled_from("vw"), st.sampled_from([None, b"1", LARGE, LARGE * 30])),
        st.sampled_from("abcvw"),
        st.sampled_from(["full", "anew", "kill", "snapshot", "broken snapshot"]),
    ),
    max_size=20,
)


class Kept:
    """A replica, and the resources that it should have."""

    def __init__(self, path: str) -> None:
        self.path, self.revision = path, 0
        self.state: dict[str, Resource] = {}
        self.replica = Replica.open(path)
        self.killed: list[Replica] = []
        self.snapshot()

    def snapshot(self, *, whole: bool = True) -> None:
        self.revision += 1
        events = snapshot(self.revision, *self.state.values())
        feed(self.replica, *(events if whole else events[:-1]))
        if not whole:
            self.replica.lost(NOW)

    def do(self, what: Resource | str) -> None:
        if what == "full":
            if not self.replica.persistence.behind:
                fill(self.replica)
        elif what == "anew":
            if self.replica.persistence.recreate():
                self.snapshot()
        elif what == "kill":
            self.kill()
        elif what in ("snapshot", "broken snapshot"):
            self.snapshot(whole=what == "snapshot")
        else:
            self.change(what)

    def change(self, what: Resource | str) -> None:
        self.revision += 1
        if isinstance(what, str):
            self.state.pop(what, None)
            feed(
                self.replica, delete(self.revision, "port" if what in "abc" else "instance", what)
            )
        else:
            self.state[what.id] = what
            feed(self.replica, upsert(self.revision, what))

    def known(self) -> dict[str, Resource | None]:
        kinds = ("port", "instance")
        return {r.id: self.replica.get(k, r.id) for k in kinds for r in self.replica.all(k)}

    def kill(self) -> None:
        """Start another replica on a copy of the file as it is, without closing the first."""
        before = self.known()
        copy = f"{self.path}.{len(self.killed)}"
        for suffix in ("", "-wal"):
            if Path(self.path + suffix).exists():
                Path(copy + suffix).write_bytes(Path(self.path + suffix).read_bytes())
        self.killed.append(self.replica)
        self.path, self.replica = copy, Replica.open(copy)
        assert self.known() in ({}, before)
        if self.replica.resume_from is None:
            self.snapshot()


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=changes)
def test_after_any_faults_the_replica_is_right_and_a_restart_loads_it_or_nothing(
    tmp_path: Path, steps: list[Resource | str]
):
    for left in tmp_path.iterdir():
        left.unlink()
    kept = Kept(str(tmp_path / "replica.db"))
    for step in steps:
        kept.do(step)
        assert kept.known() == kept.state
    kept.kill()
    for replica in (kept.replica, *kept.killed):
        replica.close()
