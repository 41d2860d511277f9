"""The transport of accepted connections, over socket pairs."""

import asyncio
import errno
import socket
from collections.abc import Callable

import pytest

from a9fe.http.server.listening import Listening
from a9fe.http.server.poller import Poller
from a9fe.http.server.transport import Transport
from tests.kit.http_world import LOOPS, run, turns, until

LARGE = bytes(range(256)) * 8192  # 2 MiB, more than the kernel buffers


class Events(asyncio.Protocol):
    """Notes what the transport tells."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.received = b""
        self.keeps = False

    def data_received(self, data: bytes) -> None:
        self.received += data

    def eof_received(self) -> bool:
        self.told.append("eof")
        return self.keeps

    def pause_writing(self) -> None:
        self.told.append("blocked")

    def resume_writing(self) -> None:
        self.told.append("unblocked")

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append("lost")


def connected() -> tuple[Transport, Events, socket.socket]:
    """Return a transport, what it tells, and its client."""
    ours, client = socket.socketpair()
    client.settimeout(0)
    events = Events()
    transport = Transport(ours, Poller(asyncio.get_running_loop()), events)
    transport.start()
    return transport, events, client


async def all_of(client: socket.socket) -> bytes:
    """Read until the end."""
    parts = []
    while part := await asyncio.get_running_loop().sock_recv(client, 1 << 16):
        parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("loop", LOOPS)
def test_unsent_bytes_block_and_are_sent_in_order_before_the_close(loop: str):
    async def main() -> None:
        transport, events, client = connected()
        transport.write(LARGE)
        transport.write(b"end")
        assert events.told == ["blocked"]
        assert transport.get_write_buffer_size() > 0
        transport.close()
        assert not transport.is_reading()
        assert await all_of(client) == LARGE + b"end"
        await until(lambda: events.told[-1] == "lost")
        client.close()

    run(main, loop)


def test_what_blocked_is_told_when_all_is_sent():
    async def main() -> None:
        transport, events, client = connected()
        transport.write(LARGE)
        transport.write_eof()
        assert await all_of(client) == LARGE
        await until(lambda: events.told == ["blocked", "unblocked"])
        transport.abort()
        assert events.told[-1] == "lost"
        client.close()

    run(main)


def test_reading_pauses_and_a_lost_client_is_noticed_meanwhile():
    async def main() -> None:
        transport, events, client = connected()
        transport.pause_reading()
        client.send(b"a")
        await turns()
        assert events.received == b""
        transport.resume_reading()
        await until(lambda: events.received == b"a")
        transport.pause_reading()
        client.close()
        await until(lambda: events.told == ["lost"])

    run(main)


@pytest.mark.parametrize("after_it", ["open", "closed"])
def test_after_the_clients_end_the_protocol_decides(after_it: str):
    keeps = after_it == "open"

    async def main() -> None:
        transport, events, client = connected()
        events.keeps = keeps
        client.send(b"last")
        client.shutdown(socket.SHUT_WR)
        await until(lambda: "eof" in events.told)
        transport.resume_reading()  # has no effect any more
        transport.write(b"answer")
        await turns()
        assert events.received == b"last"
        assert events.told == (["eof"] if keeps else ["eof", "lost"])
        transport.close()
        assert await all_of(client) == (b"answer" if keeps else b"")
        client.close()

    run(main)


class Exhausted(socket.socket):
    """A listening socket for whose connections no descriptor is left."""

    tries = 0

    def accept(self) -> tuple[socket.socket, object]:
        self.tries += 1
        raise OSError(errno.EMFILE, "Too many open files")


class Timers(Poller):
    """Keeps what is due later."""

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        self.due = call


def test_without_descriptors_accepting_pauses_and_goes_on_later():
    async def main() -> None:
        sock = Exhausted()
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        poller = Timers(asyncio.get_running_loop())
        listening = Listening(sock, None, poller, lambda *_: None)
        with socket.create_connection(sock.getsockname()):
            await until(lambda: sock.tries == 1)
            await turns()
            assert sock.tries == 1
            poller.due()
            await until(lambda: sock.tries == 2)
        listening.close()
        poller.due()  # no effect on a closed one
        poller.close()

    run(main)
