"""Packets with sockets (SCM_RIGHTS) over a SEQPACKET Unix socket: both ends of the hand-over."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress

from a9fe.model.errors import A9feError
from a9fe.wire.handover import (
    PACKET_BYTES,
    BadPacket,
    Held,
    Hello,
    Kept,
    Reply,
    Request,
    Take,
    decode_reply,
    encode,
)
from a9fe.wire.message import IdleConnection, Listener

ANSWER_TIMEOUT = 5.0  # s: the receiver answers within one turn of its event loop
SOCKETS_PER_PACKET = 253  # the kernel's limit (SCM_MAX_FD)
TRUNCATED = socket.MSG_TRUNC | socket.MSG_CTRUNC


class Broken(A9feError):
    """The connection cannot be used any more."""


class Ended(Broken):
    """The other side has closed the connection."""


class Channel:
    """One connection, used inside an event loop. Its methods raise OSError or Broken."""

    def __init__(self, sock: socket.socket) -> None:
        """Take over a connected socket."""
        sock.settimeout(0)
        self.sock = sock

    @classmethod
    def connect(cls, path: str) -> "Channel":
        """Connect to a control socket. Raises OSError."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            sock.settimeout(0)
            sock.connect(path)
        except OSError:
            sock.close()
            raise
        return cls(sock)

    def __enter__(self) -> "Channel":
        """Return itself; the block's end closes it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.sock.close()

    def hang_up(self) -> None:
        """Have `receive` raise Ended, here and at the other side."""
        with suppress(OSError):  # it has ended already
            self.sock.shutdown(socket.SHUT_RDWR)

    async def send(self, packet: Request | Reply, sockets: Sequence[socket.socket] = ()) -> None:
        """Send a packet, with copies of the sockets."""
        data = encode(packet)
        fds = [each.fileno() for each in sockets]
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack(f"{len(fds)}i", *fds))]
        while True:
            try:
                self.sock.sendmsg([data], rights if fds else [])
            except BlockingIOError:
                await writable(self.sock)
            else:
                return

    async def receive(self) -> tuple[bytes, list[socket.socket]]:
        """Return the next packet's bytes and sockets, which become the caller's."""
        while True:
            try:
                data, fds, flags, _ = socket.recv_fds(
                    self.sock, PACKET_BYTES, SOCKETS_PER_PACKET, socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                await readable(self.sock)
            else:
                break
        sockets = [socket.socket(fileno=fd) for fd in fds]
        if data and not flags & TRUNCATED:
            return data, sockets
        close_all(sockets)
        if data:
            raise Broken("packet too long, or with more sockets than can be received")
        raise Ended("the other side has closed the connection")

    async def ask(self, request: Request, sockets: Sequence[socket.socket] = ()) -> Reply:
        """Send a request and return its answer. Raises TimeoutError too."""
        await self.send(request, sockets)
        reply, unexpected = await self._reply()
        close_all(unexpected)
        return reply

    async def hello(self, owner: str) -> list[tuple[Listener, socket.socket]]:
        """Send Hello and return the listeners that are held for the owner.

        Raises Broken if one of them is not understood; TimeoutError too.
        """
        await self.send(Hello(owner=owner))
        found: list[tuple[Listener, socket.socket]] = []
        last = False
        try:
            while not last:
                pairs, last = await self._held()
                found += pairs
        except BaseException:
            close_all([sock for _, sock in found])
            raise
        return found

    async def take(self) -> AsyncIterator[tuple[IdleConnection, socket.socket]]:
        """Send Take and yield the idle connections that are held. Raises Broken, TimeoutError."""
        await self.send(Take())
        last = False
        while not last:
            reply, sockets = await self._reply()
            if not (isinstance(reply, Kept) and len(reply.connections) == len(sockets)):
                close_all(sockets)
                raise Broken(f"take was answered by {reply} with {len(sockets)} sockets")
            last = reply.last
            for pair in zip(reply.connections, sockets, strict=True):
                yield pair

    async def _held(self) -> tuple[list[tuple[Listener, socket.socket]], bool]:
        reply, sockets = await self._reply()
        if isinstance(reply, Held) and len(reply.listeners) == len(sockets):
            return list(zip(reply.listeners, sockets, strict=True)), reply.last
        close_all(sockets)
        raise Broken(f"hello was answered by {reply} with {len(sockets)} sockets")

    async def _reply(self) -> tuple[Reply, list[socket.socket]]:
        async with asyncio.timeout(ANSWER_TIMEOUT):
            data, sockets = await self.receive()
        try:
            return decode_reply(data), sockets
        except (BadPacket, ValueError) as error:
            close_all(sockets)
            raise Broken(str(error)) from error

    async def idle(self, wake: asyncio.Event) -> None:
        """Wait for `wake`. Raises Ended if the connection ends: nothing else is received here."""
        loop = asyncio.get_running_loop()
        ended = False

        def received() -> None:
            nonlocal ended
            ended = True
            wake.set()

        loop.add_reader(self.sock, received)
        try:
            await wake.wait()
        finally:
            loop.remove_reader(self.sock)
        if ended:
            raise Ended("the other side has closed the connection")


def close_all(sockets: Sequence[socket.socket]) -> None:
    """Close all of them."""
    for sock in sockets:
        sock.close()


async def readable(sock: socket.socket) -> None:
    """Wait until a non-blocking socket can be read, or accepts a connection."""
    loop = asyncio.get_running_loop()
    await _ready(loop.add_reader, loop.remove_reader, sock)


async def writable(sock: socket.socket) -> None:
    """Wait until a non-blocking socket can be written."""
    loop = asyncio.get_running_loop()
    await _ready(loop.add_writer, loop.remove_writer, sock)


async def _ready(
    add: Callable[[socket.socket, Callable[[], object]], object],
    remove: Callable[[socket.socket], object],
    sock: socket.socket,
) -> None:
    ready = asyncio.Event()
    add(sock, ready.set)
    try:
        await ready.wait()
    finally:
        remove(sock)
