"""Several addresses of the next hop, on real sockets: sharing, fail-over, and the way back."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import pytest

from a9fe.http.upstream.addresses import FAILURES_IN_A_ROW, Address, Addresses, Health
from a9fe.http.upstream.errors import UpstreamBroken, UpstreamTimeout, UpstreamUnreachable
from a9fe.http.upstream.health_log import HealthLog
from a9fe.http.upstream.pool import Upstream
from a9fe.http.upstream.target import Target
from a9fe.runtime import metrics
from a9fe.wire.message import Request
from a9fe.wire.refusals import Refusal
from tests.kit.http_world import LOOPS, Client, read_request, run, serving, turns, until

HOST = "127.0.0.1"
GET = Request(method=b"GET", target=b"/", headers=((b"host", b"a"),))
POST = replace(GET, method=b"POST", body=b"x")
BOTH = pytest.mark.parametrize("loop", LOOPS)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"

Behaviour = Callable[["Server", Client], Awaitable[None]]


@dataclass
class Server:
    """One address: its behaviour may change, and it may stop listening and listen again."""

    name: bytes
    behaviour: Behaviour
    asked: list[bytes] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)
    server: asyncio.Server | None = None
    port: int = 0

    async def start(self) -> None:
        self.server = await asyncio.start_server(self._serve, HOST, self.port)
        self.port = self.server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop as a killed process does."""
        assert self.server is not None
        self.server.close()
        for client in self.clients:
            if not client.writer.is_closing():
                client.reset()
        await turns(10)
        self.clients.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = Client(reader, writer)
        self.clients.append(client)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                self.asked.append((await read_request(client)).split(b" ")[0])
                await self.behaviour(self, client)


async def answers(server: Server, client: Client) -> None:
    await client.send(ANSWER + server.name)


async def hangs(server: Server, client: Client) -> None:
    await client.reader.read()


async def drops(server: Server, client: Client) -> None:
    client.reset()


@dataclass
class World:
    a: Server
    b: Server
    addresses: Addresses
    ask: Upstream

    def address_of(self, server: Server) -> Address:
        (one,) = (one for one in self.addresses._all if one.target.port == server.port)
        return one

    def health(self, server: Server) -> Health:
        return self.address_of(server).health

    async def who(self, request: Request = GET) -> bytes:
        return (await self.ask(request)).body

    async def burst(self, count: int) -> set[bytes]:
        """Ask that often at once; return who answered."""
        asked = [self.ask(GET) for _ in range(count)]
        return {answer.body for answer in await asyncio.gather(*asked)}


@contextlib.asynccontextmanager
async def two(a: Behaviour = answers, b: Behaviour = answers, **options):
    servers = Server(b"a", a), Server(b"b", b)
    for server in servers:
        await server.start()
    addresses = Addresses([Target(host=HOST, port=s.port) for s in servers], HealthLog())
    ask = Upstream(addresses, **{"timeout": 5.0, **options})
    try:
        yield World(*servers, addresses, ask)
    finally:
        ask.close()
        for server in servers:
            await server.stop()


@BOTH
def test_requests_at_once_are_shared_and_connections_bounded(loop):
    async def main():
        async with two(max_connections=4) as world:
            assert await world.burst(40) == {b"a", b"b"}
            assert len(world.a.clients) == len(world.b.clients) == 2

    run(main, loop)


@BOTH
@pytest.mark.parametrize("request_", [GET, POST], ids=["GET", "POST"])
def test_a_request_that_was_not_sent_is_sent_to_the_other(loop, request_):
    async def main():
        async with two() as world:
            await world.a.stop()
            for _ in range(6):
                assert await world.who(request_) == b"b"
            assert world.health(world.a) is Health.DOWN

    run(main, loop)


@BOTH
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_a_safe_request_that_was_sent_is_repeated_at_the_other(loop, method):
    async def main():
        async with two(a=drops) as world:
            for _ in range(2 * FAILURES_IN_A_ROW):
                assert (await world.ask(replace(GET, method=method))).status == 200
                for client in world.b.clients:  # the next request needs a new connection
                    client.close()
                await turns(10)
            assert world.health(world.a) is Health.DOWN
            assert world.a.asked

    run(main, loop)


@BOTH
def test_an_unsafe_request_that_was_sent_is_never_repeated(loop):
    async def main():
        async with two(a=drops, b=drops) as world:
            with pytest.raises(UpstreamBroken, match=rf"127\.0\.0\.1:{world.a.port}: closed"):
                await world.ask(POST)
            assert (world.a.asked, world.b.asked) == ([b"POST"], [])

    run(main, loop)


@BOTH
def test_a_safe_request_is_asked_of_the_other_before_its_deadline(loop):
    async def main():
        async with two(a=hangs, timeout=1000.0, patience=0.05) as world:
            assert await world.who() == b"b"
            assert world.a.asked == [b"GET"]

    run(main, loop)


@BOTH
def test_it_is_the_other_also_if_that_has_more_to_do(loop):
    async def main():
        async with two(a=drops) as world:
            busy = world.address_of(world.b)
            busy.in_use += 5
            assert await world.who() == b"b"
            assert (world.a.asked, world.b.asked) == ([b"GET"], [b"GET"])
            busy.in_use -= 5

    run(main, loop)


@BOTH
def test_what_all_addresses_leave_unanswered_is_504_and_what_none_accepts_503(loop):
    async def main():
        async with two(a=hangs, b=hangs, timeout=0.2, patience=0.05) as world:
            with pytest.raises(UpstreamTimeout, match=r"127\.0\.0\.1:\d+: no answer in time"):
                await world.ask(GET)
            with pytest.raises(UpstreamTimeout):
                await world.ask(POST)
            assert len(world.a.asked) >= 1 <= len(world.b.asked)
            await world.a.stop()
            await world.b.stop()
            async with serving(world.ask) as guest:
                got = await (await guest.client()).ask(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                assert (got.status, got.headers["retry-after"]) == (503, "2")
                assert guest.tally.refusals == [Refusal.UPSTREAM_UNREACHABLE]

    run(main, loop)


@BOTH
def test_an_address_that_is_back_is_used_again_after_its_back_off(loop):
    """The pool tries it by itself: no request waits for that."""

    async def main():
        async with two() as world:
            await world.a.stop()
            assert await world.who() == b"b"
            assert world.health(world.a) is Health.DOWN
            await world.a.start()
            await until(lambda: world.health(world.a) is Health.TRIAL)
            assert await world.who() == b"a"
            assert world.health(world.a) is Health.UP

    run(main, loop)


@BOTH
def test_kept_connections_to_an_address_that_is_down_are_not_used(loop):
    async def main():
        async with two(max_connections=8) as world:
            await world.burst(8)
            world.a.behaviour = hangs
            for _ in range(FAILURES_IN_A_ROW):
                world.addresses.unanswered(
                    world.address_of(world.a),
                    Refusal.UPSTREAM_TIMEOUT,
                    "",
                    asyncio.get_running_loop().time(),
                )
            assert await world.burst(8) == {b"b"}

    run(main, loop)


@BOTH
def test_requests_wait_for_a_restart_while_none_is_up(loop):
    async def main():
        async with two(restart_wait=1000.0, timeout=1000.0) as world:
            await world.a.stop()
            await world.b.stop()
            asked = [world.ask(GET) for _ in range(20)]
            await until(lambda: not world.addresses.has_other(None))
            assert not any(one.done() for one in asked)
            await world.b.start()
            assert {answer.body for answer in await asyncio.gather(*asked)} == {b"b"}

    run(main, loop)


def test_while_one_of_two_is_killed_and_started_no_get_fails():
    """Sixteen clients ask without pause; each address is killed and started in turn."""

    async def main():
        async with two(timeout=1000.0, patience=1000.0) as world:
            answered: list[bytes] = []
            stopping = asyncio.Event()

            async def client() -> None:
                while not stopping.is_set():
                    answered.append(await world.who())

            clients = [asyncio.ensure_future(client()) for _ in range(16)]
            for server in (world.a, world.b, world.a, world.b):
                await server.stop()
                enough = len(answered) + 100
                await until(lambda enough=enough: len(answered) > enough)
                await server.start()
                await until(lambda server=server: world.health(server) is Health.UP)
            stopping.set()
            await asyncio.gather(*clients)
            assert set(answered) == {b"a", b"b"}

    run(main)


def test_an_address_that_accepts_no_connection_delays_a_request_by_little():
    """Its queue is full: the kernel drops SYNs, as a host that is off does."""

    async def main():
        with socket.socket() as full:
            full.bind((HOST, 0))
            full.listen(0)
            filling = [socket.socket() for _ in range(2)]
            for one in filling:
                one.settimeout(0)
                one.connect_ex(full.getsockname())
            async with two() as world:
                dead = Target(host=HOST, port=full.getsockname()[1])
                world.addresses.replace([dead, *[one.target for one in world.addresses._all]])
                for _ in range(3):
                    assert await world.burst(1) <= {b"a", b"b"}
            for one in filling:
                one.close()

    run(main)


def test_the_metrics_have_the_health_of_each_address(capsys):
    async def main():
        async with two() as world:
            await world.a.stop()
            assert await world.who() == b"b"
            name = f"{HOST}:{world.a.port}"
            text = metrics.exposition().decode()
            assert f'a9fe_upstream_up{{upstream="{name}"}} 0.0' in text
            assert f'a9fe_upstream_up{{upstream="{HOST}:{world.b.port}"}} 1.0' in text
            failures = 'a9fe_upstream_failures_total{reason="upstream_unreachable"'
            assert f'{failures},upstream="{name}"}} 1.0' in text
            assert f"upstream={name}" in capsys.readouterr().out
            world.addresses.replace([])
            assert name not in metrics.exposition().decode()

    run(main)


def test_without_an_address_it_is_503_and_says_why():
    async def main():
        addresses = Addresses([])
        addresses.why = "nova: Name or service not known"
        ask = Upstream(addresses, timeout=5.0)
        with pytest.raises(UpstreamUnreachable, match="nova: Name or service not known"):
            await ask(GET)
        ask.close()

    run(main)
