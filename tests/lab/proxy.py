"""The metadata proxy's control socket in this process, and a host agent's link to it."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from a9fe.http.server.server import Server
from a9fe.http.server.sockets import unix_listener
from a9fe.linux.listeners.proxy_link import ProxyLink
from a9fe.metadata_proxy.control import Control
from a9fe.metadata_proxy.listeners import HeldListeners
from a9fe.wire.handover import PROXY_SOCKET
from a9fe.wire.message import Answer, Handler, Request
from tests.kit.conditions import eventually


def _ok(_: Request) -> Answer:
    return Answer(status=200)


@contextmanager
def proxy_link(
    directory: Path, owner: str = "l3_agent", handler: Handler = _ok
) -> Iterator[ProxyLink]:
    """Run both ends of the hand-over in one event loop, in a thread."""
    path = str(directory / PROXY_SOCKET)
    link = ProxyLink(path, owner, backlog=64)
    stopped = threading.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        server = Server(handler)
        held = HeldListeners(server)
        control = Control(unix_listener(path, kind=socket.SOCK_SEQPACKET), held, None)
        try:
            await asyncio.gather(control.run(), link.run())
        finally:
            held.close()
            await server.close(0.1)
            stopped.set()

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    running = asyncio.run_coroutine_threadsafe(serve(), loop)
    try:
        eventually(lambda: link.connected, what="the link to the proxy")
        yield link
    finally:
        running.cancel()
        assert stopped.wait(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        for kept in link._held.values():
            kept.sock.close()
