"""Servers and clients over real sockets, on uvloop and on plain asyncio."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import uvloop

from a9fe.http.report import Report
from a9fe.http.server.server import Server, serve
from a9fe.http.server.sockets import reset_on_close
from a9fe.http.upstream.addresses import Addresses
from a9fe.http.upstream.pool import Upstream
from a9fe.http.upstream.target import Target
from a9fe.wire.limits import Limits
from a9fe.wire.message import Answer, Handler, Listener, Request
from a9fe.wire.refusals import Refusal

T = TypeVar("T")
LOOPS = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
POLL = 0.001  # s
NO_TIME = 0.0
PATIENCE = 10.0  # s until a test fails
NETWORK = Listener(kind="network", id="net-1", namespace="qdhcp-net-1", address="::", port=80)
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"

# Timeouts that a test can wait for.
QUICK = Limits(
    head_timeout=0.15,
    body_timeout=0.15,
    idle_timeout=0.15,
    write_timeout=0.15,
    half_closed_timeout=0.15,
    linger_timeout=0.15,
)


def run(main: Callable[[], Coroutine[Any, Any, T]], loop: str = "uvloop") -> T:
    async def limited() -> T:
        async with asyncio.timeout(PATIENCE):
            return await main()

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        return runner.run(limited())


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until `condition` holds; `run` limits the time."""
    while not condition():  # noqa: ASYNC110 - what is waited for is inside of the code under test
        await asyncio.sleep(POLL)


async def turns(count: int = 100) -> None:
    """Let the loop run what is ready now."""
    for _ in range(count):
        await asyncio.sleep(NO_TIME)


class Tally:
    """Counts refusals and statuses in lists."""

    def __init__(self) -> None:
        self.refusals: list[Refusal] = []
        self.statuses: list[int] = []

    def refused(self, process: str, refusal: Refusal) -> None:
        self.refusals.append(refusal)

    def answered(self, process: str, status: int) -> None:
        self.statuses.append(status)


def echo(request: Request) -> Answer:
    """Answer with the request's method, target and body."""
    return Answer(
        status=200,
        headers=((b"content-type", b"text/plain"),),
        body=b"%b %b [%b]" % (request.method, request.target, request.body),
    )


async def never(request: Request, seen: list[str]) -> Answer:
    """Never answer; note in `seen` that the call began and that it was cancelled."""
    seen.append("asked")
    try:
        await asyncio.Event().wait()
    finally:
        seen.append("cancelled")
    raise AssertionError("nobody sets the event")


@dataclass
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, *, head_only: bool = False) -> "Got":
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip("\r\n").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        length = 0 if head_only else int(headers.get("content-length", 0))
        body = await self.reader.readexactly(length)
        return Got(int(first.split()[1]), headers, body, first)

    async def ask(self, data: bytes) -> "Got":
        await self.send(data)
        return await self.answer()

    async def rest(self) -> bytes:
        """Read until the other side closes."""
        return await self.reader.read()

    async def is_closed(self) -> bool:
        try:
            return await self.rest() == b""
        except ConnectionError:
            return True

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        """Close so that the other side gets a reset, or a hang-up of a Unix socket."""
        reset_on_close(self.writer.get_extra_info("socket"))
        self.writer.transport.abort()


@dataclass
class Got:
    status: int
    headers: dict[str, str]
    body: bytes
    first: str


@dataclass
class World:
    server: Server
    tally: Tally
    address: Any
    clients: list[Client] = field(default_factory=list)

    async def client(self) -> Client:
        if isinstance(self.address, str):
            client = Client(*await asyncio.open_unix_connection(self.address))
        else:
            client = Client(*await asyncio.open_connection(*self.address))
        self.clients.append(client)
        return client

    async def until(self, condition: Callable[[], object]) -> None:
        """Let the loop run until `condition` holds."""
        await until(condition)


@asynccontextmanager
async def serving(
    handler: Handler = echo,
    *,
    limits: Limits | None = None,
    listener: Listener | None = None,
    path: str | None = None,
    outgoing: Callable[[Answer], Answer] | None = None,
):
    tally = Tally()
    sock = None if path else socket.create_server(("127.0.0.1", 0))
    server = await serve(
        handler,
        sock=sock,
        path=path,
        limits=limits or Limits(),
        listener=listener,
        report=Report("test", tally),
        outgoing=outgoing,
    )
    world = World(server, tally, path or sock.getsockname()[:2])
    try:
        yield world
    finally:
        for client in world.clients:
            client.close()
        await server.close(0.5)


def upstream_at(path: str, *, timeout: float = 5.0, **options: Any) -> Upstream:
    """Return an upstream on a Unix socket, inside a running loop."""
    return Upstream(Addresses([Target(path=path)]), timeout=timeout, **options)


Script = Callable[[Client], Awaitable[None]]


@asynccontextmanager
async def scripted(where: str | socket.socket, script: Script):
    """Serve a Unix socket's path, or a listening TCP socket; `script` handles each connection."""
    accepted: list[Client] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = Client(reader, writer)
        accepted.append(client)
        try:
            await script(client)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    if isinstance(where, str):
        server = await asyncio.start_unix_server(connected, where)
    else:
        server = await asyncio.start_server(connected, sock=where)
    try:
        yield accepted
    finally:
        server.close()
        for client in accepted:
            client.close()


async def read_request(client: Client) -> bytes:
    """Read a request's head and its body of Content-Length bytes."""
    head = await client.reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return head + await client.reader.readexactly(int(line.split(b":")[1]))
    return head
