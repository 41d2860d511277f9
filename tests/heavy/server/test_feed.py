"""The change feed, through a real uvicorn and through the hub."""

import asyncio
import base64
import contextlib
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from a9fe.model import codec
from a9fe.model.resources import Network, Port
from a9fe.server import main
from a9fe.server.feed.hub import STREAMS_MAX, Hub
from a9fe.server.feed.roles import ROLES, Follower
from a9fe.server.feed.stream import QUEUE_BYTES_MAX, Stream
from a9fe.store import Store
from tests.kit.databases import DATABASES
from tests.kit.fake_clock import FakeClock
from tests.kit.running_server import DEADLINE, Running, running

SMALL_QUEUE = 5  # lines, beside what the buffers of a connection take


def in_loop(directory: Path, story: Any, **options: int) -> None:
    async def told() -> None:
        async with running(directory, **options) as world:
            await story(world)

    asyncio.run(told())


def test_a_snapshot_then_changes_as_they_are_made(tmp_path: Path):
    async def story(world: Running) -> None:
        first = await world.port("a")
        async with world.follow("host=h1&agent=dhcp") as reader:
            begin, network, port, synced = [await reader.event() for _ in range(4)]
            assert (begin["event"], synced["event"]) == ("snapshot", "synced")
            assert begin["revision"] == synced["revision"] == port["revision"]
            assert (network["kind"], port["event"], port["kind"]) == ("network", "upsert", "port")
            with world.store.read() as session:
                stored = session.require(Port, first["id"])
            assert codec.decode_kind("port", port["object"]) == stored
            assert await world.streams() == ["dhcp@h1"]

            second = await world.port("b")
            change = (await reader.until_kind("port"))[-1]
            assert change["revision"] == synced["revision"] + 1
            assert change["object"]["id"] == second["id"]
            await world.client.delete(f"/v2.0/ports/{second['id']}")
            assert (await reader.until_kind("port"))[-1] == {
                "event": "delete",
                "revision": synced["revision"] + 2,
                "kind": "port",
                "id": second["id"],
            }
        async with asyncio.timeout(DEADLINE):
            while await world.streams():
                pass  # asking gives the server its turn

    in_loop(tmp_path, story)


def test_resumed_it_gets_changes_only_and_a_snapshot_if_too_old(tmp_path: Path):
    async def story(world: Running) -> None:
        await world.port("a")
        async with world.follow("host=h1&agent=l3") as reader:
            reached = (await reader.until("synced"))[-1]["revision"]
        await world.port("b")
        async with world.follow(f"host=h1&agent=l3&from={reached}") as reader:
            seen = await reader.until("synced")
            assert {e["event"] for e in seen[:-1]} == {"upsert"}
            assert [e["object"]["name"] for e in seen if e.get("kind") == "port"] == ["b"]
            assert seen[-1]["revision"] == reached + 1
        for unknown in (reached + 100, 0):
            async with world.follow(f"host=h1&agent=l3&from={unknown}") as reader:
                seen = await reader.until("synced")
                assert seen[0]["event"] == "snapshot"
                assert len([e for e in seen if e.get("kind") == "port"]) == 2

    in_loop(tmp_path, story)


def test_with_once_the_answer_has_the_committed_changes_and_ends(tmp_path: Path):
    async def story(world: Running) -> None:
        await world.port("a")

        async def once(since: int) -> list[Any]:
            query = f"host=h1&agent=l3&from={since}&once=1"
            answer = await world.client.get(f"/a9fe/v1/feed?{query}")
            assert answer.status_code == 200
            said = [json.loads(line) for line in answer.text.splitlines()]
            assert [e["event"] for e in said[:1]] in ([], ["hello"])
            return said[1:]

        async with world.follow("host=h1&agent=l3") as reader:
            reached = (await reader.until("synced"))[-1]["revision"]
        assert await once(reached) == [{"event": "synced", "revision": reached}]
        for name in "bc":
            await world.port(name)
            told = [e["object"]["name"] for e in (await once(reached))[:-1]]
            assert name in told  # at once, though no stream has heard of it
        elsewhere = await world.port("d", host="h2")
        assert elsewhere["name"] not in [
            e.get("object", {}).get("name") for e in await once(reached)
        ]
        for unknown in (reached + 100, 0):  # no snapshot: that is a stream's to ask for
            assert await once(unknown) == []

    in_loop(tmp_path, story)


def test_each_agent_gets_its_kinds_and_other_hosts_nothing(tmp_path: Path):
    async def story(world: Running) -> None:
        await world.served_instance()
        await world.client.post("/v2.0/routers", json={"router": {}})
        kinds = {}
        for host in ("here", "elsewhere"):
            for agent in ROLES:
                async with world.follow(f"host={host}&agent={agent}") as reader:
                    events = await reader.until("synced")
                    found = {e["kind"] for e in events if e["event"] == "upsert"}
                    kinds[host, agent] = found
        assert kinds == {
            ("here", "l3"): {"network", "subnet", "port", "router", "binding"},
            ("here", "dhcp"): {"network", "subnet", "port", "binding"},
            ("here", "metadata"): {"network", "port", "router"},
            ("here", "service"): {"network", "subnet", "port", "instance", "security_group"},
            **{("elsewhere", agent): set() for agent in ROLES},
        }

    in_loop(tmp_path, story)


def test_a_write_reaches_many_streams_once_and_in_order(tmp_path: Path):
    async def story(world: Running) -> None:
        async with contextlib.AsyncExitStack() as stack:
            agents = [*ROLES, "dhcp"]
            readers = [
                await stack.enter_async_context(world.follow(f"host=h1&agent={agent}"))
                for agent in agents
            ]
            await world.port("before")
            for reader in readers:
                await reader.until("synced")
            await asyncio.gather(*(world.port(str(i)) for i in range(20)))
            names = {str(i) for i in range(20)}
            for reader in readers:
                events: list[Any] = []
                while len(events) < 20:
                    found = (await reader.until_kind("port"))[-1]
                    events += [found] if found["object"]["name"] in names else []
                revisions = [e["revision"] for e in events]
                assert revisions == sorted(set(revisions))
                assert {e["object"]["name"] for e in events} == names

    in_loop(tmp_path, story)


def test_nothing_is_missed_between_snapshot_and_changes(tmp_path: Path):
    async def story(world: Running) -> None:
        async def write() -> None:
            for i in range(30):
                await world.port(str(i))

        writing = asyncio.ensure_future(write())
        for _ in range(5):
            names = set()
            async with world.follow("host=h1&agent=dhcp") as reader:
                while len(names) < 30:
                    event = (await reader.until_kind("port"))[-1]
                    assert event["object"]["name"] not in names
                    names.add(event["object"]["name"])
        await writing

    in_loop(tmp_path, story)


def test_an_agent_with_too_many_streams_loses_the_oldest(tmp_path: Path):
    async def story(world: Running) -> None:
        async with contextlib.AsyncExitStack() as stack:
            readers = []
            for _ in range(STREAMS_MAX + 1):
                readers.append(await stack.enter_async_context(world.follow("host=h1&agent=l3")))
                await readers[-1].until("synced")
            assert await world.streams() == ["l3@h1"] * STREAMS_MAX
            with pytest.raises(StopAsyncIteration):
                await readers[0].event()

    in_loop(tmp_path, story)


def test_a_port_that_moves_leaves_one_stream_and_enters_another(tmp_path: Path):
    async def story(world: Running) -> None:
        port = await world.port("a")
        async with (
            world.follow("host=h1&agent=dhcp") as here,
            world.follow("host=h2&agent=dhcp") as there,
        ):
            await here.until("synced")
            await there.until("synced")
            path = f"/v2.0/ports/{port['id']}"
            await world.client.put(path, json={"port": {"binding:host_id": "h2"}})
            gone = {(e["event"], e["kind"]) for e in [await here.event() for _ in range(2)]}
            come = {(e["event"], e["kind"]) for e in [await there.event() for _ in range(2)]}
            assert gone == {("delete", "port"), ("delete", "network")}
            assert come == {("upsert", "port"), ("upsert", "network")}

    in_loop(tmp_path, story)


def test_a_reader_that_does_not_read_is_cut_off(tmp_path: Path):
    async def story(world: Running) -> None:
        instance = await world.served_instance()
        request = b"GET /a9fe/v1/feed?host=here&agent=service HTTP/1.1\r\nHost: x\r\n\r\n"
        with socket.socket() as reader:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            reader.setblocking(False)  # noqa: FBT003 - the socket's own method
            await asyncio.get_running_loop().sock_connect(reader, ("127.0.0.1", world.port_number))
            await asyncio.get_running_loop().sock_sendall(reader, request)
            async with asyncio.timeout(DEADLINE):
                while not await world.streams():
                    pass  # asking gives the server its turn
            path, number = f"/a9fe/v1/instances/{instance['id']}", 0
            async with asyncio.timeout(3 * DEADLINE):
                while await world.streams():
                    number += 1
                    data = base64.b64encode(f"{number:048000}".encode()).decode()
                    body = {"instance": {"user_data": data}}
                    assert (await world.client.put(path, json=body)).status_code == 200

    in_loop(tmp_path, story, queue_max=SMALL_QUEUE)


BAD_QUERIES = {
    "agent=l3": "host",
    "host=h1": "agent",
    "host=h1&agent=x": "agent",
    "host=h1&agent=l3&from=x": "from",
    "host=h1&agent=l3&from=-1": "from",
    "host=h1&agent=l3&from=" + "9" * 30: "from",
    "host=h1&agent=l3&from=1&once=yes": "once",
    "host=h1&agent=l3&once=1": "from",
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


def test_raw_garbage_is_refused_and_the_server_continues(tmp_path: Path):
    async def story(world: Running) -> None:
        for rubbish in (b"\0\r\n\r\n", b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", b"GET\r\n\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", world.port_number)
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
        stream = Stream(Follower("h1", "dhcp"), limit=3)
        for revision in range(3):
            stream.put(revision, b"x")
        assert not stream.closed
        stream.put(3, b"x")
        assert stream.closed
        stream.put(4, b"x")
        assert await stream.take(0.01) == []

        stream = Stream(Follower("h1", "dhcp"))
        stream.put(1, b"x" * QUEUE_BYTES_MAX)
        assert not stream.closed
        stream.put(2, b"x")
        assert stream.closed

    asyncio.run(told())


def test_heartbeats_have_the_streams_revision(tmp_path: Path):
    async def told() -> None:
        store = Store(DATABASES.fresh(tmp_path), FakeClock().now)
        hub = Hub(store, heartbeat=0.01)
        publishing = asyncio.ensure_future(hub.run())
        with store.write() as session:
            session.insert(Network(id="n1"))
            reached = session.revision()
        lines = hub.follow(Follower("h1", "dhcp"), None)
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


def test_a_port_in_use_is_one_clear_error():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(main.A9feError, match=rf"cannot listen on 127.0.0.1 port {port}: Addr"):
            main.listen("127.0.0.1", port)
