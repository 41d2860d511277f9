"""The process at the other end of a Unix socket, as the kernel reports it (SO_PEERCRED)."""

import socket
import struct
from collections.abc import Collection
from dataclasses import dataclass

from a9fe.model.errors import A9feError

UCRED = struct.Struct("=iII")


class UnwelcomePeer(A9feError):
    """The process at the other end runs as another user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The process that connected, at that time. uid and gid are the effective ones."""

    pid: int
    uid: int
    gid: int


def credentials(sock: socket.socket) -> Peer:
    """Return the peer of a connected Unix socket."""
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size)
    pid, uid, gid = UCRED.unpack(raw)
    return Peer(pid=pid, uid=uid, gid=gid)


def require(sock: socket.socket, uids: Collection[int]) -> Peer:
    """Return the peer. Raises UnwelcomePeer unless it runs as one of `uids`."""
    peer = credentials(sock)
    if peer.uid not in uids:
        expected = ", ".join(map(str, sorted(uids)))
        raise UnwelcomePeer(f"peer pid {peer.pid}: uid {peer.uid}, expected one of {expected}")
    return peer
