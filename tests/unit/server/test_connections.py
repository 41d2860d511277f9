"""The bounds on the API's connections, and uvicorn's protocol within them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import structlog
import uvicorn
from uvicorn.server import ServerState

from a9fe.model.policy import NOBODY, trusted
from a9fe.server.asgi import connections
from a9fe.server.asgi.connections import RESERVED, Bounds, peer_of
from a9fe.server.asgi.protocol import BoundedProtocol
from tests.kit.conditions import comes_true
from tests.kit.fake_clock import FakeClock

pytestmark = pytest.mark.sqlite
TOTAL = 20
A, B, C = "192.0.2.1", "192.0.2.2", "192.0.2.3"


@dataclass(eq=False, kw_only=True)
class Line:
    """A connection that only the bounds know."""

    peer: str
    proven: bool = False
    slow: str = ""
    ended: bool = False

    def expire(self, _now: float) -> str:
        return self.slow

    def abort(self) -> None:
        self.ended = True


@pytest.fixture
def bounds() -> Bounds:
    return Bounds(FakeClock().monotonic, RESERVED + TOTAL)


def admitted(bounds: Bounds, peer: str, count: int, *, working: bool = False) -> list[Line]:
    lines = [Line(peer=peer) for _ in range(count)]
    for line in lines:
        assert bounds.admit(line)
        if working:
            bounds.mark_busy(line)
    return lines


def ended(lines: list[Line]) -> list[int]:
    return [number for number, line in enumerate(lines) if line.ended]


@pytest.mark.parametrize(
    ("address", "peer"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", ""),
    ],
)
def test_whose_a_connection_is(address: str, peer: str):
    assert peer_of(address) == peer


def test_a_peer_that_takes_too_many_loses_its_own_oldest(bounds: Bounds):
    other = admitted(bounds, B, 3)
    lines = admitted(bounds, A, bounds.peer_max + 2)
    assert ended(lines) == [0, 1]
    assert ended(other) == []


def test_one_that_was_answered_is_kept_longer_than_one_that_asked_nothing(bounds: Bounds):
    known = admitted(bounds, A, 2)
    known[0].proven = True
    lines = admitted(bounds, A, bounds.peer_max)
    assert ended(known) == [1]
    assert ended(lines) == [0]


def test_when_no_place_is_left_the_largest_holder_loses_one(bounds: Bounds):
    working = admitted(bounds, A, TOTAL - 6, working=True)
    few, more = admitted(bounds, A, 2), admitted(bounds, B, 4)
    admitted(bounds, C, 1)
    assert ended(more) == [0]
    assert ended(few) == ended(working) == []
    assert len(bounds) == TOTAL


def test_what_is_being_answered_is_never_closed_for_others(bounds: Bounds):
    working = admitted(bounds, A, TOTAL, working=True)
    late = Line(peer=B)
    assert not bounds.admit(late)
    assert ended(working) == []
    bounds.remove(working[0])
    assert bounds.admit(late)


def test_one_line_in_an_interval_says_what_was_closed_and_how_often(bounds: Bounds):
    clock = FakeClock()
    bounds.monotonic = clock.monotonic
    admitted(bounds, A, 3)
    with structlog.testing.capture_logs() as lines:
        for line in list(bounds._all):
            line.slow = "head too slow"
        for _ in range(5):
            bounds.sweep()
        clock.at += connections.LOG_INTERVAL
        bounds.sweep()
    assert [line["event"] for line in lines] == ["connections closed"] * 2
    assert [line["reasons"] for line in lines] == ["head too slow: 3", "head too slow: 15"]
    assert lines[0]["last_peer"] == A


# ---- the protocol

HEAD = b"GET /small HTTP/1.1\r\nHost: x\r\n"
LARGE = 32 * 1024 * 1024


class Api:
    """An application: /small answers, /large with much, /feed goes on; others read a body."""

    def __init__(self) -> None:
        self.caller = NOBODY
        self.ended = 0
        self.more = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope["state"]["caller"] = self.caller
        body = b"x" * LARGE if scope["path"] == "/large" else b"fine"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/feed":
            await send({"type": "http.response.body", "body": b"begin", "more_body": True})
            await self.more.wait()
        await send({"type": "http.response.body", "body": body})
        self.ended += 1


class Reads(Api):
    """Answers after the body."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        message = {"more_body": True}
        while message.get("more_body"):
            message = await receive()
        await super().__call__(scope, receive, send)


class House:
    """The protocol behind a real socket, with a clock of its own."""

    def __init__(self, app: Api) -> None:
        self.app = app
        self.clock = FakeClock()
        self.bounds = Bounds(self.clock.monotonic, RESERVED + TOTAL)
        self.port = 0

    def later(self, seconds: float) -> None:
        self.clock.at += seconds
        self.bounds.sweep()

    async def connect(self, data: bytes = b"", address: str = "127.0.0.1") -> Any:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, local_addr=(address, 0), limit=2**16
        )
        self.writers.append(writer)
        writer.write(data)
        return reader

    @asynccontextmanager
    async def open(self) -> AsyncIterator["House"]:
        self.writers: list[asyncio.StreamWriter] = []
        config = uvicorn.Config(self.app, log_config=None, access_log=False, ws="none")
        config.load()
        state = ServerState()
        loop = asyncio.get_running_loop()

        def made() -> BoundedProtocol:
            return BoundedProtocol(
                self.bounds, config=config, server_state=state, app_state={}, _loop=loop
            )

        server = await loop.create_server(made, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            self.app.more.set()
            for writer in self.writers:
                writer.transport.abort()
            server.close()
            await comes_true(lambda: not len(self.bounds) and not state.tasks, "all have ended")


def in_house(app: type[Api], test: Callable[[House], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        async with House(app()).open() as house:
            await test(house)

    asyncio.run(whole())


def steps(house: House) -> list[str]:
    return sorted(line._step.name for line in house.bounds._all)


async def reached(house: House, *names: str) -> None:
    await comes_true(lambda: steps(house) == sorted(names), f"{names}")


@pytest.mark.parametrize(
    ("sent", "step", "answer"),
    [
        (b"", "HEAD", b""),
        (b"\r\n\r\n", "HEAD", b"HTTP/1.1 408 "),
        (HEAD, "HEAD", b"HTTP/1.1 408 "),
        (HEAD + b"Content-Length: 9\r\n\r\nhalf", "BODY", b"HTTP/1.1 408 "),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nha", "BODY", b"HTTP/1.1 408 "),
    ],
)
def test_what_does_not_arrive_in_time_is_closed(sent: bytes, step: str, answer: bytes):
    async def test(house: House) -> None:
        reader = await house.connect(sent)
        await reached(house, step)
        if sent:
            await comes_true(lambda: step == "BODY" or any(c._read for c in house.bounds._all), "")
        house.later(connections.HEAD_TIME - 1)
        assert len(house.bounds) == 1
        house.later(connections.BODY_TIME)
        found = await reader.read()
        assert found.startswith(answer)
        assert bool(found) is bool(answer)

    in_house(Reads, test)


def test_bytes_that_keep_coming_do_not_prolong_a_head():
    async def test(house: House) -> None:
        await house.connect(HEAD)
        for number in range(int(connections.HEAD_TIME)):
            await comes_true(lambda: any(c._read for c in house.bounds._all), "a byte arrived")
            house.writers[0].write(b"X-%d: y\r\n" % number)
            house.later(1)
        await comes_true(lambda: not len(house.bounds), "it has ended")

    in_house(Api, test)


@pytest.mark.parametrize("line", [b"X-Pad: " + b"y" * 1000 + b"\r\n", b"\r\n", b"y"])
def test_a_head_without_end_is_refused(line: bytes):
    async def test(house: House) -> None:
        start = b"" if line == b"\r\n" else HEAD
        reader = await house.connect(start + line * (connections.HEAD_MAX // len(line) + 1))
        assert (await reader.read()).startswith(b"HTTP/1.1 431 ")

    in_house(Api, test)


def test_a_stream_goes_on_for_ever_and_is_not_closed_for_others():
    async def test(house: House) -> None:
        reader = await house.connect(HEAD.replace(b"small", b"feed") + b"\r\n")
        await reader.readuntil(b"begin")
        flood = [await house.connect(HEAD, "127.0.0.2") for _ in range(3 * TOTAL)]
        await comes_true(lambda: sum(r.at_eof() or bool(r.exception()) for r in flood), "closed")
        house.later(100 * connections.STALL_TIME)
        house.app.more.set()
        assert b"fine" in await reader.readuntil(b"0\r\n\r\n")

    in_house(Api, test)


def test_others_are_answered_while_one_peer_holds_all_it_can():
    async def test(house: House) -> None:
        for _ in range(3 * TOTAL):
            await house.connect(HEAD, "127.0.0.2")
        assert len(house.bounds) <= house.bounds.peer_max + 1
        for address in ("127.0.0.1", "127.0.0.2"):
            reader = await house.connect(HEAD + b"\r\n", address)
            assert b"fine" in await reader.readuntil(b"0\r\n\r\n")

    in_house(Api, test)


def test_who_does_not_read_an_answer_is_closed_and_who_reads_slowly_is_not():
    async def test(house: House) -> None:
        large = HEAD.replace(b"small", b"large") + b"\r\n"
        await house.connect(large)
        reader = await house.connect(large)
        await comes_true(lambda: house.app.ended == 2, "both are being sent")
        got = b""
        for _ in range(3):
            got += await reader.readexactly(8 * 2**20)
            house.later(connections.STALL_TIME - 1)
        await comes_true(lambda: len(house.bounds) == 1, "the one that does not read has ended")
        while len(got) < LARGE:
            got += await reader.read(2**20)

    in_house(Api, test)


def test_an_unread_answer_makes_place_for_others_unless_it_is_an_admins():
    async def test(house: House) -> None:
        large = HEAD.replace(b"small", b"large") + b"\r\n"
        await house.connect(large)
        await comes_true(lambda: house.app.ended == 1, "one is being sent")
        assert len(house.bounds._waiting) == 1
        house.app.caller = trusted("p")
        await house.connect(large, "127.0.0.2")
        await comes_true(lambda: house.app.ended == 2, "another is being sent")
        assert house.bounds._waiting.keys() == {"127.0.0.1"}

    in_house(Api, test)


@pytest.mark.parametrize("size", [10**9, 0])
def test_a_body_that_nobody_reads_ends(size: int):
    """The answer came before the body, as a 401 does."""

    async def test(house: House) -> None:
        length = b"Content-Length: 9999999999\r\n\r\n"
        reader = await house.connect(HEAD + length)
        assert b"fine" in await reader.readuntil(b"0\r\n\r\n")
        assert steps(house) == ["DRAIN"]
        if size:
            house.writers[0].write(bytes(connections.DRAIN_MAX + 1))
        else:
            house.later(connections.DRAIN_TIME)
        await comes_true(lambda: not len(house.bounds), "it has ended")

    in_house(Api, test)


def test_what_follows_a_request_too_early_is_not_kept():
    async def test(house: House) -> None:
        reader = await house.connect(HEAD.replace(b"small", b"feed") + b"\r\n")
        await reader.readuntil(b"begin")
        house.writers[0].write(b"GET /more")
        await comes_true(
            lambda: all(not c.cycle.keep_alive for c in house.bounds._all), "it was read"
        )
        house.app.more.set()
        assert (await reader.read()).endswith(b"0\r\n\r\n")

    in_house(Api, test)


@pytest.mark.parametrize("pipelined", [1, 3])
def test_requests_on_one_connection_are_answered_in_order(pipelined: int):
    async def test(house: House) -> None:
        reader = await house.connect()
        for _ in range(3):
            house.writers[0].write((HEAD + b"\r\n") * pipelined)
            for _ in range(pipelined):
                await reader.readuntil(b"0\r\n\r\n")
        await reached(house, "IDLE")

    in_house(Api, test)


@pytest.mark.parametrize(
    "request_line",
    ["CONNECT a:1 HTTP/1.1", "OPTIONS * HTTP/1.1", "GET \xe9 HTTP/1.1", "PRI * HTTP/2.0", "{}"],
)
def test_what_is_no_request_of_ours_ends_the_connection_or_is_answered(request_line: str):
    async def test(house: House) -> None:
        reader = await house.connect(f"{request_line}\r\nHost: x\r\n\r\n".encode("latin-1"))
        assert json.loads((await reader.readuntil(b" "))[5:8]) == 1.1

    in_house(Api, test)
