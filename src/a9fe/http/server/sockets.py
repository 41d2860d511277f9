"""Listening sockets in the host's own namespace, and socket options of connections."""

import fcntl
import os
import select
import socket
import stat
import struct
import termios
from array import array
from contextlib import suppress

from a9fe.runtime.errors import StartError
from a9fe.wire.limits import LISTEN_BACKLOG

OWNER_ONLY = 0o600
KERNELS_LIMIT = -1  # of IP hops (ip(7), ipv6(7))
_SUN_PATH_MAX = 107
_NO_LINGER = struct.pack("ii", 1, 0)  # struct linger: on, 0 s (socket(7))


def unix_listener(
    path: str,
    *,
    kind: socket.SocketKind = socket.SOCK_STREAM,
    owner: tuple[int, int] | None = None,
    backlog: int = LISTEN_BACKLOG,
) -> socket.socket:
    """Listen on a Unix socket that only its owner (uid, gid; None: ourselves) and root may use.

    It appears at `path` atomically, listening, with its mode and owner, and replaces the socket of
    a killed process. Raises StartError if a process listens there.
    """
    if len(os.fsencode(path)) > _SUN_PATH_MAX:
        raise StartError(f"{path}: too long for a Unix socket, expected {_SUN_PATH_MAX} bytes")
    _refuse_if_in_use(path, kind)
    fresh = f"{path}.{os.getpid()}"[:_SUN_PATH_MAX]
    sock = socket.socket(socket.AF_UNIX, kind)
    try:
        with suppress(FileNotFoundError):
            os.unlink(fresh)
        sock.bind(fresh)
        os.chmod(fresh, OWNER_ONLY)
        if owner is not None:
            os.chown(fresh, *owner)
        sock.listen(backlog)
        os.rename(fresh, path)
    except OSError as error:
        sock.close()
        raise StartError(f"{path}: cannot listen there: {error.strerror}") from error
    return sock


def _refuse_if_in_use(path: str, kind: socket.SocketKind) -> None:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return  # nothing is there, or bind reports the error
    if not stat.S_ISSOCK(mode):
        raise StartError(f"{path}: exists and is no socket; move it away")
    with socket.socket(socket.AF_UNIX, kind) as probe, suppress(OSError):
        probe.settimeout(0)
        probe.connect(path)
        raise StartError(f"{path}: another process listens there")


def is_hung_up(sock: socket.socket) -> bool:
    """Return whether the client of a Unix socket has closed it, not only its sending half.

    False for TCP: a FIN does not tell the two apart.
    """
    if sock.family != socket.AF_UNIX:
        return False
    poll = select.poll()
    poll.register(sock.fileno(), 0)  # POLLHUP is always reported
    return any(event & select.POLLHUP for _, event in poll.poll(0))


def reset_on_close(sock: socket.socket) -> None:
    """Have the close of a TCP socket send RST, not FIN."""
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)


def bound_send_buffer(sock: socket.socket, size: int) -> None:
    """Set SO_SNDBUF of a listening TCP socket; its connections inherit it.

    The kernel doubles `size` (socket(7)). By default it may buffer megabytes.
    """
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)


def limit_hops(sock: socket.socket, hops: int) -> None:
    """Set the IP TTL (hop limit) of a TCP socket; 0: the kernel's default.

    Both limits of an IPv6 socket are set, as it may carry IPv4 (mapped addresses).
    """
    limit = hops or KERNELS_LIMIT
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, limit)
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, limit)


def unacknowledged(sock: socket.socket) -> int:
    """Return the bytes written to a TCP socket that are not acknowledged (tcp(7))."""
    if sock.family == socket.AF_UNIX:
        return 0
    found = array("i", [0])
    fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, found)
    return found[0]


def tcp_listener(address: str, port: int, backlog: int = LISTEN_BACKLOG) -> socket.socket:
    """Listen on `address`:`port` (0: any free port). Raises StartError if it is taken."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        raise StartError(f"{address}:{port}: cannot listen there: {error.strerror}") from error
    return sock
