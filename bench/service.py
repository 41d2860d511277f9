"""The metadata service's process over a stand-in feed with any number of instances."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab.servers import free_port

from a9fe.model.codec import encode
from a9fe.model.resources import KIND_OF, FixedIp, Instance, Network, Port, Resource, Subnet
from a9fe.wire.trusted import sign
from bench.observe import A9FE, until

USER_DATA = 16 * 1024  # bytes
SECRET = "bench"
PROJECT = "bench"
DOCUMENTS = ("/openstack/latest/meta_data.json", "/openstack/latest/user_data")
NETWORK = Network(id="00000000-aaaa-4aaa-8aaa-000000000001")
SUBNET = Subnet(
    id="00000000-bbbb-4bbb-8bbb-000000000001", network_id=NETWORK.id, cidr="10.0.0.0/8"
)


def instance(number: int, name: str = "") -> Instance:
    """Return the instance with this number; no two have the same user data."""
    data = (b"#!/bin/sh\n# %08d\n" % number).ljust(USER_DATA, b"x")
    return Instance(
        id=id_of(number),
        name=name or f"vm{number}",
        number=number,
        project_id=PROJECT,
        user_data=data,
        metadata={"role": "bench"},
    )


def id_of(number: int) -> str:
    """Return the id of the instance with this number."""
    return f"{number:08x}-cccc-4ccc-8ccc-000000000001"


def port(number: int) -> Port:
    """Return the port of the instance with this number."""
    address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    return Port(
        id=f"{number:08x}-dddd-4ddd-8ddd-000000000001",
        network_id=NETWORK.id,
        mac_address="fa:16:3e:" + (number & 0xFFFFFF).to_bytes(3, "big").hex(":"),
        project_id=PROJECT,
        device_id=id_of(number),
        device_owner="compute:nova",
        fixed_ips=(FixedIp(subnet_id=SUBNET.id, ip_address=address),),
    )


def upsert(of: Resource, revision: int) -> bytes:
    """Return a line of the feed."""
    line = {"event": "upsert", "revision": revision, "kind": KIND_OF[type(of)]}
    return json.dumps({**line, "object": encode(of)}).encode() + b"\n"


class FeedServer:
    """A server's feed of `count` instances, for one follower; `change` renames some."""

    def __init__(self, count: int) -> None:
        """Serve in a thread with its own event loop."""
        self.count = count
        self.revision = 1
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._writer: asyncio.StreamWriter | None = None
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._up.wait()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._up.set()
        self._loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"/feed" not in head.split(b"\r\n")[0]:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
            writer.close()
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n")
        for line in self._snapshot():
            writer.write(line)
            await writer.drain()
        self._writer = writer
        while True:
            await asyncio.sleep(5)
            writer.write(self._event("heartbeat"))

    def _snapshot(self) -> Iterator[bytes]:
        yield self._event("snapshot")
        yield upsert(NETWORK, 1)
        yield upsert(SUBNET, 1)
        for number in range(self.count):
            yield upsert(port(number), 1)
            yield upsert(instance(number), 1)
        yield self._event("synced")

    def _event(self, name: str) -> bytes:
        return json.dumps({"event": name, "revision": self.revision}).encode() + b"\n"

    def change(self, *numbers: int) -> None:
        """Rename instances now."""
        self.revision += 1
        named = f"renamed{self.revision}"
        lines = b"".join(upsert(instance(n, named), self.revision) for n in numbers)
        assert self._writer is not None
        self._loop.call_soon_threadsafe(self._writer.write, lines)

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join()

    def _end(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.call_soon(self._loop.stop)


@dataclass(frozen=True, slots=True)
class Running:
    """A running service: where it listens, and its process."""

    feed: FeedServer
    port: int
    pid: int


@contextmanager
def service(count: int, scratch: Path, *options: str) -> Iterator[Running]:
    """Run the service until the end of the block; it is complete from the start."""
    feed, at = FeedServer(count), free_port()
    arguments = [
        *(A9FE, "metadata-service", f"--server-url=http://127.0.0.1:{feed.port}"),
        *(f"--state-path={scratch}/state", f"--run-path={scratch}/run"),
        *(f"--metadata-listen-port={at}", *options),
    ]
    environ = {**os.environ, "A9FE_METADATA_PROXY_SHARED_SECRET": SECRET}
    (scratch / "run").mkdir(mode=0o755)
    process = subprocess.Popen(arguments, stderr=subprocess.DEVNULL, env=environ)
    try:
        until(lambda: f":{at}" in listening(), 60)
        until(lambda: fetch(at, count - 1).startswith(b"HTTP/1.1 200"), 900)
        yield Running(feed, at, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        feed.close()


def listening() -> str:
    """Return what `ss` shows."""
    return subprocess.run(["ss", "-Hltn"], capture_output=True, text=True, check=True).stdout


def head(number: int, target: str) -> bytes:
    """Return a request as the metadata agent sends it."""
    address = port(number).fixed_ips[0].ip_address
    return (
        f"GET {target} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {address}\r\n"
        f"X-Instance-ID: {id_of(number)}\r\nX-Tenant-ID: {PROJECT}\r\n"
        f"X-Instance-ID-Signature: {sign(SECRET, id_of(number))}\r\n\r\n"
    ).encode()


def fetch(at: int, number: int, target: str = DOCUMENTS[0]) -> bytes:
    """Return a whole answer, on a connection of its own."""
    with socket.create_connection(("127.0.0.1", at), timeout=60) as sock:
        sock.sendall(head(number, target).replace(b"Host: x", b"Host: x\r\nConnection: close"))
        parts = []
        while part := sock.recv(65536):
            parts.append(part)
    return b"".join(parts)
