"""What Nova or a front end of it may answer, through proxy and agent on real sockets."""

import gzip
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from a9fe.wire.refusals import Refusal
from tests.kit.hop_sockets import HOST, hop_1_and_2
from tests.kit.http_world import Client, Script, World, read_request, run, scripted, turns

BODY = bytes(range(256)) * 64
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
OK = b"HTTP/1.1 200 OK\r\n" + LENGTH + b"\r\n" + BODY
PIECES = b"".join(b"%x;a=b\r\n%b\r\n" % (64, BODY[at : at + 64]) for at in range(0, len(BODY), 64))
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + PIECES + b"0\r\nT: x\r\n\r\n"
GET = b"GET /a%2Fb/../c//.?x=%FF HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n"
POST = (
    b"POST /p HTTP/1.1\r\nHost: 169.254.169.254\r\nContent-Length: 8000\r\n\r\n" + b"\xff\0" * 4000
)

Visit = Callable[[World, list[Client]], Awaitable[None]]


def answering(*answers: bytes, pieces: int = 0, close: bool = False) -> Script:
    """Answer one request after the other; each answer in pieces of that many bytes."""

    async def script(client: Client) -> None:
        for answer in answers:
            await read_request(client)
            for at in range(0, len(answer), pieces or len(answer)):
                await client.send(answer[at : at + (pieces or len(answer))])
                await turns(1)
        if not close:
            await client.rest()

    return script


def visited(directory: Path, script: Script, visit: Visit, **given: str) -> list[Refusal]:
    """Run a visit in front of a scripted service; it gets the hops and the service's connections.

    Return the refusals of the hops.
    """

    async def main() -> list[Refusal]:
        sock = socket.create_server((HOST, 0))
        port = sock.getsockname()[1]
        async with scripted(sock, script) as nova, hop_1_and_2(directory, port, **given) as world:
            await visit(world, nova)
        await turns(10)
        return world.tally.refusals

    return run(main)


FRAMINGS = {
    "length": OK,
    "chunked": CHUNKED,
    "until close": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + BODY,
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
    "after 1xx": b"HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\nHTTP/1.1 102 x\r\n\r\n" + OK,
}


@pytest.mark.parametrize("answer", FRAMINGS.values(), ids=FRAMINGS)
@pytest.mark.parametrize("pieces", [0, 701])
def test_each_framing_arrives_whole_with_its_length(answer, pieces, tmp_path):
    async def visit(world, nova):
        client = await world.client()
        got = await client.ask(GET)
        assert (got.status, got.body == BODY) == (200, True)
        assert "transfer-encoding" not in got.headers
        assert "link" not in got.headers

    close = answer.find(b"\r\nContent-Length") < 0 and answer is not CHUNKED
    assert visited(tmp_path, answering(answer, pieces=pieces, close=close), visit) == []


PASSED = {
    "gzip": b"200 OK\r\nContent-Encoding: gzip\r\nContent-Type: text/plain",
    "405": b"405 No\r\nAllow: GET, HEAD",
    "latin-1": b"404 Not \xe9\r\nX-A: \xff\xfe",
    "redirect": b"301 x\r\nLocation: /elsewhere",
    "own Server": b"200 OK\r\nServer: nova\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nVary: X-A",
}


@pytest.mark.parametrize("head", PASSED.values(), ids=PASSED)
def test_status_reason_headers_and_body_pass_unchanged(head, tmp_path):
    body = gzip.compress(BODY)
    answer = b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (head, len(body), body)

    async def visit(world, nova):
        client = await world.client()
        await client.send(GET)
        lines = (await client.reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        assert lines[0] == b"HTTP/1.1 " + head.split(b"\r\n")[0]
        for line in head.split(b"\r\n")[1:]:
            assert line in lines
        assert await client.reader.readexactly(len(body)) == body

    visited(tmp_path, answering(answer), visit)


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_statuses_without_body_end_at_their_head(status, tmp_path):
    bare = b"HTTP/1.1 " + status + b"\r\nETag: x\r\n\r\n"

    async def visit(world, nova):
        client = await world.client()
        await client.send(GET + GET)
        assert (await client.answer()).status == int(status[:3])
        assert (await client.answer()).body == BODY

    visited(tmp_path, answering(bare, OK), visit)


def test_head_has_novas_length_and_the_next_request_its_own_answer(tmp_path):
    async def visit(world, nova):
        client = await world.client()
        await client.send(GET.replace(b"GET", b"HEAD", 1) + GET)
        got = await client.answer(head_only=True)
        assert got.headers["content-length"] == str(len(BODY))
        assert (await client.answer()).body == BODY

    visited(tmp_path, answering(b"HTTP/1.1 200 OK\r\n" + LENGTH + b"\r\n", OK), visit)


def test_an_answer_before_the_requests_body_was_read_is_passed_on(tmp_path):
    """A front end refuses by the head alone, and closes."""

    async def script(client: Client) -> None:
        await client.reader.readuntil(b"\r\n\r\n")
        await client.send(b"HTTP/1.1 413 Too large\r\nContent-Length: 2\r\n\r\nno")

    async def visit(world, nova):
        client = await world.client()
        for _ in range(3):
            got = await client.ask(POST)
            assert (got.status, got.body) == (413, b"no")

    assert visited(tmp_path, script, visit) == []


def test_a_kept_connection_that_nova_closes_as_a_request_arrives_costs_no_request(tmp_path):
    async def script(client: Client) -> None:
        await read_request(client)
        await client.send(OK)
        await read_request(client)  # and closes without an answer

    async def visit(world, nova):
        client = await world.client()
        for _ in range(6):
            assert (await client.ask(GET)).status == 200
        assert len(nova) == 6

    assert visited(tmp_path, script, visit) == []


def test_a_post_is_sent_once_whatever_happens(tmp_path):
    seen = []

    async def script(client: Client) -> None:
        seen.append(await read_request(client))

    async def visit(world, nova):
        client = await world.client()
        got = await client.ask(POST)
        assert (got.status, "retry-after" in got.headers) == (503, True)
        (one,) = seen
        assert one.endswith(b"\r\n\r\n" + b"\xff\0" * 4000)

    assert visited(tmp_path, script, visit) == [Refusal.UPSTREAM_BROKEN]


def test_nova_gets_the_guests_target_and_body_as_sent(tmp_path):
    seen = []
    chunked = POST.replace(b"Content-Length: 8000", b"Transfer-Encoding: chunked")
    head, _, body = chunked.partition(b"\r\n\r\n")
    chunked = head + b"\r\n\r\n" + b"1f40\r\n" + body + b"\r\n0\r\n\r\n"

    async def script(client: Client) -> None:
        while True:
            seen.append(await read_request(client))
            await client.send(OK)

    async def visit(world, nova):
        client = await world.client()
        for data in (GET, POST, chunked):
            assert (await client.ask(data)).status == 200
        assert seen[0].startswith(b"GET /a%2Fb/../c//.?x=%FF HTTP/1.1\r\n")
        for sent in seen[1:]:
            assert sent.endswith(body)
            assert b"transfer-encoding" not in sent
            assert sent.count(b"content-length: 8000\r\n") == 1

    visited(tmp_path, script, visit)


def test_nova_that_nobody_runs_is_503_and_one_that_hangs_504(tmp_path, tmp_path_factory):
    async def visit(world, nova):
        got = await (await world.client()).ask(GET)
        assert got.status == 504
        assert "retry-after" not in got.headers

    hangs = visited(tmp_path, answering(), visit, upstream_timeout="1")
    assert hangs == [Refusal.UPSTREAM_TIMEOUT]

    async def main() -> list[Refusal]:
        async with hop_1_and_2(tmp_path_factory.mktemp("b"), 1, upstream_timeout="1") as world:
            got = await (await world.client()).ask(GET)
            assert (got.status, got.headers["retry-after"]) == (503, "2")
        return world.tally.refusals

    assert run(main) == [Refusal.UPSTREAM_UNREACHABLE]


def test_a_large_answer_to_slow_readers_takes_bounded_memory(tmp_path):
    """Each reader's answer is held at one hop; above the bound the largest client gives way."""
    large = bytes(1024) * 1024
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(large) + large

    async def script(client: Client) -> None:
        while True:
            await read_request(client)
            await client.send(answer)

    async def visit(world, nova):
        readers = [await world.client() for _ in range(8)]
        for reader in readers:
            reader.writer.transport.pause_reading()
            await reader.send(GET * 4)
        await turns(500)
        held = sum(one.held for one in world.server._connections)
        assert 0 < held <= world.server.limits.held_bytes_per_client
        readers[0].writer.transport.resume_reading()
        assert (await readers[0].answer()).body == large

    visited(tmp_path, script, visit)
