"""A SEQPACKET Unix socket as a client has it: JSON messages, with sockets by SCM_RIGHTS."""

import asyncio
import json
import socket
import struct

from a9fe.model.errors import A9feError

ANSWER_TIMEOUT = 5.0  # s: the other side answers within one turn of its event loop
MESSAGE_SIZE = 1 << 16
MESSAGE_SOCKETS = 253  # the kernel's limit (SCM_MAX_FD)

Message = dict[str, object]


class Broken(A9feError):
    """The connection is of no use any more."""


class Channel:
    """One connection: messages out and in, in order. Errors: OSError, TimeoutError, Broken."""

    def __init__(self, path: str) -> None:
        """Connected by entering it."""
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._sock.settimeout(0)
        self._path = path

    def __enter__(self) -> "Channel":
        """Connect."""
        try:
            self._sock.connect(self._path)
        except OSError:
            self._sock.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self._sock.close()

    async def send(self, message: Message, sock: socket.socket | None = None) -> None:
        """Send a message, with a copy of a socket."""
        fds = [] if sock is None else [sock.fileno()]
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack(f"{len(fds)}i", *fds))]
        data = json.dumps(message).encode()
        while True:
            try:
                self._sock.sendmsg([data], rights if fds else [])
            except BlockingIOError:
                await self._ready(for_writing=True)
            else:
                return

    async def receive(self) -> tuple[Message, list[socket.socket]]:
        """The next message and the sockets that came with it."""
        async with asyncio.timeout(ANSWER_TIMEOUT):
            while True:
                try:
                    data, fds, _, _ = socket.recv_fds(
                        self._sock, MESSAGE_SIZE, MESSAGE_SOCKETS, socket.MSG_CMSG_CLOEXEC
                    )
                except BlockingIOError:
                    await self._ready(for_writing=False)
                    continue
                sockets = [socket.socket(fileno=fd) for fd in fds]
                return _decoded(data), sockets

    async def ask(self, message: Message, sock: socket.socket | None = None) -> Message:
        """Send a message; its answer."""
        await self.send(message, sock)
        answer, _ = await self.receive()
        return answer

    async def idle(self, wake: asyncio.Event) -> None:
        """Wait for `wake`. The other side says nothing by itself, so any news is its end."""
        loop = asyncio.get_running_loop()
        ended = False

        def readable() -> None:
            nonlocal ended
            ended = True
            wake.set()

        loop.add_reader(self._sock, readable)
        try:
            await wake.wait()
        finally:
            loop.remove_reader(self._sock)
        if ended:
            raise Broken("the other side has closed the connection")

    async def _ready(self, *, for_writing: bool) -> None:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        add, remove = (
            (loop.add_writer, loop.remove_writer)
            if for_writing
            else (loop.add_reader, loop.remove_reader)
        )
        add(self._sock, ready.set)
        try:
            await ready.wait()
        finally:
            remove(self._sock)


def _decoded(data: bytes) -> Message:
    if not data:
        raise Broken("the other side has closed the connection")
    message = json.loads(data)
    if not isinstance(message, dict):
        raise Broken("the message is not an object")
    return message
