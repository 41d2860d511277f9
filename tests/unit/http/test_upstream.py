"""The upstream pool against servers that answer, break, stall and restart."""

import asyncio
import contextlib
import os
from dataclasses import replace

import pytest

from a9fe.http.server.server import serve
from a9fe.http.upstream.addresses import Addresses
from a9fe.http.upstream.errors import (
    UpstreamBroken,
    UpstreamOverloaded,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from a9fe.http.upstream.pool import REPEATS, Upstream
from a9fe.http.upstream.target import Target
from a9fe.wire.limits import MIB, Limits
from a9fe.wire.message import Answer, Request
from a9fe.wire.refusals import Refusal
from tests.kit.http_world import (
    LOOPS,
    echo,
    read_request,
    run,
    scripted,
    serving,
    turns,
    until,
    upstream_at,
)

BOTH = pytest.mark.parametrize("loop", LOOPS)
GET = Request(method=b"GET", target=b"/", headers=((b"host", b"a"),))
POST = Request(method=b"POST", target=b"/", headers=((b"host", b"a"),), body=b"x")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "upstream")


def saying(*answers: bytes, close: bool = False):
    """A server that follows a script: one answer for each request."""

    async def script(client):
        for answer in answers:
            await read_request(client)
            await client.send(answer)
        if not close:
            await client.rest()

    return script


async def ask_once(path: str, script, request: Request = GET, **options):
    async with scripted(path, script):
        ask = upstream_at(path, **options)
        try:
            return await ask(request)
        finally:
            ask.close()


@BOTH
def test_requests_and_answers_are_byte_exact(loop, path):
    body = bytes(range(256)) * 3000

    def handler(request):
        assert request.body == body
        assert request.headers[:2] == ((b"x-a", b"\xe9"), (b"host", b"169.254.169.254"))
        return Answer(status=200, headers=((b"X-B", b"\xff"),), body=request.body[::-1])

    async def main():
        async with serving(handler, path=path, limits=Limits(body_bytes=MIB)):
            ask = upstream_at(path)
            headers = ((b"x-a", b"\xe9"), (b"host", b"169.254.169.254"))
            answer = await ask(
                Request(method=b"PUT", target=b"/a?b=%20", headers=headers, body=body)
            )
            assert answer.headers == ((b"X-B", b"\xff"),)
            assert answer.body == body[::-1]
            ask.close()

    run(main, loop)


ANSWERS = {
    "length": (OK, Answer(status=200, reason=b"OK", body=b"ok")),
    "chunked": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
        Answer(status=200, reason=b"OK", body=b"ok"),
    ),
    "until close": (b"HTTP/1.0 200 OK\r\n\r\nok", Answer(status=200, reason=b"OK", body=b"ok")),
    "no content": (b"HTTP/1.1 204 \r\n\r\n", Answer(status=204)),
    "own reason": (
        b"HTTP/1.1 418 I am a teapot\r\nContent-Length: 0\r\n\r\n",
        Answer(status=418, reason=b"I am a teapot"),
    ),
    "1xx before": (b"HTTP/1.1 102 x\r\n\r\n" + OK, Answer(status=200, reason=b"OK", body=b"ok")),
    "hop-by-hop gone": (
        b"HTTP/1.1 200 OK\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\nKeep-Alive: x\r\nX-End: 2\r\n"
        b"Content-Length: 2\r\n\r\nok",
        Answer(status=200, reason=b"OK", headers=((b"X-End", b"2"),), body=b"ok"),
    ),
    "cookies stay two": (
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 2\r\n\r\nok",
        Answer(
            status=200,
            reason=b"OK",
            headers=((b"Set-Cookie", b"a"), (b"Set-Cookie", b"b")),
            body=b"ok",
        ),
    ),
}


@pytest.mark.parametrize(("sent", "answer"), ANSWERS.values(), ids=ANSWERS.keys())
def test_answers_in_every_framing(sent, answer, path):
    assert run(lambda: ask_once(path, saying(sent, close=True))) == answer


@pytest.mark.parametrize("sent", [a for a, _ in ANSWERS.values() if b"1.0" not in a])
def test_answers_in_single_bytes(sent, path):
    async def script(client):
        await read_request(client)
        for i in range(len(sent)):
            await client.send(sent[i : i + 1])
            await turns(1)
        await client.rest()

    whole = run(lambda: ask_once(path, saying(sent)))
    assert run(lambda: ask_once(path, script)) == whole


WITHOUT_CR = {
    "a length": b"HTTP/1.1 404 Not Found\nContent-Length: 2\nX-A: b\n\nok",
    "mixed": b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\nX-A: b\r\n\nok",
    "CRLF in the body": b"HTTP/1.1 404 Not Found\nContent-Length: 6\nX-A: b\n\nok\r\n\r\n",
    "chunks": b"HTTP/1.1 404 x\nTransfer-Encoding: chunked\nX-A: b\n\n2\nok\n0\nT: x\n\n",
    "chunks, mixed": b"HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\nX-A: b\n\r\n2\r\nok\n0\n\r\n",
    "after a 100": b"HTTP/1.1 100 x\n\nHTTP/1.1 404 x\nContent-Length: 2\nX-A: b\n\nok",
}


@pytest.mark.parametrize("sent", WITHOUT_CR.values(), ids=WITHOUT_CR)
@pytest.mark.parametrize("in_single_bytes", [False, True])
def test_lines_of_an_answer_may_end_without_cr(sent, in_single_bytes, path):
    """Upstreams may end lines so; guests may not."""

    async def script(client):
        await read_request(client)
        for piece in [bytes([each]) for each in sent] if in_single_bytes else [sent]:
            await client.send(piece)
            await turns(2)
        await client.rest()

    answer = run(lambda: ask_once(path, script))
    assert (answer.status, answer.body.rstrip()) == (404, b"ok")
    assert answer.headers == ((b"X-A", b"b"),)


def test_head_tells_the_length_of_a_get(path):
    async def main():
        head = Request(method=b"HEAD", target=b"/", headers=GET.headers)
        async with scripted(path, saying(OK[:-2], OK)):
            ask = upstream_at(path)
            answer = await ask(head)
            assert (answer.headers, answer.body) == (((b"Content-Length", b"2"),), b"")
            assert (await ask(GET)).body == b"ok"  # on the same connection: nothing is left of it
            async with serving(ask) as hop:
                client = await hop.client()
                await client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
                ask.close()

    run(main)


def test_head_through_two_hops(path):
    async def main():
        async with serving(echo, path=path):
            ask = upstream_at(path)
            async with serving(ask) as hop:
                client = await hop.client()
                for _ in range(2):
                    await client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
                    got = await client.answer(head_only=True)
                    assert got.headers["content-length"] == str(len(b"HEAD / []"))
            ask.close()

    run(main)


BROKEN = {
    "closed at once": (b"", True),
    "closed in the head": (b"HTTP/1.1 200 O", True),
    "closed in the body": (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", True),
    "closed in a chunk": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        True,
    ),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", False),
    "two lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", False),
    "TE and CL": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        False,
    ),
    "bad chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", False),
    "endless head": (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000, False),
    "too large": (b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n", False),
    "too large, chunked": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n",
        False,
    ),
    "too large, until close": (b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 101, False),
    "switches": (b"HTTP/1.1 101 x\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", False),
}


@BOTH
@pytest.mark.parametrize(("sent", "close"), BROKEN.values(), ids=BROKEN.keys())
def test_an_invalid_answer_is_upstream_broken(loop, sent, close, path):
    with pytest.raises(UpstreamBroken):
        run(lambda: ask_once(path, saying(sent, close=close), max_body=100), loop)


def test_body_at_the_limit(path):
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 100
    assert len(run(lambda: ask_once(path, saying(whole), max_body=100)).body) == 100


@BOTH
def test_an_upstream_that_does_not_listen_is_unreachable(loop, path):
    async def main():
        with pytest.raises(UpstreamUnreachable, match=r"upstream: .*No such file"):
            await upstream_at(path)(GET)
        nobody = Target(host="127.0.0.1", port=1)
        with pytest.raises(UpstreamUnreachable, match=r"127\.0\.0\.1:1: "):
            await Upstream(Addresses([nobody]), timeout=5)(GET)

    run(main, loop)


@BOTH
@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"])
def test_an_upstream_that_does_not_answer_in_time_is_a_timeout(loop, sent, path):
    with pytest.raises(UpstreamTimeout):
        run(lambda: ask_once(path, saying(sent), timeout=0.1), loop)


def test_errors_carry_the_request_id(path):
    async def main():
        request = Request(method=b"GET", target=b"/", headers=((b"x-a9fe-request-id", b"42"),))
        with pytest.raises(UpstreamUnreachable) as caught:
            await upstream_at(path)(request)
        assert caught.value.request_id == b"42"

    run(main)


def served_statuses(path: str, script, **options) -> tuple[int, list[Refusal]]:
    """Return a guest's answer from an upstream, through a server."""

    async def main():
        ask = upstream_at(path, **options)
        async with serving(ask) as world:
            client = await world.client()
            got = await client.ask(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            ask.close()
            return got.status, world.tally.refusals

    async def with_script():
        async with scripted(path, script):
            return await main()

    return run(with_script if script else main)


@pytest.mark.parametrize(
    ("script", "options", "status", "refusals"),
    [
        (None, {}, 503, [Refusal.UPSTREAM_UNREACHABLE]),
        (saying(b"", close=True), {}, 503, [Refusal.UPSTREAM_BROKEN]),
        (saying(b"nonsense\r\n\r\n"), {}, 503, [Refusal.UPSTREAM_BROKEN]),
        (saying(b""), {"timeout": 0.1}, 504, [Refusal.UPSTREAM_TIMEOUT]),
        *[
            (saying(b"HTTP/1.1 %d x\r\nContent-Length: 0\r\n\r\n" % status), {}, status, [])
            for status in (200, 204, 301, 400, 401, 403, 404, 405, 409, 413, 429, 500, 502, 599)
        ],
    ],
)
def test_every_failure_has_its_status_and_every_status_passes(
    script, options, status, refusals, path
):
    assert served_statuses(path, script, **options) == (status, refusals)


@BOTH
def test_connections_are_kept_and_reused(loop, path):
    async def main():
        async with scripted(path, saying(OK, OK, OK)) as accepted:
            ask = upstream_at(path)
            for _ in range(3):
                await ask(GET)
            assert len(accepted) == 1
            ask.close()

    run(main, loop)


@BOTH
def test_a_pooled_connection_that_died_is_replaced(loop, path):
    """It closes when the request arrives: safe requests are repeated."""

    async def script(client):
        await read_request(client)
        await client.send(OK)
        await read_request(client)

    async def main():
        async with scripted(path, script) as accepted:
            ask = upstream_at(path)
            for _ in range(4):
                assert (await ask(GET)).body == b"ok"
            assert len(accepted) == 4
            ask.close()

    run(main, loop)


BEGUN = [b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"]


@BOTH
@pytest.mark.parametrize(
    ("method", "begun"), [*[(b"GET", each) for each in BEGUN], (b"HEAD", b""), (b"HEAD", BEGUN[1])]
)
def test_a_safe_request_in_flight_is_repeated_when_the_upstream_restarts(
    loop, method, begun, path
):
    """Also on a fresh connection; it waits until the next process listens."""

    async def killed(client):
        await read_request(client)
        if begun:
            await client.send(begun)
        os.unlink(path)

    async def main():
        ask = upstream_at(path, restart_wait=5.0)
        async with scripted(path, killed) as accepted:
            asked = ask(replace(GET, method=method))
            await until(lambda: accepted and not os.path.exists(path))
        await turns()
        assert not asked.done()
        second = await serve(echo, path=path)
        assert (await asked).status == 200
        ask.close()
        await second.close()

    run(main, loop)


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"PATCH"])
@pytest.mark.parametrize("begun", BEGUN)
def test_unsafe_requests_are_sent_once(method, begun, path):
    seen = []

    async def script(client):
        seen.append(await read_request(client))
        if len(seen) == 1:
            await client.send(OK)
            seen.append(await read_request(client))
        if begun:
            await client.send(begun)

    async def main():
        async with scripted(path, script):
            ask = upstream_at(path, restart_wait=5.0)
            await ask(GET)
            with pytest.raises(UpstreamBroken):
                await ask(replace(POST, method=method))
            assert [data.split(b" ")[0] for data in seen] == [b"GET", method]
            ask.close()

    run(main)


@BOTH
def test_a_process_that_ends_may_accept_one_more_connection(loop, path):
    """It closes the connection of the request, accepts the next one and closes that too."""
    count = 0

    async def script(client):
        nonlocal count
        count += 1
        await read_request(client)
        if count in {1, 4}:
            await client.send(OK)
        if count == 1:
            await read_request(client)

    async def main():
        async with scripted(path, script):
            ask = upstream_at(path)
            await ask(GET)
            assert (await ask(GET)).body == b"ok"
            assert count == 4
            ask.close()

    run(main, loop)


def test_a_request_is_repeated_a_bounded_number_of_times(path):
    """The request itself may kill the upstream."""
    count = 0

    async def script(client):
        nonlocal count
        count += 1
        await read_request(client)
        if count == 1:
            await client.send(OK)
            await read_request(client)

    async def main():
        async with scripted(path, script):
            ask = upstream_at(path)
            await ask(GET)
            with pytest.raises(UpstreamBroken):
                await ask(GET)
            assert count == 1 + REPEATS
            ask.close()

    run(main)


def test_unsafe_requests_get_a_fresh_connection(path):
    seen = []

    async def script(client):
        seen.append(await read_request(client))
        await client.send(OK)
        seen.append(await read_request(client))

    async def main():
        async with scripted(path, script) as accepted:
            ask = upstream_at(path)
            await ask(GET)
            assert (await ask(POST)).body == b"ok"
            assert len(accepted) == 2
            assert [data[:4] for data in seen] == [b"GET ", b"POST"]
            ask.close()

    run(main)


@BOTH
def test_fresh_connections_count_against_the_pools_limit(loop, path):
    """Each POST gets a fresh connection, within the pool's limit."""

    async def main():
        async with serving(echo, path=path) as world:
            ask = upstream_at(path, max_connections=4)
            most = 0
            for _ in range(5):
                answers = await asyncio.gather(*[ask(r) for r in (POST, GET) * 8])
                assert {a.status for a in answers} == {200}
                most = max(most, ask.connections)
            assert most <= 4
            await until(lambda: world.server.connections <= 4)
            assert (await ask(GET)).status == 200
            ask.close()

    run(main, loop)


def test_a_request_above_the_queues_limit_is_refused(path):
    async def main():
        async with scripted(path, saying(b"")):
            ask = upstream_at(path, max_connections=1, max_queue=2)
            waiting = [ask(GET) for _ in range(3)]
            with pytest.raises(UpstreamOverloaded) as refused:
                await ask(GET)
            assert refused.value.refusal is Refusal.TOO_MANY_AT_ONCE
            waiting[1].cancel()
            instead = ask(GET)  # who does not wait any more has no place in line
            assert not instead.done()
            ask.close()

    run(main)


def test_above_the_byte_bound_the_largest_answer_fails(path):
    large = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 90_000
    small = b"HTTP/1.1 200 OK\r\nContent-Length: 30000\r\n\r\n" + b"x" * 20_000

    async def script(client):
        await client.send(large if b"/large" in await read_request(client) else small)
        if await client.reader.read(1) == b"":
            return

    async def main():
        async with scripted(path, script) as accepted:
            ask = upstream_at(path, max_collected=110_000)
            asked = ask(Request(method=b"GET", target=b"/large", headers=()))
            others = [ask(GET) for _ in range(2)]
            with pytest.raises(UpstreamBroken, match="too many bytes"):
                await asked
            await turns()
            assert not any(other.done() for other in others)
            for client in accepted:
                with contextlib.suppress(ConnectionError, RuntimeError):  # its end
                    await client.send(b"x" * 10_000)
            assert {len((await other).body) for other in others} == {30_000}
            assert ask.collected_bytes == 0
            ask.close()

    run(main)


def test_unsolicited_data_closes_the_connection(path):
    """A second answer to one request must not be taken for the next request's."""

    async def main():
        async with scripted(path, saying(OK + OK.replace(b"ok", b"no"), OK)) as accepted:
            ask = upstream_at(path)
            assert (await ask(GET)).body == b"ok"
            assert (await ask(GET)).body == b"ok"
            assert len(accepted) == 2
            ask.close()

    run(main)


@BOTH
def test_cancelled_requests_close_their_connection(loop, path):
    gone = asyncio.Event()

    async def script(client):
        await read_request(client)
        assert await client.is_closed()
        gone.set()

    async def main():
        async with scripted(path, script) as accepted:
            ask = upstream_at(path, timeout=1000)
            future = ask(GET)
            await until(lambda: accepted)
            await turns()
            future.cancel()
            await gone.wait()
            ask.close()

    run(main, loop)


@BOTH
def test_more_requests_than_connections_are_queued(loop, path):
    """600 guests at once: none is refused, and no more connections than allowed are open."""
    now = most = 0

    async def handler(request):
        nonlocal now, most
        now += 1
        most = max(most, now)
        await turns(10)
        now -= 1
        return echo(request)

    async def main():
        async with serving(handler, path=path) as world:
            ask = upstream_at(path, max_connections=10)
            answers = await asyncio.gather(*[ask(GET) for _ in range(600)])
            assert {a.status for a in answers} == {200}
            assert most == world.server.connections == 10
            ask.close()

    run(main, loop)


def test_time_in_the_queue_counts_against_the_deadline(path):
    async def main():
        async with scripted(path, saying(b"")):
            ask = upstream_at(path, max_connections=1, timeout=0.1)
            results = await asyncio.gather(ask(GET), ask(GET), return_exceptions=True)
            assert [type(r) for r in results] == [UpstreamTimeout, UpstreamOverloaded]
            ask.close()

    run(main)


@BOTH
def test_requests_wait_for_a_restart_of_the_upstream(loop, path):
    async def main():
        ask = upstream_at(path, restart_wait=5.0)
        first = await serve(echo, path=path)
        assert (await ask(GET)).status == 200
        await first.close()
        asked = [ask(GET) for _ in range(20)]
        await turns()
        assert not any(future.done() for future in asked)
        second = await serve(echo, path=path)
        assert {a.status for a in await asyncio.gather(*asked)} == {200}
        ask.close()
        await second.close()

    run(main, loop)


def test_restart_wait_counts_from_the_beginning_of_an_outage(path):
    async def main():
        ask = upstream_at(path, restart_wait=0.5)
        tries = []
        open_one = ask._open
        ask._open = lambda *which: tries.append(1) or open_one(*which)
        for at_least, at_most in ((2, 26), (1, 1)):
            tries.clear()
            with pytest.raises(UpstreamUnreachable):
                await ask(GET)
            assert at_least <= len(tries) <= at_most
        ask.close()

    run(main)


def test_a_request_without_host_gets_the_upstreams(path):
    seen = []

    async def script(client):
        seen.append(await read_request(client))
        await client.send(OK)

    run(lambda: ask_once(path, script, Request(method=b"GET", target=b"/", headers=())))
    assert seen == [b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"]


def test_the_request_has_only_our_framing_headers(path):
    seen = []

    async def script(client):
        seen.append(await read_request(client))
        await client.send(OK)

    headers = (
        (b"host", b"a"),
        (b"transfer-encoding", b"chunked"),
        (b"content-length", b"99"),
        (b"connection", b"close"),
    )
    request = Request(method=b"POST", target=b"/", headers=headers, body=b"abc")
    run(lambda: ask_once(path, script, request))
    assert seen == [b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc"]
