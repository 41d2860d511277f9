"""The metadata service by itself: cost and memory at 1,000 and 100,000 instances with 16 KB of
user data each, guests that wait for a change, and providers of vendor data that hang.

The part `./run bench service`. The service and nginx, which serves the same bytes, are measured in
turns.
"""

import asyncio
import re
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from statistics import median

from tests.lab.servers import free_port

from a9fe.runtime import descriptors
from a9fe.wire.trusted import sign
from bench import nginx
from bench.observe import cpu_seconds, memory, until
from bench.service import (
    DOCUMENTS,
    PROJECT,
    SECRET,
    USER_DATA,
    Running,
    fetch,
    head,
    id_of,
    listening,
    port,
    service,
)
from bench.wrk import burst

SIZES = (1_000, 100_000)
WAITERS = 10_000
WAIT = "wait_for_change=true&timeout_sec=25"
HANGING = 100  # instances whose vendor data is requested at once

# ---- what an answer costs ------------------------------------------------------------------

SCRIPT = """
local heads = {{}}
for line in io.lines("{0}") do
  local id, address, signature = line:match("(%S+) (%S+) (%S+)")
  heads[#heads + 1] = wrk.format("GET", "{1}", {{
    ["Host"] = "x", ["X-Forwarded-For"] = address, ["X-Instance-ID"] = id,
    ["X-Tenant-ID"] = "{2}", ["X-Instance-ID-Signature"] = signature}})
end
local next = 0
request = function() next = next % #heads + 1; return heads[next] end
"""
ASKERS = 5_000  # instances that wrk requests, spread over all
CONNECTIONS = ("-t1", "-c32")


def script(path: Path, count: int, target: str) -> Path:
    """Return a wrk script with requests of many instances in turn."""
    names = path / "askers"
    step = max(1, count // ASKERS)
    lines = (
        f"{id_of(n)} {port(n).fixed_ips[0].ip_address} {sign(SECRET, id_of(n))}"
        for n in range(0, count, step)
    )
    names.write_text("\n".join(lines) + "\n")
    made = path / "ask.lua"
    made.write_text(SCRIPT.format(names, target, PROJECT))
    return made


@contextmanager
def serving(scratch: Path, body: bytes) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Run an nginx worker that serves these bytes as /file. Yields its port and pids."""
    where, at = scratch / "nginx", free_port()
    where.mkdir(mode=0o755)
    (where / "file").write_bytes(body)
    process = nginx.start(where, f"listen 127.0.0.1:{at}; root {where};")
    try:
        until(lambda: f":{at}" in listening())
        yield at, nginx.pids(process)
    finally:
        process.terminate()
        process.wait(30)


def cost(running: Running, count: int, target: str, rounds: int, seconds: int) -> list[str]:
    """Return a row: service and nginx in turns."""
    body = fetch(running.port, 0, target).partition(b"\r\n\r\n")[2]
    with (
        tempfile.TemporaryDirectory(prefix="a9fe-bench-") as name,
        serving(Path(name), body) as (peer, pids),
    ):
        Path(name).chmod(0o755)
        asking = ("-s", str(script(Path(name), count, target)))
        ours_at, theirs_at = f"http://127.0.0.1:{running.port}", f"http://127.0.0.1:{peer}/file"
        pairs = [
            (
                burst([*CONNECTIONS, *asking, ours_at], seconds, [running.pid]).total,
                burst([*CONNECTIONS, theirs_at], seconds, pids).total,
            )
            for _ in range(rounds)
        ]
    ours, theirs = (median(pair[i] for pair in pairs) for i in (0, 1))
    ratio = median(a / b for a, b in pairs)
    return [target, f"{count}", f"{ours:.0f}", f"{theirs:.0f}", f"x{ratio:.1f}"]


# ---- waiting guests ------------------------------------------------------------------------


@asynccontextmanager
async def connected(at: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", at)
    yield reader, writer
    writer.close()


async def answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Return an answer's head and body."""
    top = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", top, re.IGNORECASE)
    return top, await reader.readexactly(int(length[1]) if length else 0)


async def waits(
    at: int, number: int, begun: asyncio.Semaphore, woken: asyncio.Future[float]
) -> None:
    """Read a document, wait for its change, and return when it arrived."""
    path = "/latest/meta-data/hostname"
    async with connected(at) as (reader, writer):
        writer.write(head(number, path))
        top, old = await answer(reader)
        tag = re.search(rb'etag: ("[^"]*")', top, re.IGNORECASE)
        assert tag
        begun.release()
        body = old
        while body == old:
            writer.write(head(number, f"{path}?{WAIT}&last_etag={tag[1].decode()}"))
            top, body = await answer(reader)
        woken.set_result(time.monotonic())


async def waiting(running: Running, count: int) -> list[str]:
    """Return rows: memory and CPU of waiting guests, and the delay of a change."""
    begun, loop = asyncio.Semaphore(0), asyncio.get_running_loop()
    woken: list[asyncio.Future[float]] = [loop.create_future() for _ in range(count)]
    before = memory(running.pid)[0]
    tasks = []
    for number in range(count):
        tasks.append(asyncio.ensure_future(waits(running.port, number, begun, woken[number])))
        if number % 200 == 0:
            await asyncio.sleep(0.05)
    for _ in range(count):
        await begun.acquire()
    await asyncio.sleep(3)
    held = memory(running.pid)[0]
    used = cpu_seconds([running.pid])
    await asyncio.sleep(10)
    idle = (cpu_seconds([running.pid]) - used) / 10
    delays = []
    for number in range(0, count, max(1, count // 50)):
        sent = time.monotonic()
        running.feed.change(number)
        delays.append((await woken[number] - sent) * 1000)
    early = sum(future.done() for future in woken) - len(delays)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    delays.sort()
    return [
        f"| waiting guests, in one process | {count} |",
        f"| memory of each | {(held - before) * 1024 / count:.1f} KiB |",
        f"| CPU while nothing changes, each asking again every 25 s | {idle:.1%} of a core |",
        f"| change in the feed to its guest, median | {median(delays):.1f} ms |",
        f"| the slowest of {len(delays)} | {delays[-1]:.1f} ms |",
        f"| guests woken by a change of another instance | {early} |",
    ]


# ---- providers that hang -------------------------------------------------------------------


async def others(running: Running, seconds: float) -> list[float]:
    """Return milliseconds of answers to another instance, one after the other."""
    taken = []
    end = time.monotonic() + seconds
    async with connected(running.port) as (reader, writer):
        while time.monotonic() < end:
            sent = time.monotonic()
            writer.write(head(1, DOCUMENTS[0]))
            await answer(reader)
            taken.append((time.monotonic() - sent) * 1000)
    return sorted(taken)


async def dynamic(scratch: Path) -> list[str]:
    """Return rows: another instance's answers, without and with HANGING calls that hang."""

    async def never(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    provider = await asyncio.start_server(never, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{provider.sockets[0].getsockname()[1]}/"
    flags = (
        "--vendordata-providers=StaticJSON,DynamicJSON",
        f"--vendordata-dynamic-targets=x@{url}",
    )
    with service(HANGING + 2, scratch, *flags) as running:
        quiet = await others(running, 3)
        asking = []
        for number in range(2, HANGING + 2):
            reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
            writer.write(head(number, "/openstack/latest/vendor_data2.json"))
            asking.append((reader, writer))
        busy = await others(running, 3)
        for reader, writer in asking:
            top, _ = await answer(reader)
            assert top.startswith(b"HTTP/1.1 200"), top
            writer.close()
    provider.close()
    rows = {"without": quiet, f"with {HANGING} calls that hang": busy}
    return [
        f"| {name} | {times[len(times) // 2]:.2f} ms | {times[int(len(times) * 0.99)]:.2f} ms |"
        for name, times in rows.items()
    ]


# ---- the page ------------------------------------------------------------------------------


def page(rounds: int, seconds: int) -> list[str]:
    """Return the part's lines of RESULTS.md."""
    descriptors.raise_limit()
    costs, memories, waiters = [], [], list[str]()
    for count in SIZES:
        with tempfile.TemporaryDirectory(prefix="a9fe-bench-") as name:
            Path(name).chmod(0o755)
            with service(count, Path(name)) as running:
                print(f"bench: {count} instances", flush=True)
                memories.append(f"| {count} | {memory(running.pid)[0]:.0f} MiB |")
                costs += [cost(running, count, target, rounds, seconds) for target in DOCUMENTS]
                if count >= WAITERS:
                    waiters = asyncio.run(waiting(running, WAITERS))
    with tempfile.TemporaryDirectory(prefix="a9fe-bench-") as name:
        Path(name).chmod(0o755)
        hanging = asyncio.run(dynamic(Path(name)))
    return [
        "## The metadata service by itself",
        "",
        f"Instances with {USER_DATA} bytes of user data each ask in turn over 32 connections;",
        "nginx serves the same bytes as one file. CPU microseconds an answer.",
        "",
        "| document | instances | service | nginx | ratio |",
        "|---|---|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in costs),
        "",
        "| instances | resident memory |",
        "|---|---|",
        *memories,
        "",
        "| wait_for_change | |",
        "|---|---|",
        *waiters,
        "",
        "Answers to an instance while a provider of other instances' vendor data hangs:",
        "",
        "| | median | 99 % |",
        "|---|---|---|",
        *hanging,
    ]
