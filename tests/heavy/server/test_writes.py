"""Waiting writes share one commit; a cancelled write does not affect the others."""

import asyncio
import threading
from pathlib import Path

import pytest

from a9fe.model.errors import NotFound
from a9fe.model.resources import Network
from a9fe.server.asgi.writes import Writes
from a9fe.store import Session, Store
from tests.kit.databases import DATABASES
from tests.kit.fake_clock import START

DEADLINE = 20.0


def test_writes_that_wait_during_a_commit_are_one_commit(tmp_path: Path):
    store = Store(DATABASES.fresh(tmp_path), lambda: START)
    told: list[int] = []
    store.on_commit(told.append)
    begun, go_on = threading.Event(), threading.Event()

    def first(session: Session) -> None:
        session.insert(Network(id="n0"))
        begun.set()
        assert go_on.wait(DEADLINE)

    def later(number: int) -> Network:
        return lambda session: session.insert(Network(id=f"n{number}"))

    async def story() -> None:
        writes = Writes(store)
        running = [asyncio.ensure_future(writes.do(first))]
        await asyncio.to_thread(begun.wait, DEADLINE)
        running += [asyncio.ensure_future(writes.do(later(number))) for number in range(1, 9)]
        running.append(asyncio.ensure_future(writes.do(lambda s: s.require(Network, "none"))))
        await asyncio.to_thread(lambda: None)  # all of them have begun to wait
        go_on.set()
        *done, missing = await asyncio.gather(*running, return_exceptions=True)
        assert [found.id for found in done[1:]] == [f"n{number}" for number in range(1, 9)]
        assert isinstance(missing, NotFound)

    asyncio.run(story())
    assert len(told) == 2
    store.close()


def test_a_cancelled_write_does_not_affect_the_others(tmp_path: Path):
    store = Store(DATABASES.fresh(tmp_path), lambda: START)
    begun, go_on = threading.Event(), threading.Event()

    def first(session: Session) -> Network:
        begun.set()
        assert go_on.wait(DEADLINE)
        return session.insert(Network(id="n0"))

    async def story() -> None:
        writes = Writes(store)
        gone = asyncio.ensure_future(writes.do(first))
        await asyncio.to_thread(begun.wait, DEADLINE)
        stays = asyncio.ensure_future(writes.do(lambda s: s.insert(Network(id="n1"))))
        await asyncio.to_thread(lambda: None)
        gone.cancel()
        go_on.set()
        assert (await stays).id == "n1"
        with pytest.raises(asyncio.CancelledError):
            await gone

    asyncio.run(story())
    with store.read() as session:
        assert [network.id for network in session.find(Network)] == ["n0", "n1"]
    store.close()
