"""The change feed: N agents on one server, W writes a second; delay to the agent, and memory.

Each agent is a host with one port; a write renames one of them. The time is from sending the
write to its line on the agent's stream; the clients run on the same machine.
`python -m bench.feed --streams 1000 --writes 200 --seconds 20`
"""

import argparse
import asyncio
import json
import os
import random
import re
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
from tests.lab.servers import RunningServer, running_server

WRITERS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The load on the server."""

    streams: int = 1000
    writes: int = 200
    seconds: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The results: delays in ms, memory in MB, the server's CPU in ms a write."""

    rate: float
    delays: list[float]
    overtaken: int
    before: float
    idle: float
    busy: float
    cpu: float

    def a_stream(self, load: Load) -> float:
        """Return KB of memory a stream."""
        return (self.idle - self.before) * 1024 / load.streams


LOAD = Load()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.feed", description=__doc__)
    parser.add_argument("--streams", type=int, default=LOAD.streams, help="agents [1000]")
    parser.add_argument("--writes", type=int, default=LOAD.writes, help="a second [200]")
    parser.add_argument("--seconds", type=int, default=LOAD.seconds, help="of writing [20]")
    parser.add_argument("--directory", help="for the database; /dev/shm leaves the disk out")
    given = parser.parse_args()
    load = Load(streams=given.streams, writes=given.writes, seconds=given.seconds)
    print(text_of(load, measured(load, given.directory)))


def text_of(load: Load, seen: Figures) -> str:
    """Return the results as text."""
    return (
        f"streams {load.streams}, {seen.rate:.0f} writes/s, "
        f"{seen.overtaken} overtaken by the next of the same port; "
        f"change to agent p50 {at(seen.delays, 0.5):.1f} ms, p99 {at(seen.delays, 0.99):.1f} ms; "
        f"server {seen.before:.0f} MB before, {seen.a_stream(load):.1f} KB a stream, "
        f"{seen.busy:.0f} MB after; server CPU {seen.cpu:.2f} ms a write"
    )


def measured(load: Load, directory: str | None = None, database: str = "") -> Figures:
    """Measure a server of its own; without `database`, on SQLite in `directory`."""
    with tempfile.TemporaryDirectory(prefix="a9fe-bench-", dir=directory) as name:
        scratch = Path(name)
        scratch.chmod(0o755)
        with running_server(scratch, database, quota_network="-1", quota_port="-1") as server:
            return asyncio.run(story(load, server))


async def story(load: Load, server: RunningServer) -> Figures:
    """Fill the store, follow, write, and return the results."""
    pid, port = server.process.pid, httpx.URL(server.url).port or 0
    ports = await asyncio.to_thread(fill, server, load.streams)
    before = memory(pid)
    seen: dict[str, float] = {}
    synced = asyncio.Semaphore(0)
    following = [
        asyncio.ensure_future(follow(port, f"h{number}", seen, synced))
        for number in range(load.streams)
    ]
    for _ in following:
        await synced.acquire()
    idle = memory(pid)
    began = time.monotonic()
    cpu = seconds_of(pid)
    sent = await write(port, ports, load)
    lasted = time.monotonic() - began
    await settled(seen, sent)
    used = seconds_of(pid) - cpu
    busy = memory(pid)
    for task in following:
        task.cancel()
    delays = sorted(seen[name] - at for name, at in sent.items() if name in seen)
    return Figures(
        rate=len(sent) / lasted,
        delays=delays,
        overtaken=len(sent) - len(delays),
        before=before,
        idle=idle,
        busy=busy,
        cpu=used / len(sent) * 1000,
    )


def at(delays: list[float], part: float) -> float:
    """Return a quantile, in ms."""
    return delays[min(int(len(delays) * part), len(delays) - 1)] * 1000 if delays else 0.0


def fill(server: RunningServer, count: int) -> list[str]:
    """Create ports on as many hosts, ten to a network."""
    made: list[str] = []
    for first in range(0, count, 10):
        network_id = server.create("network", name=str(first))["id"]
        ports = [
            {"network_id": network_id, "binding:host_id": f"h{number}"}
            for number in range(first, min(first + 10, count))
        ]
        answer = server.api.post("/v2.0/ports", json={"ports": ports})
        made += [port["id"] for port in answer.json()["ports"]]
    return made


async def follow(port: int, host: str, seen: dict[str, float], synced: asyncio.Semaphore) -> None:
    """Note when each name arrives."""
    async for line in lines(port, host):
        if b'"synced"' in line:
            synced.release()
        elif b'"name": "w' in line:
            seen[json.loads(line)["object"]["name"]] = time.monotonic()


async def lines(port: int, host: str) -> AsyncIterator[bytes]:
    """Yield the lines of a host's stream. A bare socket, as HTTP clients would cost more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    writer.write(f"GET /a9fe/v1/feed?host={host}&agent=dhcp HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    while line := await reader.readline():
        if line.startswith(b"{"):
            yield line


async def write(port: int, ports: list[str], load: Load) -> dict[str, float]:
    """Rename ports at the given rate. Return when each name was sent."""
    due: asyncio.Queue[str | None] = asyncio.Queue(WRITERS)
    sent: dict[str, float] = {}
    writers = [asyncio.ensure_future(rename(port, ports, due, sent)) for _ in range(WRITERS)]
    began = time.monotonic()
    for number in range(load.writes * load.seconds):
        await asyncio.sleep(max(0.0, began + number / load.writes - time.monotonic()))
        await due.put(f"w{number}")
    for _ in writers:
        await due.put(None)
    await asyncio.gather(*writers)
    return sent


async def rename(
    port: int, ports: list[str], due: asyncio.Queue[str | None], sent: dict[str, float]
) -> None:
    """Write on one connection; bare, as an HTTP client costs more than the server."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while name := await due.get():
        body = json.dumps({"port": {"name": name}})
        path = f"/v2.0/ports/{random.choice(ports)}"
        sent[name] = time.monotonic()
        head = f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write((head + body).encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in answer:
            raise SystemExit(f"bench.feed: {answer.decode()}")
        length = re.search(rb"(?i)content-length: (\d+)", answer)
        await reader.readexactly(int(length[1]) if length else 0)
    writer.close()


async def settled(seen: dict[str, float], sent: dict[str, float]) -> None:
    """Wait until nothing more arrives."""
    known = -1
    while known != len(seen) and len(seen) < len(sent):
        known = len(seen)
        await asyncio.sleep(1)


def memory(pid: int) -> float:
    """Return the resident memory, in MB."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


def seconds_of(pid: int) -> float:
    """Return the CPU time, user and system, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
