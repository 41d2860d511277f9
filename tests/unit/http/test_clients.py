"""Bounds on connections and bytes of clients: counted fakes, and real servers."""

import asyncio
import contextlib
from dataclasses import dataclass, replace

import pytest

from a9fe.http.report import Report
from a9fe.http.server.clients import Clients
from a9fe.http.server.server import Server
from a9fe.http.server.sockets import tcp_listener
from a9fe.wire.limits import LIMITS, Limits, fitting
from a9fe.wire.message import Answer, Listener
from a9fe.wire.refusals import Refusal
from tests.kit.http_world import (
    GET,
    LOOPS,
    QUICK,
    Client,
    Tally,
    echo,
    never,
    run,
    serving,
    turns,
    until,
)

BOTH = pytest.mark.parametrize("loop", LOOPS)
SMALL = Limits(
    connections=6,
    connections_per_listener=5,
    connections_per_client=4,
    arriving_per_client=2,
    held_bytes=1000,
    held_bytes_per_listener=800,
    held_bytes_per_client=500,
)
HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"


@dataclass(eq=False)
class Fake:
    """A connection that records whether it is reset and read."""

    client: tuple[str, str]
    is_idle: bool = True
    held: int = 0
    arriving: bool = False
    gone: bool = False
    is_read: bool = True

    def reset(self) -> None:
        self.gone = True

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True


class Room:
    """A Clients with fake connections."""

    def __init__(self, limits: Limits = SMALL) -> None:
        self.tally = Tally()
        self.clients = Clients(limits, Report("test", self.tally))

    def enter(self, listener: str, guest: str, *, idle: bool = True) -> Fake:
        fake = Fake((listener, guest), is_idle=idle)
        self.refusal = self.clients.enter(fake)
        return fake


def test_a_newcomer_replaces_an_idle_connection_of_the_largest_client():
    room = Room()
    large = [room.enter("a", "1", idle=n == 2) for n in range(4)]
    small = [room.enter("b", "1") for _ in range(2)]
    room.enter("c", "1")
    assert room.refusal is None
    assert [c.gone for c in large] == [False, False, True, False]
    assert not any(c.gone for c in small)
    assert room.tally.refusals == [Refusal.GAVE_WAY]


def test_without_an_idle_one_the_oldest_connection_of_a_larger_client_is_closed():
    room = Room()
    large = [room.enter("a", "1", idle=False) for _ in range(4)]
    for _ in range(2):
        room.enter("b", "1", idle=False)
    room.enter("c", "1")
    assert (room.refusal, [c.gone for c in large]) == (None, [True, False, False, False])


def test_with_equal_shares_the_newcomer_is_refused():
    room = Room()
    old = [room.enter(key, "1", idle=False) for key in "abcdef"]
    new = room.enter("g", "1")
    assert room.refusal is Refusal.TOO_MANY_CONNECTIONS
    assert not any(c.gone for c in [*old, new])


def test_at_a_listeners_bound_its_own_largest_client_loses_a_connection():
    room = Room()
    large = [room.enter("a", "1") for _ in range(3)]
    for _ in range(2):
        room.enter("a", "2")
    room.enter("a", "3")
    assert room.refusal is None
    assert large[0].gone


def test_above_its_bound_a_client_is_refused_and_above_twice_closed():
    room = Room(replace(SMALL, connections_per_client=1))
    first, second, third = (room.enter("a", "1") for _ in range(3))
    assert room.refusal is Refusal.TOO_MANY_CONNECTIONS
    assert [c.gone for c in (first, second, third)] == [False, False, True]


def test_a_few_incomplete_requests_of_a_client_are_read_at_a_time():
    room = Room()
    slow = [room.enter("a", "1") for _ in range(4)]
    other = room.enter("b", "1")
    for connection in (other, *slow):
        room.clients.holds(connection, 5, arriving=True)
    assert [c.is_read for c in (*slow, other)] == [True, True, False, False, True]
    room.clients.holds(slow[1], 0, arriving=False)
    assert [c.is_read for c in slow] == [True, True, True, False]
    room.clients.leave(slow[3])  # not read, and gone
    room.clients.leave(slow[2])
    room.clients.holds(slow[1], 5, arriving=True)
    assert [c.is_read for c in slow] == [True, True, True, False]
    for connection in (other, *slow):
        room.clients.leave(connection)
    assert not room.clients._arriving


@pytest.mark.parametrize(
    ("held", "gone"),
    [
        ({"a1": [400], "a2": [300]}, []),
        ({"a1": [300, 100, 101]}, ["a1/0"]),
        ({"a1": [600]}, []),  # one large document alone
        ({"a1": [450], "a2": [360]}, ["a1/0"]),
        ({"a1": [400], "b1": [300], "c1": [310]}, ["a1/0"]),
        ({"b1": [300, 150], "a1": [400], "c1": [310]}, ["b1/0"]),
        ({"a1": [1001]}, ["a1/0"]),
    ],
)
def test_above_a_byte_bound_the_largest_clients_largest_connection_is_closed(held, gone):
    room = Room(replace(SMALL, connections=100))
    made = {}
    for name, sizes in held.items():
        for number, size in enumerate(sizes):
            made[f"{name}/{number}"] = fake = room.enter(name[0], name[1:])
            room.clients.holds(fake, size, arriving=False)
    assert [name for name, fake in made.items() if fake.gone] == gone
    kept = sum(fake.held for fake in made.values() if not fake.gone)
    assert room.clients.held_bytes == kept
    for fake in made.values():
        room.clients.leave(fake)
    assert room.clients.held_bytes == 0
    assert not room.clients._of


def test_with_few_descriptors_there_are_few_connections():
    assert fitting(LIMITS, 1 << 20) == LIMITS
    few = fitting(LIMITS, 1024)
    assert (few.connections, few.connections_per_listener, few.connections_per_client) == (
        512,
    ) * 3


# ---- over real sockets ---------------------------------------------------------------------


@contextlib.asynccontextmanager
async def two_networks(handler=echo, limits: Limits = LIMITS):
    """Serve two networks. Yields the server, its counters, and a function that connects."""
    tally = Tally()
    server = Server(handler, limits=limits, report=Report("test", tally))
    clients: list[Client] = []
    at = {}
    for name in ("noisy", "quiet"):
        sock = tcp_listener("127.0.0.1", 0)
        at[name] = sock.getsockname()
        await server.listen(
            sock,
            Listener(kind="network", id=name, namespace=f"qdhcp-{name}", address="x", port=80),
        )

    async def connect(name: str) -> Client:
        clients.append(Client(*await asyncio.open_connection(*at[name])))
        return clients[-1]

    try:
        yield server, tally, connect
    finally:
        for client in clients:
            client.close()
        await server.close(0.5)


@BOTH
def test_equal_addresses_on_two_networks_share_no_limit(loop):
    async def main():
        async with two_networks(limits=Limits(connections_per_client=3)) as (_, tally, connect):
            noisy = [await connect("noisy") for _ in range(5)]
            assert [(await c.ask(GET)).status for c in noisy] == [200, 200, 200, 503, 503]
            assert (await (await connect("quiet")).ask(GET)).status == 200
            assert tally.refusals == [Refusal.TOO_MANY_CONNECTIONS] * 2

    run(main, loop)


@BOTH
@pytest.mark.parametrize("flood", ["idle", "used", "slow head", "slow body"])
def test_a_neighbour_is_served_while_a_flood_uses_all_connections(loop, flood):
    begun = {
        "idle": b"",
        "used": GET,
        "slow head": b"GET / HTTP/1.1\r\nX: ",
        "slow body": HEAD % 10 + b"x",
    }

    async def main():
        limits = replace(LIMITS, connections=20, connections_per_client=20)
        async with two_networks(limits=limits) as (server, _, connect):
            noisy = [await connect("noisy") for _ in range(20)]
            for client in noisy:
                if begun[flood]:
                    await client.send(begun[flood])
            await until(lambda: server.connections == 20)
            for _ in range(3):
                assert (await (await connect("quiet")).ask(GET)).status == 200
            assert server.connections <= 20

    run(main, loop)


@BOTH
def test_slow_requests_do_not_delay_complete_ones(loop):
    async def main():
        limits = replace(LIMITS, arriving_per_client=2, head_timeout=0.4)
        async with two_networks(limits=limits) as (server, _, connect):
            slow = [await connect("noisy") for _ in range(5)]
            for client in slow:
                await client.send(GET[:-2])
            await until(lambda: server.held_bytes == 5 * len(GET[:-2]))
            for name in ("noisy", "quiet"):
                assert (await (await connect(name)).ask(GET)).status == 200
            for client in slow:
                await client.send(GET[-2:])
            assert {(await client.answer()).status for client in slow} == {200}
            more = [await connect("noisy") for _ in range(5)]
            for client in more:
                await client.send(GET[:-2])
            assert {(await client.answer()).status for client in more} == {408}
            await until(lambda: server.held_bytes == 0)

    run(main, loop)


@BOTH
def test_bytes_of_unread_answers_are_bounded_and_freed(loop):
    big = Answer(status=200, body=b"x" * 1_000_000)
    limits = Limits(held_bytes_per_client=3_000_000)

    async def main():
        async with two_networks(lambda _: big, limits) as (server, tally, connect):
            deaf = [await connect("noisy") for _ in range(20)]
            for client in deaf:
                client.writer.transport.pause_reading()
                await client.send(GET)
                await until(lambda: server.held_bytes <= 3_000_000)
            await until(lambda: len(tally.statuses) == 20)
            assert server.held_bytes <= 3_000_000
            assert Refusal.GAVE_WAY in tally.refusals
            got = await (await connect("quiet")).ask(GET)
            assert len(got.body) == 1_000_000
            for client in deaf:
                client.reset()
            await until(lambda: server.held_bytes == 0)

    run(main, loop)


def test_a_small_unread_answer_ends_with_the_write_timeout():
    """An answer below the size at which a transport pauses, to the client's last request."""

    async def main():
        answer = Answer(status=200, body=b"x" * 60_000)
        async with serving(lambda _: answer, limits=QUICK) as world:
            client = await world.client()
            client.writer.transport.pause_reading()
            while not world.server.held_bytes:
                await client.send(GET)
                await turns(1)
            await world.until(lambda: world.server.connections == 0)
            assert world.server.held_bytes == 0

    run(main)


def test_a_body_above_the_limit_is_refused_before_it_arrives():
    async def main():
        async with serving() as world:
            client = await world.client()
            got = await client.ask(HEAD % (LIMITS.body_bytes + 1))
            assert got.status == 413
            client = await world.client()
            body = b"x" * LIMITS.body_bytes
            assert (await client.ask(HEAD % len(body) + body)).status == 200

    run(main)


@BOTH
def test_bytes_of_requests_are_counted_until_they_are_answered(loop):
    async def main():
        seen = []
        async with serving(lambda request: never(request, seen)) as world:
            client = await world.client()
            await client.send(HEAD % 5000 + b"x" * 4000)
            await world.until(lambda: world.server.held_bytes >= 4000)
            await client.send(b"x" * 1000 + GET)
            await world.until(lambda: seen)
            await world.until(lambda: world.server.held_bytes == 5000 + len(GET))
            client.reset()
            await world.until(lambda: world.server.held_bytes == 0)

    run(main, loop)
