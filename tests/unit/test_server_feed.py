"""The change feed, over a real uvicorn and through the hub itself."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from a9fe.model import codec
from a9fe.model.resources import Network
from a9fe.server import feed, main
from a9fe.store import Store
from tests.databases import DATABASES
from tests.unit.server_world import HandTurnedClock, ServerOptions

DEADLINE = 20.0


class Running:
    """A server on a port of its own."""

    def __init__(self, directory: Path) -> None:
        clock = HandTurnedClock()
        self.store = Store(DATABASES.fresh(directory), clock.now)
        self.server = main.prepare(ServerOptions(), self.store, clock)
        self.listener = main.listen("127.0.0.1", 0)
        self.port = self.listener.getsockname()[1]
        self.client = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}", timeout=DEADLINE, verify=False
        )

    async def network(self, name: str) -> Any:
        answer = await self.client.post("/v2.0/networks", json={"network": {"name": name}})
        assert answer.status_code == 201
        return answer.json()["network"]

    @contextlib.asynccontextmanager
    async def follow(self, query: str) -> AsyncIterator["Reader"]:
        async with self.client.stream("GET", f"/a9fe/v1/feed?{query}") as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "application/x-ndjson"
            yield Reader(answer)

    async def streams(self) -> list[str]:
        return (await self.client.get("/a9fe/v1/status")).json()["streams"]


class Reader:
    """The events of one stream."""

    def __init__(self, answer: httpx.Response) -> None:
        self._lines = answer.aiter_lines()

    async def event(self) -> Any:
        async with asyncio.timeout(DEADLINE):
            return json.loads(await anext(self._lines))

    async def until(self, name: str) -> list[Any]:
        """Events up to and with the first of that name."""
        seen = [await self.event()]
        while seen[-1]["event"] != name:
            seen.append(await self.event())
        return seen


@contextlib.asynccontextmanager
async def running(directory: Path) -> AsyncIterator[Running]:
    world = Running(directory)
    serving = asyncio.ensure_future(main.serve(world.server, world.listener))
    try:
        yield world
    finally:
        await world.client.aclose()
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            async with asyncio.timeout(DEADLINE):
                await serving
        world.store.close()


def in_loop(directory: Path, story: Any) -> None:
    async def told() -> None:
        async with running(directory) as world:
            await story(world)

    asyncio.run(told())


def test_a_snapshot_then_changes_as_they_are_made(tmp_path: Path):
    async def story(world: Running) -> None:
        first = await world.network("a")
        async with world.follow("host=h1&agent=dhcp") as reader:
            begin, upsert, synced = [await reader.event() for _ in range(3)]
            assert (begin["event"], synced["event"]) == ("snapshot", "synced")
            assert begin["revision"] == synced["revision"] == upsert["revision"]
            assert (upsert["event"], upsert["kind"]) == ("upsert", "network")
            with world.store.read() as session:
                stored = session.require(Network, first["id"])
            assert codec.decode_kind("network", upsert["object"]) == stored
            assert await world.streams() == ["dhcp@h1"]

            second = await world.network("b")
            change = await reader.event()
            assert change["revision"] == synced["revision"] + 1
            assert change["object"]["id"] == second["id"]
            await world.client.delete(f"/v2.0/networks/{second['id']}")
            assert await reader.event() == {
                "event": "delete",
                "revision": synced["revision"] + 2,
                "kind": "network",
                "id": second["id"],
            }
        async with asyncio.timeout(DEADLINE):
            while await world.streams():
                pass  # asking gives the server its turn

    in_loop(tmp_path, story)


def test_resumed_it_gets_changes_only_and_a_snapshot_if_too_old(tmp_path: Path):
    async def story(world: Running) -> None:
        async with world.follow("host=h1&agent=l3") as reader:
            reached = (await reader.until("synced"))[-1]["revision"]
        await world.network("a")
        async with world.follow(f"host=h1&agent=l3&from={reached}") as reader:
            seen = await reader.until("synced")
            assert [e["event"] for e in seen] == ["upsert", "synced"]
            assert seen[-1]["revision"] == reached + 1
        for unknown in (reached + 100, 0):
            async with world.follow(f"host=h1&agent=l3&from={unknown}") as reader:
                seen = await reader.until("synced")
                assert [e["event"] for e in seen] == ["snapshot", "upsert", "synced"]

    in_loop(tmp_path, story)


def test_each_agent_gets_its_kinds(tmp_path: Path):
    async def story(world: Running) -> None:
        await world.network("a")
        instance = {"instance": {"name": "web1", "network": "a", "user_data": "AP8="}}
        assert (await world.client.post("/a9fe/v1/instances", json=instance)).status_code == 201
        await world.client.post("/v2.0/routers", json={"router": {}})
        kinds = {}
        for agent in feed.KINDS_OF:
            async with world.follow(f"host=h1&agent={agent}") as reader:
                events = await reader.until("synced")
                kinds[agent] = {e["kind"] for e in events if e["event"] == "upsert"}
        assert kinds == {
            "l3": {"network", "port", "router"},
            "dhcp": {"network", "port"},
            "metadata": {"network", "port", "router"},
            "service": {"network", "port", "instance"},
        }

    in_loop(tmp_path, story)


def test_a_write_reaches_many_streams_once_and_in_order(tmp_path: Path):
    async def story(world: Running) -> None:
        async with contextlib.AsyncExitStack() as stack:
            readers = [
                await stack.enter_async_context(world.follow(f"host=h{i}&agent=dhcp"))
                for i in range(5)
            ]
            for reader in readers:
                await reader.until("synced")
            await asyncio.gather(*(world.network(str(i)) for i in range(20)))
            for reader in readers:
                events = [await reader.event() for _ in range(20)]
                revisions = [e["revision"] for e in events]
                assert revisions == sorted(set(revisions))
                assert {e["object"]["name"] for e in events} == {str(i) for i in range(20)}

    in_loop(tmp_path, story)


def test_nothing_is_missed_between_snapshot_and_changes(tmp_path: Path):
    async def story(world: Running) -> None:
        async def write() -> None:
            for i in range(30):
                await world.network(str(i))

        writing = asyncio.ensure_future(write())
        for _ in range(5):
            names = set()
            async with world.follow("host=h1&agent=dhcp") as reader:
                while len(names) < 30:
                    event = await reader.event()
                    if event["event"] == "upsert":
                        assert event["object"]["name"] not in names
                        names.add(event["object"]["name"])
        await writing

    in_loop(tmp_path, story)


BAD_QUERIES = {
    "agent=l3": "host",
    "host=h1": "agent",
    "host=h1&agent=x": "agent",
    "host=h1&agent=l3&from=x": "from",
    "host=h1&agent=l3&from=-1": "from",
    "host=h1&agent=l3&from=" + "9" * 30: "from",
}


def test_a_bad_query_names_its_field(tmp_path: Path):
    async def story(world: Running) -> None:
        for query, word in BAD_QUERIES.items():
            answer = await world.client.get(f"/a9fe/v1/feed?{query}")
            assert answer.status_code == 400, query
            assert answer.json()["NeutronError"]["message"].startswith(f"{word}: ")

    in_loop(tmp_path, story)


def test_the_server_ends_while_streams_are_open(tmp_path: Path):
    async def told() -> None:
        async with running(tmp_path) as world, world.follow("host=h1&agent=l3") as reader:
            await reader.until("synced")
            world.server.should_exit = True
            with pytest.raises(StopAsyncIteration):
                await reader.event()

    asyncio.run(told())


def test_raw_rubbish_is_refused_and_the_server_lives(tmp_path: Path):
    async def story(world: Running) -> None:
        for rubbish in (b"\0\r\n\r\n", b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", b"GET\r\n\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
            writer.write(rubbish)
            async with asyncio.timeout(DEADLINE):
                line = await reader.readline()
            assert line.split(b" ")[1][:1] == b"4", line
            writer.close()
            await writer.wait_closed()
        assert (await world.client.get("/metrics")).status_code == 200

    in_loop(tmp_path, story)


def test_a_slow_reader_is_cut_off_and_costs_a_bounded_queue():
    async def told() -> None:
        stream = feed.Stream("dhcp@h1", ("network",), limit=3)
        for revision in range(3):
            stream.put(revision, b"x")
        assert not stream.closed
        stream.put(3, b"x")
        assert stream.closed
        stream.put(4, b"x")
        assert await stream.take(0.01) == []

    asyncio.run(told())


def test_heartbeats_say_how_far_the_stream_is(tmp_path: Path):
    async def told() -> None:
        store = Store(DATABASES.fresh(tmp_path), HandTurnedClock().now)
        hub = feed.Hub(store, heartbeat=0.01)
        publishing = asyncio.ensure_future(hub.run())
        with store.write() as session:
            session.insert(Network(id="n1"))
            reached = session.revision()
        lines = hub.follow("dhcp@h1", ("network",), None)
        async with asyncio.timeout(DEADLINE):
            seen = b"".join([await anext(lines), await anext(lines)]).splitlines()
        assert [json.loads(line)["event"] for line in seen[-2:]] == ["synced", "heartbeat"]
        assert json.loads(seen[-1])["revision"] == reached
        hub.close()
        assert [line async for line in lines if b"heartbeat" not in line] == []
        assert hub.streams == set()
        publishing.cancel()
        store.close()

    asyncio.run(told())


def test_a_taken_port_is_one_clear_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(main.A9feError, match=rf"cannot listen on 127.0.0.1 port {port}: Addr"):
            main.listen("127.0.0.1", port)
