"""What a guest sees of HTTP/1.1, on real sockets, in each shape of the hops."""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from a9fe.wire.refusals import Refusal
from tests.kit.hop_sockets import INSTANCE, SHAPES, USER_DATA
from tests.kit.http_world import Client, Got, World, run, turns

EACH = pytest.mark.parametrize("shape", SHAPES)
TTL = b"X-aws-ec2-metadata-token-ttl-seconds: 60"
CLOSE, KEEP = b"Connection: close", b"Connection: keep-alive"
PATH = b"/latest/user-data"

Visit = Callable[[World, Client], Awaitable[None]]


def request(
    line: bytes, *headers: bytes, body: bytes = b"", version: bytes = b"HTTP/1.1"
) -> bytes:
    return b"\r\n".join([line + b" " + version, b"Host: 169.254.169.254", *headers, b"", body])


GET, HEAD = request(b"GET " + PATH), request(b"HEAD " + PATH)
PUT = b"PUT /latest/api/token"


def visited(shape: str, directory: Path, visit: Visit) -> list[Refusal]:
    """Run a visit of one connection; return the refusals of all hops."""

    async def main() -> list[Refusal]:
        async with SHAPES[shape](directory) as world:
            await visit(world, await world.client())
            return world.tally.refusals

    return run(main)


def is_user_data(got: Got) -> bool:
    return got.status == 200 and got.body == USER_DATA


@EACH
@pytest.mark.parametrize("count", [1, 3])
def test_a_chunked_body_is_read_and_the_connection_kept(shape, count, tmp_path):
    chunks = b"3;x=1\r\nabc\r\n" * count + b"0\r\nTrailer: x\r\n\r\n"

    async def visit(world, client):
        put = request(PUT, TTL, b"Transfer-Encoding: chunked", body=chunks)
        for _ in range(2):
            assert (await client.ask(put)).status == 200
        assert is_user_data(await client.ask(GET))

    assert visited(shape, tmp_path, visit) == []


@EACH
def test_expect_100_continue_is_answered_before_the_body(shape, tmp_path):
    async def visit(world, client):
        await client.send(request(PUT, TTL, b"Content-Length: 4", b"Expect: 100-continue"))
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (await client.ask(b"body")).status == 200
        assert is_user_data(await client.ask(GET))

    assert visited(shape, tmp_path, visit) == []


@EACH
def test_a_body_above_the_limit_is_413_without_continue(shape, tmp_path):
    async def visit(world, client):
        await client.send(request(PUT, b"Content-Length: 9000", b"Expect: 100-continue"))
        assert (await client.answer()).status == 413
        assert await client.is_closed()

    assert visited(shape, tmp_path, visit) == [Refusal.BODY_TOO_LARGE]


@EACH
def test_pipelined_requests_are_answered_in_order(shape, tmp_path):
    token = request(PUT, TTL, b"Content-Length: 2", body=b"ab")
    missing = request(b"GET /latest/meta-data/nothing")

    async def visit(world, client):
        await client.send(GET + HEAD + token + missing + GET)
        assert is_user_data(await client.answer())
        assert (await client.answer(head_only=True)).headers["content-length"] == str(
            len(USER_DATA)
        )
        assert (await client.answer()).status == 200
        assert (await client.answer()).status == 404
        assert is_user_data(await client.answer())

    visited(shape, tmp_path, visit)


@EACH
def test_head_has_the_headers_of_get_and_no_body(shape, tmp_path):
    async def visit(world, client):
        for target in (PATH, b"/openstack/latest/meta_data.json", b"/latest/nothing", b"/"):
            await client.send(request(b"HEAD " + target))
            head = await client.answer(head_only=True)
            got = await client.ask(request(b"GET " + target))
            assert head.status == got.status
            for headers in (head.headers, got.headers):
                headers.pop("x-a9fe-request-id", None)
            assert head.headers == got.headers

    visited(shape, tmp_path, visit)


@EACH
@pytest.mark.parametrize(("headers", "said"), [([], "close"), ([KEEP], "keep-alive")])
def test_http_1_0(shape, headers, said, tmp_path):
    async def visit(world, client):
        asked = request(b"GET " + PATH, *headers, version=b"HTTP/1.0")
        for _ in range(1 if said == "close" else 3):
            got = await client.ask(asked)
            assert is_user_data(got)
            assert got.headers["connection"] == said
            assert "transfer-encoding" not in got.headers
        if said == "close":
            assert await client.is_closed()

    assert visited(shape, tmp_path, visit) == []


@EACH
def test_a_client_that_asks_to_close_is_told_and_closed(shape, tmp_path):
    async def visit(world, client):
        got = await client.ask(request(b"GET " + PATH, CLOSE))
        assert is_user_data(got)
        assert got.headers["connection"] == "close"
        assert await client.is_closed()

    assert visited(shape, tmp_path, visit) == []


@EACH
def test_a_half_closed_client_gets_all_its_answers(shape, tmp_path):
    async def visit(world, client):
        await client.send(GET + GET)
        client.writer.write_eof()
        assert is_user_data(await client.answer())
        assert is_user_data(await client.answer())
        assert await client.is_closed()

    assert visited(shape, tmp_path, visit) == []


@EACH
def test_a_slow_reader_gets_every_byte_and_what_waits_for_it_is_bounded(shape, tmp_path):
    """64 answers of 50 KiB are asked at once; few are in memory before they are read."""
    count = 64

    async def visit(world, client):
        sock = client.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.writer.transport.pause_reading()
        await client.send(GET * count)
        await turns(300)
        assert 0 < sum(one.held for one in world.server._connections) < 4 * len(USER_DATA)
        client.writer.transport.resume_reading()
        for _ in range(count):
            assert is_user_data(await client.answer())

    visited(shape, tmp_path, visit)


@EACH
@pytest.mark.parametrize("method", [b"POST", b"DELETE", b"PATCH", b"TRACE"])
def test_405_names_the_methods(shape, method, tmp_path):
    async def visit(world, client):
        got = await client.ask(request(method + b" /latest/user-data", b"Content-Length: 0"))
        assert (got.status, "get" in got.headers["allow"]) == (405, True)

    assert visited(shape, tmp_path, visit) == [Refusal.METHOD_NOT_ALLOWED]


TARGETS = [
    b"/latest/user-data?%ff=%00&a=b?c",
    b"/latest//user-data",
    b"/latest/./user-data",
    b"/latest/../latest/user-data",
    b"/latest/%75ser-data",
    b"/latest/user-data/",
    b"/latest/user-data%2f",
    b"/%ff",
    b"//",
    b"/openstack/latest/../../x",
    b"http://169.254.169.254/latest/user-data",
]


def test_every_shape_reads_targets_alike(tmp_path_factory):
    found: dict[str, list[tuple[int, bytes]]] = {}
    for shape in SHAPES:
        answers = found.setdefault(shape, [])

        async def visit(world, client, answers=answers):
            for target in TARGETS:
                got = await client.ask(request(b"GET " + target))
                answers.append((got.status, re.sub(rb"request [0-9a-f]{12}", b"", got.body)))

        visited(shape, tmp_path_factory.mktemp(shape), visit)
    assert found["host"] == found["split"]
    assert {status for status, _ in found["host"]} == {200, 404}


@EACH
def test_many_guests_connections_at_once_are_all_answered(shape, tmp_path):
    async def visit(world, client):
        async def one() -> bool:
            mine = await world.client()
            asked = request(b"GET /latest/meta-data/instance-id", CLOSE)
            got = await mine.ask(asked)
            return got.status == 200 and await mine.is_closed()

        assert all(await asyncio.gather(*[one() for _ in range(200)]))
        got = await client.ask(request(b"GET /openstack/latest/meta_data.json"))
        assert INSTANCE.id.encode() in got.body

    assert visited(shape, tmp_path, visit) == []
