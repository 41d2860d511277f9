"""Runs in a guest during `./run bench floods`: the flood, or its neighbour's requests.

`python -m bench.flooder flood NAME` prints "flooding" when the flood has built up, and floods
until its stdin is closed. `python -m bench.flooder ask COUNT PID...` sends COUNT requests, each on
a new connection, and prints JSON: milliseconds of each answer with 200, a count of each other
outcome. The time for which this process and those PIDs were ready to run and waited for a core is
not counted: other work of the machine took it.
"""

import asyncio
import json
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

from a9fe.runtime import descriptors

AT = ("169.254.169.254", 80)
HEAD = b"%b %b HTTP/1.1\r\nHost: x\r\n%b\r\n"
SMALL = b"/latest/meta-data/instance-id"
LARGE = b"/openstack?recursive=true"
PASSWORD = b"/openstack/latest/password"
TOKEN = b"/latest/api/token"
TTL = b"X-aws-ec2-metadata-token-ttl-seconds: 60\r\n"
TRICKLE = 0.5  # s between two bytes of a slow request
PATIENCE = 10.0  # s
BETWEEN = 0.01  # s between two requests of the neighbour: below the rate limit
SETTLED = 1.5  # s in which a flood builds up

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter
Part = Callable[[Reader, Writer], Awaitable[None]]


async def answer(reader: Reader) -> int:
    """Read a whole answer and return its status."""
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            await reader.readexactly(int(value))
    return int(head.split()[1])


async def silent(reader: Reader, writer: Writer) -> None:
    """Send nothing until the server closes."""
    await reader.read()


async def busy(reader: Reader, writer: Writer) -> None:
    """Use the core and its sockets as a flood does, without the hops, for comparison."""
    near, far = socket.socketpair()
    here = await asyncio.open_connection(sock=near)
    there = await asyncio.open_connection(sock=far)
    while True:
        for (_, one), (other, _) in ((here, there), (there, here)):
            one.write(HEAD % (b"GET", SMALL, b""))
            await other.readuntil(b"\r\n\r\n")


async def gone(reader: Reader, writer: Writer) -> None:
    """Close at once."""


def trickle(head: bytes) -> Part:
    """Send `head`, then a byte every TRICKLE seconds."""

    async def part(reader: Reader, writer: Writer) -> None:
        writer.write(head)
        while not reader.at_eof() and not writer.is_closing():
            await asyncio.sleep(TRICKLE)
            writer.write(b"x")
            await writer.drain()

    return part


def over_and_over(request: bytes, ahead: int = 1) -> Part:
    """Send `ahead` requests at a time, and read the answers."""

    async def part(reader: Reader, writer: Writer) -> None:
        while True:
            writer.write(request * ahead)
            for _ in range(ahead):
                await answer(reader)

    return part


def once(request: bytes) -> Part:
    """Send a request and read the answer."""

    async def part(reader: Reader, writer: Writer) -> None:
        writer.write(request)
        await answer(reader)

    return part


def unread(request: bytes) -> Part:
    """Send a request and read nothing."""

    async def part(reader: Reader, writer: Writer) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(request)
        while not writer.is_closing():
            await asyncio.sleep(TRICKLE)
            writer.write(b"\r\n")  # until the connection is reset

    return part


async def waits(reader: Reader, writer: Writer) -> None:
    """Wait for a change, again and again."""
    etag = b"0"
    while True:
        target = SMALL + b"?wait_for_change=true&last_etag=" + etag
        writer.write(HEAD % (b"GET", target, b""))
        head = await reader.readuntil(b"\r\n\r\n")
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"etag":
                etag = value.strip(b' "')
            if name.lower() == b"content-length":
                await reader.readexactly(int(value))


BODY = HEAD % (b"POST", PASSWORD, b"Content-Length: %d\r\n")
CORE_IN_USE = "none, but a core in use"
FLOODS: dict[str, tuple[int, Part]] = {
    CORE_IN_USE: (64, busy),
    "idle connections": (3000, silent),
    "connections, closed at once": (64, gone),
    "slow heads": (1500, trickle(b"GET / HTTP/1.1\r\nX: ")),
    "slow bodies": (1500, trickle(BODY % 8000)),
    "bodies held back": (900, trickle(BODY % 8192 + b"x" * 8000)),
    "large bodies": (64, over_and_over(BODY % 1_000_000 + b"x" * 1_000_000)),
    "answers unread": (900, unread(HEAD % (b"GET", LARGE, b""))),
    "requests": (64, over_and_over(HEAD % (b"GET", SMALL, b""))),
    "pipelines": (16, over_and_over(HEAD % (b"GET", SMALL, b""), 1000)),
    "POSTs": (256, over_and_over(BODY % 3 + b"abc")),
    "large documents": (16, over_and_over(HEAD % (b"GET", LARGE, b""))),
    "tokens, a connection each": (256, once(HEAD % (b"PUT", TOKEN, TTL))),
    "tokens": (64, over_and_over(HEAD % (b"PUT", TOKEN, TTL))),
    "waits": (500, waits),
    "malformed requests": (64, over_and_over(b"nonsense\r\n\r\n")),
}


async def again(part: Part) -> None:
    """Run a flood on a connection, and again on a new one when it ends."""
    while True:
        with suppress(OSError, asyncio.IncompleteReadError, ValueError):
            reader, writer = await asyncio.open_connection(*AT)
            try:
                await part(reader, writer)
            finally:
                writer.transport.abort()
        await asyncio.sleep(0)


async def flood(name: str) -> None:
    """Flood until stdin is closed."""
    count, part = FLOODS[name]
    tasks = [asyncio.ensure_future(again(part)) for _ in range(count)]
    await asyncio.sleep(SETTLED)
    print("flooding", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for task in tasks:
        task.cancel()


def waited_for_cores(files: list[int]) -> float:
    """Return the seconds for which the processes of these files (schedstat) waited for a core."""
    return sum(int(os.pread(file, 64, 0).split()[1]) for file in files) / 1e9


async def ask_once(files: list[int]) -> float:
    """Return the milliseconds of one answer with 200."""
    began = time.monotonic() - waited_for_cores(files)
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(*AT)
        try:
            writer.write(HEAD % (b"GET", SMALL, b""))
            status = await answer(reader)
        finally:
            writer.close()
    if status != 200:
        raise ValueError(str(status))
    return (time.monotonic() - waited_for_cores(files) - began) * 1000


async def ask(count: int, pids: list[str]) -> None:
    """Send the neighbour's requests, and print the results."""
    times, errors = [], Counter[str]()
    files = [os.open(f"/proc/{pid}/schedstat", os.O_RDONLY) for pid in ("self", *pids)]
    for _ in range(count):
        try:
            times.append(await ask_once(files))
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            errors[f"{type(error).__name__} {error}"[:60]] += 1
        await asyncio.sleep(BETWEEN)
    print(json.dumps({"ms": times, "errors": errors}))


def main() -> None:
    """Run what the arguments name."""
    descriptors.raise_limit()
    part, value, *pids = sys.argv[1:]
    asyncio.run(flood(value) if part == "flood" else ask(int(value), pids))


if __name__ == "__main__":
    main()
