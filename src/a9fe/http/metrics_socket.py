"""`GET /metrics` of a process, on a Unix socket of its own."""

import asyncio
import os
import socket

from a9fe.http.server.server import Server, serve
from a9fe.http.server.sockets import unix_listener
from a9fe.runtime import metrics
from a9fe.wire.message import Answer, Request
from a9fe.wire.refusals import Refusal, refuse


def metrics_path(run_path: str, process: str) -> str:
    """Return the path of a process's metrics socket."""
    return os.path.join(run_path, f"{process}.metrics.sock")


def exposition(request: Request) -> Answer:
    """Answer with the metrics as Prometheus text."""
    if request.target != b"/metrics":
        return refuse(Refusal.NO_SUCH_PATH)
    kind = (b"content-type", metrics.CONTENT_TYPE.encode())
    return Answer(status=200, headers=(kind,), body=metrics.exposition())


async def expose(path: str) -> None:
    """Serve the metrics on a Unix socket at `path`, for our user, until cancelled."""
    server = await serve_metrics(unix_listener(path))
    try:
        await asyncio.Event().wait()
    finally:
        await server.close()


async def serve_metrics(sock: socket.socket) -> Server:
    """Serve the metrics on a listening Unix socket."""
    return await serve(exposition, sock=sock)
