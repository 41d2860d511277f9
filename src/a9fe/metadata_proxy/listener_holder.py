"""The process that keeps a copy of every listener, so that the others may be killed.

It serves nothing and reads nothing of tenants: while it has a listening socket, the kernel queues
connections instead of refusing them. The agents give it what they give the proxy, by the same
protocol, and take it back when they start. It outlives `a9fe up`; the next one finds it by its pid
file, and `a9fe clean` ends it.
"""

import asyncio
import os
import socket
from contextlib import suppress

import structlog

from a9fe.http.server.sockets import unix_listener
from a9fe.linux.processes import privileges
from a9fe.metadata_proxy.control import Control
from a9fe.metadata_proxy.listeners import HeldListeners
from a9fe.runtime import descriptors, tasks
from a9fe.runtime.config import Config
from a9fe.wire.handover import HOLDER_SOCKET

CHECK = 30.0  # s between looks whether our socket is still where agents look for it

log = structlog.get_logger("a9fe.metadata_proxy")


def run(config: Config) -> None:
    """Keep the given sockets until SIGTERM. Drops root after opening its control socket."""
    descriptors.raise_limit()
    path = os.path.join(config.run_path, HOLDER_SOCKET)
    owner = privileges.owner_of(config.metadata_proxy_user)
    control = unix_listener(path, kind=socket.SOCK_SEQPACKET, owner=owner)
    privileges.drop(config.metadata_proxy_user)
    tasks.run(lambda: _keep(path, control))


async def _keep(path: str, control: socket.socket) -> None:
    held = HeldListeners(None)
    serving = asyncio.ensure_future(Control(control, held).run())
    log.info("ready", control=path)
    ours = os.stat(path).st_ino
    try:
        while _is(path, ours):
            await asyncio.wait((serving,), timeout=CHECK)
        log.warning("ended: the control socket was removed", control=path)
    finally:
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
        held.close()


def _is(path: str, inode: int) -> bool:
    """Whether the control socket at the path is still ours, so that agents can reach us."""
    try:
        return os.stat(path).st_ino == inode
    except OSError:
        return False
