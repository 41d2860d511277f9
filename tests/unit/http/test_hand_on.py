"""Idle connections of a server that ends go to the next one, which answers what is sent then."""

import asyncio
import socket

import pytest

from a9fe.http.server.server import Server
from a9fe.wire.message import Answer, Handler, IdleConnection
from tests.kit.http_world import GET, LOOPS, NETWORK, run, serving, until

BOTH = pytest.mark.parametrize("loop", LOOPS)
FIRST, SECOND = (Answer(status=200, body=body, owner=b"p/i") for body in (b"first", b"second"))


class Given:
    """Keeps what a server hands on, and gives it to the next one."""

    def __init__(self) -> None:
        self.pairs: list[tuple[IdleConnection, socket.socket]] = []

    async def hand_on(self, pairs: list[tuple[IdleConnection, socket.socket]]) -> bool:
        self.pairs += [(idle, sock.dup()) for idle, sock in pairs]
        return True

    def successor(self, handler: Handler) -> Server:
        server = Server(handler)
        for idle, sock in self.pairs:
            server.adopt(idle, sock)
        return server


class Held:
    """Answers when released; counts the calls."""

    def __init__(self) -> None:
        self.calls = 0
        self.released = asyncio.Event()

    async def handle(self, _: object) -> Answer:
        self.calls += 1
        await self.released.wait()
        return FIRST


@BOTH
def test_connections_between_requests_go_on_in_the_next_server(loop):
    async def main():
        held, given = Held(), Given()
        async with serving(held.handle, listener=NETWORK) as world:
            pipelined, in_part, idle = [await world.client() for _ in range(3)]
            await pipelined.send(GET + GET)
            await until(lambda: held.calls == 1)
            before = world.server.held_bytes
            await in_part.send(GET[:5])
            await until(lambda: world.server.held_bytes == before + 5)
            closing = asyncio.ensure_future(world.server.close(5.0, given.hand_on))
            held.released.set()
            await in_part.send(GET[5:])
            for client in (pipelined, pipelined, in_part):
                got = await client.answer()
                assert (got.body, got.headers.get("connection")) == (b"first", None)
            await idle.send(GET)
            await closing
            await pipelined.send(GET)  # while nobody serves
            successor = given.successor(lambda request: SECOND)
            assert (await idle.answer()).body == (await pipelined.answer()).body == b"second"
            assert (await in_part.ask(GET)).body == b"second"
            await successor.close(0.5)

    run(main, loop)


@BOTH
def test_the_next_server_knows_the_owner_and_the_hop_limit(loop):
    async def main():
        given, limited = Given(), Answer(status=200, owner=b"p/\xff", hop_limit=1)
        async with serving(lambda request: limited, listener=NETWORK) as world:
            client = await world.client()
            await client.ask(GET)
            await world.server.close(5.0, given.hand_on)
            ((idle, _),) = given.pairs
            assert (idle.listener, idle.owner, idle.hop_limit) == (NETWORK, "p/\xff", 1)
            assert idle.connected_at > 0
            owners = [b"p/\xff", b"other"]
            successor = given.successor(lambda r: Answer(status=200, owner=owners.pop(0)))
            assert (await client.ask(GET)).status == 200
            got = await client.ask(GET)
            assert (got.status, got.headers["connection"]) == (503, "close")
            await successor.close(0.5)

    run(main, loop)


@BOTH
def test_what_cannot_be_handed_on_is_closed(loop):
    async def refuse(pairs):
        return False

    async def main():
        async with serving(listener=NETWORK) as world:
            client = await world.client()
            await client.ask(GET)
            await world.server.close(5.0, refuse)
            assert await client.is_closed()

    run(main, loop)
