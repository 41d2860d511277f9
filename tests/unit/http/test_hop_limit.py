"""The hop limit of answers: each has its own, until its data is acknowledged."""

import asyncio
import socket

import pytest

from a9fe.http.server.sockets import limit_hops, unacknowledged
from a9fe.wire.message import Answer, Request
from tests.kit.http_world import GET, LOOPS, Client, World, run, serving

BOTH = pytest.mark.parametrize("loop", LOOPS)
DEFAULT = 64
LARGE = 20_000_000  # bytes, more than the kernel takes for a client that does not read


def of(request: Request) -> Answer:
    """Answer /hops/size with so many bytes and this hop limit."""
    hops, size = (int(part) for part in request.target[1:].split(b"/"))
    return Answer(status=200, body=b"x" * size, hop_limit=hops)


def get(hops: int, size: int = 1) -> bytes:
    return GET.replace(b"GET /", b"GET /%d/%d" % (hops, size))


def limit(world: World) -> int:
    (connection,) = world.server._connections
    return connection.socket.getsockopt(socket.IPPROTO_IP, socket.IP_TTL)


@BOTH
def test_each_answer_has_its_own_limit(loop):
    async def main():
        async with serving(of) as world:
            client = await world.client()
            found = []
            for hops in (0, 1, 0, 2, 1, 1, 3, 0, 0):
                assert (await client.ask(get(hops))).status == 200
                found.append(limit(world))
            assert found == [DEFAULT, 1, DEFAULT, 2, 1, 1, 3, DEFAULT, DEFAULT]

    run(main, loop)


async def deaf(world: World) -> Client:
    """Return a client that reads nothing at first."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(0)
    await asyncio.get_running_loop().sock_connect(sock, world.address)
    reader, writer = await asyncio.open_connection(sock=sock, limit=1024)
    client = Client(reader, writer)
    world.clients.append(client)
    writer.transport.pause_reading()
    return client


@BOTH
def test_a_limit_stays_until_all_of_its_answer_has_arrived(loop):
    async def main():
        async with serving(of) as world:
            client = await deaf(world)
            (connection,) = world.server._connections
            await client.send(get(2, 100_000))
            await world.until(lambda: world.tally.statuses == [200])
            for hops in (0, 3):
                await client.send(get(hops))
            await world.until(lambda: world.tally.statuses == [200] * 3)
            assert unacknowledged(connection.socket) > 0
            assert limit(world) == 2
            await client.send(get(1))
            await world.until(lambda: world.tally.statuses == [200] * 4)
            assert limit(world) == 1
            client.writer.transport.resume_reading()
            for _ in range(4):
                await client.answer()
            await client.ask(get(0))
            assert limit(world) == DEFAULT

    run(main, loop)


@BOTH
def test_a_slow_reader_gets_all_answers_one_after_the_other(loop):
    async def main():
        async with serving(of) as world:
            client = await deaf(world)
            await client.send(get(1, LARGE) + get(0))
            await world.until(lambda: world.tally.statuses)
            assert limit(world) == 1
            client.writer.transport.resume_reading()
            assert len((await client.answer()).body) == LARGE
            assert (await client.answer()).body == b"x"
            await client.ask(get(0))
            assert limit(world) == DEFAULT

    run(main, loop)


def test_a_refusal_of_the_server_keeps_the_last_hop_limit():
    async def main():
        async with serving(of) as world:
            client = await world.client()
            await client.ask(get(1))
            (connection,) = world.server._connections
            sock = connection.socket.dup()
            await client.send(b"nonsense\r\n\r\n")
            assert (await client.answer()).status == 400
            with sock:
                assert sock.getsockopt(socket.IPPROTO_IP, socket.IP_TTL) == 1

    run(main)


def test_on_a_unix_socket_there_are_no_hops(tmp_path):
    async def main():
        async with serving(of, path=str(tmp_path / "s")) as world:
            client = await world.client()
            for hops in (1, 0):
                assert (await client.ask(get(hops))).status == 200

    run(main)


def test_an_ipv6_socket_has_both_limits():
    with socket.socket(socket.AF_INET6) as sock:
        before = sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS)
        for hops, v4, v6 in ((3, 3, 3), (0, DEFAULT, before)):
            limit_hops(sock, hops)
            assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS) == v6
            assert sock.getsockopt(socket.IPPROTO_IP, socket.IP_TTL) == v4
