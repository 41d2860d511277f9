"""Channels of the hand-over: what a receiver sends wrong closes every socket that came with it."""

import asyncio
import contextlib
import json
import os
import socket

import pytest

from a9fe.http.server.sockets import unix_listener
from a9fe.linux.listeners.holder_link import HolderLink
from a9fe.linux.listeners.proxy_link import ProxyLink
from a9fe.linux.listeners.seqpacket import Broken, Channel, Ended
from a9fe.wire.handover import Clear, Hello, Request, decode_request
from tests.kit.http_world import run, until

GOOD = {"kind": "network", "id": "n", "namespace": "s", "address": "::", "port": 80}
ANSWERS = {
    "an unknown field": (json.dumps({"op": "held", "listeners": [GOOD | {"x": 1}]}).encode(), 1),
    "a socket too few": (json.dumps({"op": "held", "listeners": [GOOD, GOOD]}).encode(), 1),
    "another reply": (b'{"op": "ok"}', 1),
    "no JSON": (b"held", 1),
    "too long": (b"{" + b" " * 70_000 + b"}", 1),
    "bad after good": (b'{"op": "ok"}', 0),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_a_hello_that_is_answered_wrongly_leaves_no_socket_open(case):
    data, count = ANSWERS[case]

    async def main():
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, Channel(ours) as channel:
            if case == "bad after good":
                first = json.dumps({"op": "held", "listeners": [GOOD], "last": False}).encode()
                socket.send_fds(theirs, [first], [theirs.fileno()])
            socket.send_fds(theirs, [data], [theirs.fileno()] * count)
            with pytest.raises(Broken):
                await channel.hello("l3_agent")

    run(main)  # the event loop's own descriptors are opened once
    before = len(os.listdir("/proc/self/fd"))
    run(main)
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_end_of_the_connection_is_told_from_a_bad_packet():
    async def main():
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        theirs.close()
        with Channel(ours) as channel, pytest.raises(Ended):
            await channel.receive()

    run(main)


async def old_holder(listening: socket.socket, asked: list[Request]) -> None:
    """Give back a listener that is not understood, until it is cleared."""
    while True:
        sock, _ = await asyncio.get_running_loop().sock_accept(listening)
        with Channel(sock) as channel, contextlib.suppress(Ended):
            while True:
                data, _ = await channel.receive()
                cleared = Clear() in asked
                asked.append(decode_request(data))
                listeners = [] if cleared else [GOOD | {"x": 1}]
                held = {"op": "held", "listeners": listeners, "last": True}
                is_hello = isinstance(asked[-1], Hello)
                sock.send(json.dumps(held if is_hello else {"op": "ok"}).encode())


def test_a_holder_that_gives_back_unknown_listeners_is_cleared_and_asked_again(tmp_path):
    path = str(tmp_path / "holder")
    asked: list[Request] = []

    async def main():
        with unix_listener(path, kind=socket.SOCK_SEQPACKET) as listening:
            listening.settimeout(0)
            link = HolderLink(path, "l3_agent", ProxyLink(str(tmp_path / "none"), "l3_agent"))
            work = (old_holder(listening, asked), link.run())
            running = [asyncio.ensure_future(each) for each in work]
            await until(lambda: len(asked) == 3)
            for task in running:
                task.cancel()
            await asyncio.wait(running)

    run(main)
    hello = Hello(owner="l3_agent")
    assert asked == [hello, Clear(), hello]
