"""The change feed: N agents on one server, W writes a second; delay to the agent, and memory.

Each agent is a host with one port; a write renames one of them. The time is from the sending of
the write to the line on the agent's stream, clients included, which share the machine.
`python -m bench.feed --streams 1000 --writes 200 --seconds 20`
"""

import argparse
import asyncio
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

WRITERS = 16
READY_WITHIN = 30.0  # s


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.feed", description=__doc__)
    parser.add_argument("--streams", type=int, default=1000, help="agents [1000]")
    parser.add_argument("--writes", type=int, default=200, help="a second [200]")
    parser.add_argument("--seconds", type=int, default=20, help="of writing [20]")
    parser.add_argument("--directory", help="for the database; /dev/shm leaves the disk out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="a9fe-bench-", dir=options.directory) as name:
        Path(name).chmod(0o755)
        print(measured(options, name))


def measured(options: argparse.Namespace, directory: str) -> str:
    """A line of figures, from a server of its own."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    arguments = [f"--state-path={directory}/state", f"--run-path={directory}/run"]
    server = subprocess.Popen(
        [sys.executable, "-m", "a9fe", "server", *arguments, f"--bind-port={port}"],
        stderr=subprocess.DEVNULL,
        env={**os.environ, "A9FE_QUOTA_NETWORK": "-1", "A9FE_QUOTA_PORT": "-1"},
    )
    try:
        return asyncio.run(story(options, port, server.pid))
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


async def story(options: argparse.Namespace, port: int, pid: int) -> str:
    """Fill, follow, write; then what was seen."""
    url = f"http://127.0.0.1:{port}"
    limits = httpx.Limits(max_connections=WRITERS)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits, trust_env=False) as api:
        await ready(api)
        ports = await fill(api, options.streams)
        before = memory(pid)
        seen: dict[str, float] = {}
        synced = asyncio.Semaphore(0)
        following = [
            asyncio.ensure_future(follow(port, f"h{number}", seen, synced))
            for number in range(options.streams)
        ]
        for _ in following:
            await synced.acquire()
        idle = memory(pid)
        began = time.monotonic()
        cpu = seconds_of(pid)
        sent = await write(port, ports, options)
        lasted = time.monotonic() - began
        await settled(seen, sent)
        used = (seconds_of(pid) - cpu) / len(sent)
        busy = memory(pid)
        for task in following:
            task.cancel()
    delays = sorted(seen[name] - at for name, at in sent.items() if name in seen)
    return (
        f"streams {options.streams}, writes {len(sent)} ({len(sent) / lasted:.0f}/s), "
        f"{len(sent) - len(delays)} overtaken by the next of the same port; "
        f"change to agent p50 {at(delays, 0.5):.1f} ms, "
        f"p99 {at(delays, 0.99):.1f} ms; server {before:.0f} MB before, "
        f"{(idle - before) * 1024 / options.streams:.1f} KB a stream, {busy:.0f} MB after; "
        f"server CPU {used * 1000:.2f} ms a write"
    )


def at(delays: list[float], part: float) -> float:
    """A quantile, in ms."""
    return delays[min(int(len(delays) * part), len(delays) - 1)] * 1000 if delays else 0.0


async def ready(api: httpx.AsyncClient) -> None:
    """Wait for the server."""
    async with asyncio.timeout(READY_WITHIN):
        while True:
            try:
                await api.get("/")
            except httpx.HTTPError:
                await asyncio.sleep(0.1)
            else:
                return


async def fill(api: httpx.AsyncClient, count: int) -> list[str]:
    """Ports on as many hosts, ten to a network."""
    made: list[str] = []
    for first in range(0, count, 10):
        answer = await api.post("/v2.0/networks", json={"network": {"name": str(first)}})
        network_id = answer.json()["network"]["id"]
        ports = [
            {"network_id": network_id, "binding:host_id": f"h{number}"}
            for number in range(first, min(first + 10, count))
        ]
        answer = await api.post("/v2.0/ports", json={"ports": ports})
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
    """Of a host's stream; a bare socket, as a client for each would be the larger part."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    writer.write(f"GET /a9fe/v1/feed?host={host}&agent=dhcp HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    while line := await reader.readline():
        if line.startswith(b"{"):
            yield line


async def write(port: int, ports: list[str], options: argparse.Namespace) -> dict[str, float]:
    """Rename ports at the rate asked for; when each name was sent."""
    due: asyncio.Queue[str | None] = asyncio.Queue(WRITERS)
    sent: dict[str, float] = {}
    writers = [asyncio.ensure_future(rename(port, ports, due, sent)) for _ in range(WRITERS)]
    began = time.monotonic()
    for number in range(options.writes * options.seconds):
        await asyncio.sleep(max(0.0, began + number / options.writes - time.monotonic()))
        await due.put(f"w{number}")
    for _ in writers:
        await due.put(None)
    await asyncio.gather(*writers)
    return sent


async def rename(
    port: int, ports: list[str], due: asyncio.Queue[str | None], sent: dict[str, float]
) -> None:
    """One connection that writes; bare, as a client library costs more than the server."""
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
    """Resident, in MB."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


def seconds_of(pid: int) -> float:
    """CPU time, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
