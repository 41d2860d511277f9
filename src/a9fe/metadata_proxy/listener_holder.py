"""The process that keeps a copy of every listener, so that the other processes may be killed.

It accepts no connection: while a copy of a listening socket is open, the kernel queues connections
instead of refusing them. Host agents give it the listeners that they give the proxy, by the same
protocol, and take them back when they start. It outlives `a9fe up`; the next one finds it by its
pid file, and `a9fe clean` ends it. It ends itself after five minutes without an agent.
"""

import asyncio
import os
import socket
from contextlib import suppress

import structlog

from a9fe.http.server.sockets import unix_listener
from a9fe.linux.processes import privileges
from a9fe.metadata_proxy.control import Control
from a9fe.metadata_proxy.kept_connections import KeptConnections
from a9fe.metadata_proxy.listeners import HeldListeners
from a9fe.runtime import descriptors, tasks
from a9fe.runtime.config import Config
from a9fe.wire.handover import HOLDER_SOCKET

CHECK = 30.0  # s between checks that the control socket still exists
ALONE = 10  # checks in a row without an agent: no `a9fe up` runs any more

log = structlog.get_logger("a9fe.metadata_proxy")


def run(config: Config) -> None:
    """Keep listeners until SIGTERM. Becomes metadata_proxy_user after opening its socket."""
    descriptors.raise_limit()
    path = os.path.join(config.run_path, HOLDER_SOCKET)
    owner = privileges.owner_of(config.metadata_proxy_user)
    control = unix_listener(path, kind=socket.SOCK_SEQPACKET, owner=owner)
    privileges.drop(config.metadata_proxy_user)
    tasks.run(lambda: _keep(path, control))


async def _keep(path: str, control: socket.socket) -> None:
    held, kept = HeldListeners(None), KeptConnections()
    agents = Control(control, held, kept=kept)
    serving = asyncio.ensure_future(agents.run())
    log.info("ready", control=path)
    ours, alone = os.stat(path).st_ino, 0
    try:
        while _is(path, ours) and alone < ALONE:
            await asyncio.wait((serving,), timeout=CHECK)
            alone = 0 if agents.connected else alone + 1
        log.warning("ended: no agent, or the control socket was removed", control=path)
    finally:
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
        held.close()
        kept.close()


def _is(path: str, inode: int) -> bool:
    """Return whether the control socket at the path is still ours."""
    try:
        return os.stat(path).st_ino == inode
    except OSError:
        return False
