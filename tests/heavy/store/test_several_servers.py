"""The stores of several servers on one PostgreSQL, each with its own connections."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import select

from a9fe.model.resources import Network
from a9fe.store import Store, StoreError
from a9fe.store.schema.tables import change_log
from tests.kit.databases import DATABASES, running_postgres
from tests.kit.fake_clock import START

WRITES = 40
DEADLINE = 20


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[tuple[Store, Store]]:
    kind, DATABASES.kind = DATABASES.kind, "postgresql"
    url = DATABASES.fresh(tmp_path)
    DATABASES.kind = kind
    pair = (Store(url, lambda: START), Store(url, lambda: START))
    yield pair
    for store in pair:
        store.close()


def revisions_after(store: Store, revision: int) -> list[int]:
    query = select(change_log.c.revision).where(change_log.c.revision > revision)
    with store.read() as session:
        return sorted(session._connection.execute(query).scalars())


@pytest.mark.sqlite
def test_a_reader_of_the_log_never_misses_a_revision(stores: tuple[Store, Store]):
    def write(number: int) -> None:
        def work(session) -> None:
            for part in "abc":
                session.insert(Network(id=f"{number}{part}"))

        stores[number % 2].transact(work)

    with stores[0].read() as session:
        start = session.revision()
    seen: list[int] = []
    with ThreadPoolExecutor(8) as pool:
        written = [pool.submit(write, number) for number in range(WRITES)]
        while len(seen) < 3 * WRITES:
            fresh = revisions_after(stores[1], seen[-1] if seen else start)
            assert fresh == list(range(start + len(seen) + 1, start + len(seen) + len(fresh) + 1))
            seen += fresh
        assert all(one.result() is None for one in written)


@pytest.mark.sqlite
def test_a_commit_of_another_server_is_notified(stores: tuple[Store, Store]):
    async def told() -> None:
        heard: asyncio.Queue[int] = asyncio.Queue()
        stores[0].on_commit(heard.put_nowait)
        hearing = asyncio.ensure_future(stores[0].listen())
        async with asyncio.timeout(DEADLINE):
            now = await heard.get()
            await asyncio.to_thread(stores[1].transact, lambda s: s.insert(Network(id="n1")))
            assert await heard.get() == now + 1
        hearing.cancel()

    asyncio.run(told())


@pytest.mark.sqlite
def test_a_failed_write_is_not_notified(stores: tuple[Store, Store]):
    async def told() -> None:
        heard: asyncio.Queue[int] = asyncio.Queue()
        stores[0].on_commit(heard.put_nowait)
        hearing = asyncio.ensure_future(stores[0].listen())

        def failing(session) -> None:
            session.insert(Network(id="n1"))
            raise KeyError

        async with asyncio.timeout(DEADLINE):
            now = await heard.get()
            with pytest.raises(KeyError):
                await asyncio.to_thread(stores[1].transact, failing)
            await asyncio.to_thread(stores[1].transact, lambda s: s.insert(Network(id="n2")))
            assert await heard.get() == now + 1
        hearing.cancel()

    asyncio.run(told())


@pytest.mark.sqlite
def test_a_restarted_database_is_an_error_and_then_works(tmp_path: Path):
    with running_postgres() as cluster:
        store = Store(cluster.fresh(), lambda: START)
        store.transact(lambda session: session.insert(Network(id="n1")))
        cluster.stop()
        with pytest.raises(StoreError) as error:
            store.transact(lambda session: session.insert(Network(id="n2")))
        assert "\n" not in str(error.value)
        assert str(cluster.directory) in str(error.value)
        cluster.start()
        store.transact(lambda session: session.insert(Network(id="n3")))
        with store.read() as session:
            assert [network.id for network in session.find(Network)] == ["n1", "n3"]
        store.close()
