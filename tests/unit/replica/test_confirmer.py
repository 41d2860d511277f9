"""Confirming misses: they share fetches, and each is answered by a fetch made after it."""

import asyncio
from collections.abc import Sequence

from a9fe.api_client.errors import ServerUnreachable
from a9fe.api_client.feed import FeedEvent
from a9fe.replica import Replica
from a9fe.replica.confirmer import MISS_TIMEOUT, PAUSE, WAITING_MAX, Confirmer
from tests.kit.conditions import comes_true
from tests.kit.fake_clock import FakeClock
from tests.kit.feed_events import NOW, delete, feed, plain, port, snapshot, upsert


class Server:
    """A server: what was committed, and the fetches. `held`: each fetch waits for a release."""

    def __init__(self) -> None:
        self.log: list[FeedEvent] = []
        self.asked: list[int] = []
        self.held: asyncio.Semaphore | None = None
        self.away = False
        self.whole = True

    @property
    def revision(self) -> int:
        return 1 + len(self.log)

    def put(self, id: str, *ips: str) -> None:
        self.log.append(upsert(self.revision + 1, port(id, *ips)))

    def remove(self, id: str) -> None:
        self.log.append(delete(self.revision + 1, "port", id))

    async def since(self, revision: int) -> Sequence[FeedEvent]:
        self.asked.append(revision)
        events = [event for event in self.log if event.revision > revision]
        reached = self.revision
        if self.held:
            await self.held.acquire()
        if self.away:
            raise ServerUnreachable("http://server", "no answer")
        return [*events, *([plain("synced", reached)] if self.whole else [])]


class World:
    def __init__(self, miss_timeout: float = MISS_TIMEOUT) -> None:
        self.server, self.replica = Server(), Replica()
        feed(self.replica, *snapshot(1))
        self.confirmer = Confirmer(self.replica, self.server.since, FakeClock(), miss_timeout)

    def finds(self, ip: str) -> list[str]:
        return [found.id for found in self.replica.ports_by_address("n", ip)]

    def run(self, story) -> None:
        async def main() -> None:
            async with asyncio.timeout(60):
                await story()

        asyncio.run(main())
        self.replica.close()


def test_changes_committed_before_the_call_are_in_the_replica_after():
    world = World()

    async def story() -> None:
        for number in range(20):
            world.server.put(f"p{number}", f"10.0.0.{number}")
            assert await world.confirmer.certain()
            assert world.finds(f"10.0.0.{number}") == [f"p{number}"]
            world.server.remove(f"p{number}")
            assert await world.confirmer.certain()
            assert world.finds(f"10.0.0.{number}") == []

    world.run(story)
    assert world.server.asked == list(range(1, 41))


def test_misses_share_one_fetch_and_later_ones_the_next():
    world = World()

    async def story() -> None:
        world.server.held = asyncio.Semaphore(0)
        first = asyncio.ensure_future(world.confirmer.certain())
        await comes_true(lambda: world.server.asked, "the first call")
        world.server.put("late", "10.0.0.1")  # the call under way does not say it
        others = [asyncio.ensure_future(world.confirmer.certain()) for _ in range(100)]
        await comes_true(lambda: world.confirmer._waiting == 101, "all to wait")
        world.server.held.release()
        assert await first
        assert world.finds("10.0.0.1") == []
        world.server.held.release()
        assert await asyncio.gather(*others) == [True] * 100
        assert world.finds("10.0.0.1") == ["late"]

    world.run(story)
    assert len(world.server.asked) == 2


def test_a_cancelled_miss_does_not_disturb_the_others():
    world = World()

    async def story() -> None:
        world.server.held = asyncio.Semaphore(0)
        waiting = [asyncio.ensure_future(world.confirmer.certain()) for _ in range(3)]
        await comes_true(lambda: world.server.asked, "the call")
        waiting[0].cancel()
        await asyncio.wait(waiting[:1])
        world.server.held.release()
        assert await asyncio.gather(*waiting[1:]) == [True, True]

    world.run(story)


def test_a_miss_is_uncertain_without_the_server_or_a_complete_answer():
    world = World()

    async def story() -> None:
        world.server.away = True
        assert not await world.confirmer.certain()
        world.server.away, world.server.whole = False, False
        assert not await world.confirmer.certain()
        world.server.whole = True
        assert await world.confirmer.certain()
        asked = len(world.server.asked)
        world.replica.lost(NOW)
        assert not await world.confirmer.certain()
        assert len(world.server.asked) == asked  # a lost feed says enough

    world.run(story)


def test_an_answer_from_before_a_new_snapshot_is_not_applied():
    world = World()

    async def story() -> None:
        world.server.put("old", "10.0.0.1")
        world.server.held = asyncio.Semaphore(0)
        asking = asyncio.ensure_future(world.confirmer.certain())
        await comes_true(lambda: world.server.asked, "the call")
        world.replica.lost(NOW)
        feed(world.replica, *snapshot(1))
        world.server.held.release()
        assert not await asking
        assert world.finds("10.0.0.1") == []

    world.run(story)


def test_a_flood_without_changes_is_slowed_down_and_bounded():
    world = World(
        miss_timeout=60
    )  # no miss of the flood shall give up, however slow the machine is

    async def story() -> None:
        for _ in range(8):
            assert await world.confirmer.certain()
        assert world.confirmer._without_change >= 7
        assert PAUSE.delay(world.confirmer._without_change, 1.0) == PAUSE.ceiling
        world.server.put("a", "10.0.0.1")
        assert await world.confirmer.certain()
        assert world.confirmer._without_change == 0
        world.server.held = asyncio.Semaphore(0)
        flood = [asyncio.ensure_future(world.confirmer.certain()) for _ in range(WAITING_MAX + 9)]
        await comes_true(lambda: sum(one.done() for one in flood) == 9, "those over the bound")
        held = world.server.held
        assert not any(one.result() for one in flood if one.done())
        world.server.held = None
        held.release()
        assert sum(await asyncio.gather(*flood)) == WAITING_MAX

    world.run(story)


def test_changes_from_the_feed_and_from_fetches_end_in_the_same_state():
    world = World()

    async def story() -> None:
        server, replica = world.server, world.replica
        server.put("a", "10.0.0.1")
        server.put("b", "10.0.0.2")
        assert await world.confirmer.certain()
        server.remove("a")
        server.put("a", "10.0.0.3")
        assert await world.confirmer.certain()
        feed(replica, *server.log)  # the feed is behind, and says all of it again
        assert world.finds("10.0.0.1") == []
        assert world.finds("10.0.0.2") == ["b"]
        assert world.finds("10.0.0.3") == ["a"]
        assert replica.resume_from == server.revision

    world.run(story)
