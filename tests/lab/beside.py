"""An HTTP server on a listening socket, in a thread of the test."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from a9fe.http.server.server import serve
from a9fe.wire.message import Handler


@contextmanager
def serving_beside(handler: Handler, sock: socket.socket, **options: Any) -> Iterator[None]:
    """Serve in a thread with its own event loop until the block ends; `options` go to `serve`."""
    loop, ended = asyncio.new_event_loop(), asyncio.Event()

    async def serving() -> None:
        server = await serve(handler, sock=sock, **options)
        await ended.wait()
        await server.close(0.0)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serving()))
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()
