"""The identity of a socket, by which a copy that was handed over is recognised."""

import socket

SO_COOKIE = 57  # asm-generic/socket.h; not in the socket module


def identity(sock: socket.socket) -> int:
    """Return the kernel's number of the socket: the same for all copies, never used again."""
    raw = sock.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8)
    return int.from_bytes(raw, "little")
