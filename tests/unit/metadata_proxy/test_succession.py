"""Idle connections go from a proxy to its successor by way of the listener holder."""

import asyncio
import contextlib
import socket
from contextlib import asynccontextmanager

from a9fe.http.server.sockets import unix_listener
from a9fe.linux.listeners.succession import hand_on, taken_over
from a9fe.metadata_proxy.control import Control
from a9fe.metadata_proxy.kept_connections import KeptConnections
from a9fe.metadata_proxy.listeners import HeldListeners
from a9fe.wire.handover import CONNECTIONS_PER_PACKET
from a9fe.wire.message import IdleConnection
from tests.kit.http_world import NETWORK, run, until


@asynccontextmanager
async def holder(path: str, kept: KeptConnections | None):
    control = Control(
        unix_listener(path, kind=socket.SOCK_SEQPACKET), HeldListeners(None), kept=kept
    )
    running = asyncio.ensure_future(control.run())
    try:
        yield
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        if kept is not None:
            kept.close()


def connection(number: int) -> tuple[IdleConnection, socket.socket, socket.socket]:
    ours, guests = socket.socketpair()
    return IdleConnection(listener=NETWORK, owner=str(number)), ours, guests


def test_many_connections_are_kept_once_and_given_back_once(tmp_path):
    path, count = str(tmp_path / "holder"), 2 * CONNECTIONS_PER_PACKET + 1

    async def main():
        async with holder(path, KeptConnections()):
            made = [connection(number) for number in range(count)]
            assert await hand_on(path, [(idle, ours) for idle, ours, _ in made])
            for _, ours, guests in made:
                ours.close()
                guests.sendall(b"meanwhile")
            back = await taken_over(path)
            assert [idle for idle, _ in back] == [idle for idle, _, _ in made]
            assert await taken_over(path) == []
            for (_, sock), (_, _, guests) in zip(back, made, strict=True):
                assert sock.recv(16) == b"meanwhile"
                sock.close()
                guests.close()

    run(main)


def test_connections_that_no_proxy_takes_are_closed(tmp_path):
    path = str(tmp_path / "holder")

    async def main():
        kept = KeptConnections(within=0.05, most=2)
        async with holder(path, kept):
            made = [connection(number) for number in range(3)]
            assert await hand_on(path, [(idle, ours) for idle, ours, _ in made])
            assert len(kept) == 2
            for _, ours, _ in made:
                ours.close()
            await until(lambda: not len(kept))
            for _, _, guests in made:
                assert guests.recv(1) == b""
                guests.close()

    run(main)


def test_without_a_holder_or_with_an_older_one_nothing_is_handed_on(tmp_path):
    async def main():
        path = str(tmp_path / "holder")
        for serving in (contextlib.nullcontext(), holder(path, kept=None)):
            async with serving:
                idle, ours, guests = connection(1)
                assert not await hand_on(path, [(idle, ours)])
                assert await taken_over(path) == []
                ours.close()
                guests.close()

    run(main)
