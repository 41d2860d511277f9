"""The server over loopback and Unix sockets, with real bytes, on both event loops."""

import asyncio
import contextlib
import os
import socket
import struct

import pytest

from a9fe.http.server.server import Server, serve
from a9fe.http.server.sockets import tcp_listener, unix_listener
from a9fe.linux.listeners import peer_credentials
from a9fe.runtime.errors import StartError
from a9fe.wire.limits import MIB, Limits
from a9fe.wire.message import Answer
from a9fe.wire.refusals import Refusal
from tests.kit.http_world import GET, LOOPS, NETWORK, QUICK, echo, never, run, serving, turns

BOTH = pytest.mark.parametrize("loop", LOOPS)
UNLIMITED = Limits(half_closed_timeout=3600.0)
PIPELINE = b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in range(50))


@BOTH
def test_answers_and_keeps_the_connection(loop):
    async def main():
        async with serving() as world:
            client = await world.client()
            for _ in range(3):
                got = await client.ask(GET)
                assert (got.status, got.body) == (200, b"GET / []")
                assert "connection" not in got.headers
                assert got.headers["content-type"] == "text/plain"
            assert world.tally.statuses == [200, 200, 200]

    run(main, loop)


@BOTH
def test_bodies_are_byte_exact_both_ways(loop):
    body = bytes(range(256)) * 2000  # neither text nor small

    def give_back(request):
        return Answer(status=200, body=request.body)

    async def main():
        async with serving(give_back, limits=Limits(body_bytes=MIB)) as world:
            client = await world.client()
            length = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
            assert (await client.ask(length + body)).body == body
            chunks = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
            assert (await client.ask(chunks + chunk)).body == body

    run(main, loop)


@BOTH
def test_pipelined_requests_are_answered_in_order_also_when_awaited(loop):
    async def slower_first(request):
        await turns(50 - int(request.target[1:]))
        return Answer(status=200, body=request.target)

    async def main():
        for handler in (slower_first, lambda r: Answer(status=200, body=r.target)):
            async with serving(handler) as world:
                client = await world.client()
                await client.send(PIPELINE)
                bodies = [(await client.answer()).body for _ in range(50)]
                assert bodies == [b"/%d" % n for n in range(50)]

    run(main, loop)


@BOTH
def test_bytes_above_the_pipelining_limit_stay_in_the_kernel(loop):
    post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1_000_000

    async def main():
        asked, released = asyncio.Event(), asyncio.Event()

        async def held_back(request):
            asked.set()
            await released.wait()
            return Answer(status=200)

        async with serving(held_back, limits=Limits(body_bytes=MIB)) as world:
            client = await world.client()
            sending = asyncio.ensure_future(client.send(post * 20))
            await asked.wait()
            await asyncio.wait([sending], timeout=0.1)
            assert not sending.done()
            released.set()
            for _ in range(20):
                assert (await client.answer()).status == 200
            await sending

    run(main, loop)


@pytest.mark.parametrize(
    ("request_", "first", "connection"),
    [
        (GET, "HTTP/1.1 200 OK", None),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 OK", "close"),
        (b"GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK", "close"),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "HTTP/1.1 200 OK", "keep-alive"),
    ],
)
def test_connection_is_kept_or_closed_as_asked(request_, first, connection):
    async def main():
        async with serving() as world:
            client = await world.client()
            got = await client.ask(request_)
            assert (got.first, got.headers.get("connection")) == (first, connection)
            if connection == "close":
                assert await client.rest() == b""
            else:
                assert (await client.ask(GET)).status == 200

    run(main)


def test_head_has_the_length_and_no_body():
    async def main():
        async with serving() as world:
            client = await world.client()
            await client.send(GET.replace(b"GET", b"HEAD"))
            got = await client.answer(head_only=True)
            assert got.headers["content-length"] == str(len("HEAD / []"))
            assert (await client.ask(GET)).body == b"GET / []"

    run(main)


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_body(status):
    async def main():
        async with serving(lambda _: Answer(status=status, body=b"never sent")) as world:
            client = await world.client()
            for _ in range(2):
                got = await client.ask(GET)
                assert (got.status, "content-length" in got.headers) == (status, False)

    run(main)


def test_expect_100_continue():
    async def main():
        async with serving() as world:
            client = await world.client()
            head = (
                b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
            )
            for _ in range(2):
                assert (await client.ask(head)).first == "HTTP/1.1 100 Continue"
                assert (await client.ask(b"abc")).body == b"PUT / [abc]"
            assert (await client.ask(head + b"abc")).status == 200  # it did not wait: nor do we
            too_large = head.replace(b": 3", b": 3000000")
            assert (await client.ask(too_large)).status == 413

    run(main)


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", Refusal.MALFORMED),
        (b"GET /" + b"x" * 20_000, Refusal.HEAD_TOO_LARGE),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 300_000,
            Refusal.BODY_TOO_LARGE,
        ),
    ],
)
def test_refused_requests_get_their_status_and_the_connection_ends(data, refusal):
    """Also while the client is still sending: no reset overtakes the answer."""

    async def main():
        async with serving(limits=QUICK) as world:
            client = await world.client()
            await client.send(data)
            got = await client.answer()
            assert (got.status, got.headers["connection"]) == (refusal.value.status, "close")
            assert f"request {got.headers['x-a9fe-request-id']}" in got.body.decode()
            assert await client.is_closed()
            assert world.tally.refusals == [refusal]
            assert world.tally.statuses == [refusal.value.status]

    run(main)


@pytest.mark.parametrize("line", [b"CONNECT /", b"CONNECT a:80", b"TRACE /", b"OPTIONS *"])
def test_other_methods_never_reach_the_handler(line):
    asked = []

    async def main():
        async with serving(lambda r: asked.append(r) or echo(r), limits=QUICK) as world:
            client = await world.client()
            got = await client.ask(line + b" HTTP/1.1\r\nHost: a\r\n\r\n" + GET)
            assert got.status == 405
            assert "get" in got.headers["allow"].split(", ")
            assert await client.is_closed()

    run(main)
    assert asked == []


def test_requests_after_a_refused_one_are_not_served():
    async def main():
        async with serving(limits=QUICK) as world:
            client = await world.client()
            await client.send(b"GET / HTTP/1.1\r\n\r\n" + GET)
            assert (await client.answer()).status == 400
            assert await client.is_closed()

    run(main)


@BOTH
@pytest.mark.parametrize(
    "data",
    [b"GET / HT", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab"],
    ids=["head", "body"],
)
def test_slow_requests_time_out(loop, data):
    async def main():
        async with serving(limits=QUICK) as world:
            client = await world.client()
            assert (await client.ask(data)).status == 408
            assert await client.is_closed()
            assert world.tally.refusals == [Refusal.HEAD_TIMEOUT]

    run(main, loop)


def test_a_trickle_of_bytes_does_not_extend_the_deadline():
    async def main():
        async with serving(limits=QUICK) as world:
            client = await world.client()
            answer = asyncio.ensure_future(client.answer())
            await client.send(b"GET / HTTP/1.1\r\n")
            while not answer.done():
                await client.send(b"X: 1\r\n")
                await asyncio.wait([answer], timeout=0.02)
            assert (await answer).status in (408, 431)

    run(main)


def test_idle_connections_are_closed_without_an_answer():
    async def main():
        async with serving(limits=QUICK) as world:
            fresh, used = await world.client(), await world.client()
            await used.ask(GET)
            assert await fresh.is_closed()
            assert await used.is_closed()
            assert world.tally.refusals == []

    run(main)


def test_a_client_that_does_not_read_is_closed():
    async def main():
        big = Answer(status=200, body=b"x" * 20_000_000)
        async with serving(lambda _: big, limits=QUICK) as world:
            client = await world.client()
            client.writer.transport.pause_reading()
            await client.send(GET)
            await world.until(lambda: world.server.connections == 1)
            await world.until(lambda: world.server.connections == 0)

    run(main)


def test_what_follows_a_refused_request_is_not_read_on():
    async def main():
        async with serving() as world:
            client = await world.client()
            client.writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n")
            got = await client.answer()
            (connection,) = world.server._connections
            client.writer.write(bytes(64_000_000))
            await world.until(lambda: not connection._transport._reading)
            return got.status

    assert run(main) == 413


def test_a_slow_readers_next_requests_wait():
    asked = []

    def handler(request):
        asked.append(request.target)
        return Answer(status=200, body=b"x" * 10_000_000)

    async def main():
        async with serving(handler) as world:
            client = await world.client()
            client.writer.transport.pause_reading()
            await client.send(GET)
            await world.until(lambda: asked)
            for _ in range(2):
                await client.send(GET)
                await turns()
            assert len(asked) == 1
            client.writer.transport.resume_reading()
            assert len((await client.answer()).body) == 10_000_000
            assert len((await client.answer()).body) == 10_000_000

    run(main)


@BOTH
@pytest.mark.parametrize(
    ("leave", "limits", "unix"),
    [
        ("reset", UNLIMITED, False),
        ("close", UNLIMITED, True),
        ("close", QUICK, False),  # a FIN could be a half-close: a moment later
    ],
    ids=["TCP reset", "Unix close", "TCP close"],
)
def test_the_handler_is_cancelled_when_the_client_leaves(loop, leave, limits, unix, tmp_path):
    path = str(tmp_path / "s") if unix else None

    async def main():
        seen = []
        serve_it = serving(lambda request: never(request, seen), limits=limits, path=path)
        async with serve_it as world:
            client = await world.client()
            await client.send(GET)
            await world.until(lambda: seen)
            getattr(client, leave)()
            await world.until(lambda: "cancelled" in seen)

    run(main, loop)


@BOTH
def test_a_client_that_half_closes_still_gets_its_answers(loop):
    async def main():
        async def later(request):
            await turns()
            return echo(request)

        async with serving(later) as world:
            client = await world.client()
            await client.send(GET + GET)
            client.writer.write_eof()
            assert (await client.rest()).count(b"GET / []") == 2

    run(main, loop)


@pytest.mark.parametrize("how", ["at once", "later", "cancelled"])
def test_a_defect_of_a_handler_is_a_500_and_the_connection_stays(how):
    def broken(request):
        raise KeyError("secret detail")

    async def broken_later(request):
        await turns()
        raise KeyError("secret detail")

    async def gives_up(request):
        raise asyncio.CancelledError

    handler = {"at once": broken, "later": broken_later, "cancelled": gives_up}[how]

    async def main():
        async with serving(handler) as world:
            client = await world.client()
            for _ in range(2):
                got = await client.ask(GET)
                assert got.status == 500
                assert b"secret" not in got.body
            assert world.tally.refusals == [Refusal.INTERNAL] * 2

    run(main)


OWNERS: dict[str, tuple[list[tuple[int, bytes]], list[int]]] = {
    "one": ([(200, b"p"), (404, b"p"), (200, b"p")], [200, 404, 200]),
    "another one": ([(200, b"p"), (200, b"q")], [200, 503]),
    "another one's refusal": ([(200, b"p"), (404, b"q")], [200, 503]),
    "a refusal before": ([(503, b""), (200, b"p"), (200, b"q")], [503, 200, 503]),
    "a refusal between": ([(200, b"p"), (503, b""), (200, b"p")], [200, 503, 200]),
    "nobody's": ([(200, b"p"), (200, b"")], [200, 503]),
    "a hop that says none": ([(200, b""), (404, b""), (200, b"")], [200, 404, 200]),
}


@pytest.mark.parametrize(("answers", "seen"), OWNERS.values(), ids=OWNERS)
@pytest.mark.parametrize("awaited", [False, True])
def test_a_connection_gets_answers_of_one_owner_only(answers, seen, awaited):
    left = [Answer(status=status, owner=owner, body=owner) for status, owner in answers]
    says_its_age: list[bool] = []

    async def later(answer: Answer) -> Answer:
        return answer

    def handler(request):
        says_its_age.append(request.connected_at > 0)
        answer = left.pop(0)
        return later(answer) if awaited else answer

    async def main():
        async with serving(handler) as world:
            client = await world.client()
            got = [await client.ask(GET) for _ in answers]
            assert [each.status for each in got] == seen
            if world.tally.refusals:
                assert world.tally.refusals == [Refusal.OTHER_OWNER]
                assert got[-1].body not in {b"p", b"q"}
                assert await client.is_closed()

    run(main)
    held = [any(owner for _, owner in answers[:n]) for n in range(len(answers))]
    assert says_its_age == [not each for each in held]


def test_an_answer_can_close_the_connection():
    async def main():
        async with serving(lambda _: Answer(status=503, close=True)) as world:
            client = await world.client()
            got = await client.ask(GET)
            assert (got.status, got.headers["connection"]) == (503, "close")
            assert await client.is_closed()

    run(main)


def test_the_request_has_the_listener_and_the_client_address():
    seen = []

    def handler(request):
        seen.append((request.listener, request.client_address))
        return Answer(status=200)

    async def main():
        async with serving(handler, listener=NETWORK) as world:
            client = await world.client()
            await client.ask(GET)

    run(main)
    assert seen == [(NETWORK, "127.0.0.1")]


@BOTH
def test_on_a_unix_socket(loop, tmp_path):
    path = str(tmp_path / "s")

    async def main():
        async with serving(path=path) as world:
            client = await world.client()
            assert (await client.ask(GET)).status == 200
            assert os.stat(path).st_mode & 0o777 == 0o600

    run(main, loop)


def test_connections_of_one_guest_at_the_limit_and_one_past():
    async def main():
        limits = Limits(connections_per_client=2)
        async with serving(limits=limits) as world:
            clients = [await world.client() for _ in range(4)]
            got = [await client.ask(GET) for client in clients]
            assert [g.status for g in got] == [200, 200, 503, 503]
            assert got[2].headers["retry-after"] == "1"
            with contextlib.suppress(ConnectionError):  # beyond twice the limit not even that
                fifth = await world.client()
                clients[0].close()
                assert await fifth.is_closed()

    run(main)


def test_a_closed_connections_place_is_reused():
    async def main():
        async with serving(limits=Limits(connections_per_client=1)) as world:
            first, second = await world.client(), await world.client()
            assert (await first.ask(GET)).status == 200
            assert (await second.ask(GET)).status == 503
            first.close()
            second.close()
            await world.until(lambda: world.server.connections == 0)
            assert (await (await world.client()).ask(GET)).status == 200

    run(main)


def test_a_client_that_is_not_admitted_is_closed(tmp_path):
    asked = []

    def nobody(sock):
        asked.append(peer_credentials.credentials(sock).uid)
        return False

    async def main():
        server = await serve(echo, path=str(tmp_path / "s"), admit=nobody)
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        writer.write(GET)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
        await server.close()

    run(main)
    assert asked == [os.geteuid()]


@BOTH
def test_close_finishes_what_is_in_flight_and_closes_the_idle(loop):
    async def main():
        released = asyncio.Event()

        async def held_back(request):
            await released.wait()
            return echo(request)

        async with serving(held_back, limits=Limits(body_bytes=MIB)) as world:
            busy, idle = await world.client(), await world.client()
            await busy.send(GET)
            await world.until(lambda: world.server.connections == 2)
            await turns()
            closing = asyncio.ensure_future(world.server.close())
            assert await idle.is_closed()
            released.set()
            got = await busy.answer()
            assert (got.status, got.headers["connection"]) == (200, "close")
            await closing

    run(main, loop)


def test_close_is_bounded():
    async def main():
        seen = []
        async with serving(lambda request: never(request, seen)) as world:
            client = await world.client()
            await client.send(GET)
            await world.until(lambda: seen)
            await world.server.close(0.05)
            await world.until(lambda: "cancelled" in seen)

    run(main)


@BOTH
def test_another_copy_of_the_socket_keeps_it_listening(loop):
    """A restarted process gets the connections that the kernel queued meanwhile."""
    sock = socket.create_server(("127.0.0.1", 0))
    copy = sock.dup()

    async def first():
        server = await serve(echo, sock=sock)
        await server.close()

    async def second(waiting):
        server = await serve(echo, sock=copy)
        reader, writer = await asyncio.open_connection(sock=waiting)
        writer.write(GET)
        assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
        writer.close()
        await server.close(0.1)

    run(first, loop)
    waiting = socket.create_connection(copy.getsockname())
    run(lambda: second(waiting), loop)


@BOTH
def test_the_kernel_queues_as_many_as_configured(loop):
    sock = socket.create_server(("127.0.0.1", 0))
    backlog = []

    async def main():
        server = Server(echo, backlog=17)
        await server.listen(sock)
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 64)
        backlog.append(struct.unpack_from("=8x6I", info)[5])  # tcpi_sacked of a listening one
        await server.close()

    run(main, loop)
    assert backlog == [17]


def test_a_unix_listener_replaces_a_dead_one_and_nothing_else(tmp_path):
    path = str(tmp_path / "s")
    first = unix_listener(path)
    with pytest.raises(StartError, match="another process listens"):
        unix_listener(path)
    first.close()
    unix_listener(path).close()
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match="no socket"):
        unix_listener(str(tmp_path / "file"))
    with pytest.raises(StartError, match="No such file"):
        unix_listener(str(tmp_path / "none" / "s"))
    assert sorted(os.listdir(tmp_path)) == ["file", "s"]


def test_a_taken_port_is_one_clear_line():
    with tcp_listener("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(StartError, match=f"127.0.0.1:{port}: cannot listen there: Address"):
            tcp_listener("127.0.0.1", port)


@BOTH
def test_the_last_requests_of_a_socket_that_nobody_else_has_are_answered(loop, tmp_path):
    """Also of connections that the kernel has queued, and of those that have sent nothing yet."""

    async def main():
        async with serving(path=str(tmp_path / "s")) as world:
            idle = await world.client()
            await idle.ask(GET)
            queued = socket.socket(socket.AF_UNIX)
            queued.connect(world.address)  # the loop has no turn to accept it
            closing = asyncio.ensure_future(world.server.close())
            await turns(1)
            await idle.send(GET)
            queued.sendall(GET)
            assert (await idle.answer()).headers["connection"] == "close"
            with queued:
                assert (await asyncio.to_thread(queued.recv, 16)).startswith(b"HTTP/1.1 200")
            await closing

    run(main, loop)
