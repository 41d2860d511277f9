"""Serves a hop to guests: on listeners that agents hand over, without losing a request at the end.

The process that faces guests runs this: metadata-proxy, or metadata-host.
"""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from a9fe.http.hop import Hop
from a9fe.http.report import Report
from a9fe.http.server.server import Server
from a9fe.linux.listeners.succession import hand_on, taken_over
from a9fe.metadata_proxy.control import Control
from a9fe.metadata_proxy.listeners import HeldListeners
from a9fe.runtime.config import Config
from a9fe.wire.handover import HOLDER_SOCKET
from a9fe.wire.limits import Limits


async def serve_agents(hop: Hop, control: Control) -> None:
    """Take listeners from agents and run the hop's tasks, until cancelled."""
    async with asyncio.TaskGroup() as group:
        group.create_task(hop.run())
        group.create_task(control.run())


@asynccontextmanager
async def serving_guests(
    config: Config, hop: Hop, limits: Limits, report: Report
) -> AsyncGenerator[HeldListeners, None]:
    """Serve the listeners that are given to what this yields, until the block ends.

    Idle connections of the process before are taken over from the listener holder, and ours are
    handed on to it at the end.
    """
    server = Server(
        hop.handler,
        limits=limits,
        report=report,
        backlog=config.metadata_backlog,
        outgoing=hop.outgoing,
    )
    held = HeldListeners(server)
    holder = os.path.join(config.run_path, HOLDER_SOCKET)
    for idle, sock in await taken_over(holder):
        with suppress(OSError):  # its client has gone
            server.adopt(idle, sock)
    try:
        yield held
    finally:
        held.close()
        await server.close(hand_on=lambda pairs: hand_on(holder, pairs))
