"""A second host in the sandbox: network and mount namespaces with all of a9fe's processes.

Its agents reach the first host's server through a relay on its loopback. The hosts' bridges are
not joined, so a VM reaches the agents of its own host only.
"""

import asyncio
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from a9fe.linux.kernel import libc, namespace
from tests.kit.conditions import eventually
from tests.lab.command import SYSTEM
from tests.lab.house import House
from tests.lab.places import A9FE

NAME = "node2"
PORT, SERVER_PORT = 19696, 9696  # of the relay there, of the server here
BASE = "/run/a9fe-second"
PREPARE = (
    "mount -t tmpfs -o mode=755 tmpfs /run && mkdir -p /run/netns /run/lock"
    " && mount -t sysfs sysfs /sys && ip link set lo up && echo ready && exec sleep infinity"
)


@dataclass(frozen=True, kw_only=True)
class SecondHost:
    """The host whose namespaces the process `pid` holds."""

    pid: int

    @property
    def _inside(self) -> list[str]:
        return ["nsenter", f"--target={self.pid}", "--net", "--mount", "--wd=/"]

    @property
    def _environment(self) -> dict[str, str]:
        own = {"PATH": SYSTEM, "HOME": "/root", "LC_ALL": "C.UTF-8", "COLUMNS": "200"}
        paths = {"A9FE_STATE_PATH": f"{BASE}/state", "A9FE_RUN_PATH": f"{BASE}/run"}
        return {**own, **paths, "A9FE_HOST": NAME, "A9FE_SERVER_URL": f"http://127.0.0.1:{PORT}"}

    def run(self, *argv: str) -> "subprocess.CompletedProcess[str]":
        """Run a command there, with a9fe's settings of that host."""
        return subprocess.run(
            [*self._inside, *argv],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            env=self._environment,
        )

    def output(self, *argv: str) -> str:
        """Run a command there that must succeed, and return its stdout."""
        done = self.run(*argv)
        assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
        return done.stdout

    def a9fe(self, *arguments: str) -> str:
        """Run `a9fe` there, which must succeed, and return its stdout."""
        return self.output(str(A9FE), *arguments)

    def has(self, space: str) -> bool:
        """Return whether a network namespace has this name there."""
        return space in self.output("ls", "/run/netns").split()

    def leases(self, network_id: str) -> str:
        """Return the static leases of a network's dnsmasq there."""
        return self.output("cat", f"{BASE}/state/dhcp/{network_id}/host")

    def up(self, log: str) -> "subprocess.Popen[bytes]":
        """Start `a9fe up` there; its own server has no caller."""
        with open(log, "ab") as file:
            return subprocess.Popen(
                [*self._inside, str(A9FE), "up"],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env=self._environment,
            )


@contextmanager
def second_host(house: House, log: str) -> Iterator[SecondHost]:
    """Run a second host until the block ends; its agents are alive at its beginning."""
    unshare = ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", PREPARE]
    with subprocess.Popen(unshare, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"ready\n"
            host = SecondHost(pid=holder.pid)
            with _relay(holder.pid):
                up = host.up(log)
                try:
                    eventually(lambda: _agents(house) >= {"DHCP agent", "L3 agent"}, 60, "agents")
                    yield host
                finally:
                    up.terminate()
                    up.wait(30)
                    host.run(str(A9FE), "clean")
                    for agent in house.api.list("agents", host=NAME):
                        house.api.delete("agents", agent["id"])
        finally:
            holder.kill()


def _agents(house: House) -> set[str]:
    return {a["agent_type"] for a in house.api.list("agents", host=NAME) if a["alive"]}


@contextmanager
def _relay(pid: int) -> Iterator[None]:
    """Join a port of the other host's loopback with this one's server."""

    def listening() -> socket.socket:
        fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
        libc.setns(fd, libc.CLONE_NEWNET)
        os.close(fd)
        return socket.create_server(("127.0.0.1", PORT))

    loop, sock = asyncio.new_event_loop(), namespace.in_thread(listening)

    async def joined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            server = await asyncio.open_connection("127.0.0.1", SERVER_PORT)
            await asyncio.gather(_copy(reader, server[1]), _copy(server[0], writer))

    starting = loop.create_task(asyncio.start_server(joined, sock=sock))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(lambda: (starting.result().close(), _cancel(loop)))
        thread.join()
        loop.close()


def _cancel(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    asyncio.gather(*tasks, return_exceptions=True).add_done_callback(lambda _: loop.stop())
    if not tasks:
        loop.stop()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while some := await reader.read(65536):
            writer.write(some)
            await writer.drain()
    writer.close()
