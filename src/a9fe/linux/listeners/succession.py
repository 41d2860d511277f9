"""Idle connections go from a proxy that ends to its successor, by way of the listener holder.

What a guest sends meanwhile waits in the kernel, so that no request on a kept connection is lost.
The holder's side: metadata_proxy.control.
"""

import socket

import structlog

from a9fe.linux.listeners.seqpacket import Broken, Channel, close_all
from a9fe.model.errors import A9feError
from a9fe.wire.handover import CONNECTIONS_PER_PACKET, Keep, Refused, in_packets
from a9fe.wire.message import IdleConnection

Pairs = list[tuple[IdleConnection, socket.socket]]

log = structlog.get_logger("a9fe.linux")


async def hand_on(path: str, pairs: Pairs) -> bool:
    """Give the holder at `path` copies of the sockets. Return whether it has them all."""
    try:
        with Channel.connect(path) as channel:
            for part, _ in in_packets(pairs, CONNECTIONS_PER_PACKET):
                keep = Keep(connections=tuple(idle for idle, _ in part))
                reply = await channel.ask(keep, [sock for _, sock in part])
                if isinstance(reply, Refused):
                    raise Broken(reply.message)
    except (OSError, A9feError, TimeoutError, ValueError) as error:
        log.warning("idle connections not handed on", reason=str(error))
        return False
    log.info("idle connections handed on", connections=len(pairs))
    return True


async def taken_over(path: str) -> Pairs:
    """Return the connections that the holder at `path` has; the sockets become the caller's.

    An empty list if there is no holder, or if it is an older one.
    """
    found: Pairs = []
    try:
        with Channel.connect(path) as channel:
            async for idle, sock in channel.take():
                found.append((idle, sock))
    except (OSError, A9feError, TimeoutError, ValueError) as error:
        log.debug("no idle connections taken over", reason=str(error))
        close_all([sock for _, sock in found])
        return []
    return found
