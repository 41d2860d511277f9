"""A hop of the metadata path as a value: to serve on a socket, or to join to the hop before."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from a9fe.http.gc_tuning import tune_gc
from a9fe.http.metrics_socket import serve_metrics
from a9fe.http.report import Report
from a9fe.http.server.server import Admit, serve
from a9fe.runtime.tasks import supervise
from a9fe.wire.limits import LISTEN_BACKLOG, Limits
from a9fe.wire.message import Answer, Handler

Task = Callable[[], Awaitable[None]]
"""Runs until it is cancelled or has nothing left to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One hop, built from configuration inside a running loop.

    `handler` answers requests: give it to a server, or to the hop before as its upstream.
    `outgoing` is applied to each answer that leaves the process; None leaves answers unchanged.
    `tasks` are started by `run`, by name. `closers` release what the hop opened, in reverse order;
    close them after the server.
    """

    handler: Handler
    outgoing: Callable[[Answer], Answer] | None = None
    tasks: Mapping[str, Task] = field(default_factory=dict)
    closers: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def run(self) -> None:
        """Run the tasks, and restart those that fail, until all have ended; cancel to end."""
        async with asyncio.TaskGroup() as group:
            for name, task in self.tasks.items():
                group.create_task(supervise(name, task))

    async def close(self) -> None:
        """Release what the hop opened."""
        await self.closers.aclose()


@asynccontextmanager
async def serving(  # noqa: PLR0913 - two have a default, and callers name them
    hop: Hop,
    sock: socket.socket,
    exporter: socket.socket,
    *,
    limits: Limits,
    report: Report,
    admit: Admit | None = None,
    backlog: int = LISTEN_BACKLOG,
) -> AsyncGenerator[None, None]:
    """Serve the hop on `sock` and metrics on `exporter` during the block, then close the hop too.

    Run the hop's tasks inside the block, so that they end before the server does.
    """
    async with AsyncExitStack() as closers:
        closers.push_async_callback(hop.close)
        exposing = await serve_metrics(exporter)
        closers.push_async_callback(exposing.close)
        server = await serve(
            hop.handler,
            sock=sock,
            limits=limits,
            report=report,
            admit=admit,
            backlog=backlog,
            outgoing=hop.outgoing,
        )
        closers.push_async_callback(server.close)
        tune_gc()
        yield
