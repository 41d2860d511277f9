"""Listening sockets of the host's own processes, and how connections end."""

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
KERNELS_LIMIT = -1  # of hops (ip(7), ipv6(7))
_SUN_PATH_MAX = 107
_NO_LINGER = struct.pack("ii", 1, 0)  # struct linger: on, 0 s (socket(7))


def unix_listener(
    path: str,
    *,
    kind: socket.SocketKind = socket.SOCK_STREAM,
    owner: tuple[int, int] | None = None,
    backlog: int = LISTEN_BACKLOG,
) -> socket.socket:
    """A Unix socket that only its owner (uid, gid; None: ourselves) and root may connect to.

    It appears at `path` in one step, listening, with its mode and owner, and takes the place of
    what a killed process left. Raises StartError where another one still listens there.
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
        return  # nothing there; or bind says what is wrong
    if not stat.S_ISSOCK(mode):
        raise StartError(f"{path}: is there and is no socket; move it away")
    with socket.socket(socket.AF_UNIX, kind) as probe, suppress(OSError):
        probe.settimeout(0)
        probe.connect(path)
        raise StartError(f"{path}: another process listens there")


def is_hung_up(sock: socket.socket) -> bool:
    """Whether the other side of a Unix socket is wholly closed, not only done with sending.

    Of TCP the kernel cannot tell: a FIN says the same for both.
    """
    if sock.family != socket.AF_UNIX:
        return False
    poll = select.poll()
    poll.register(sock.fileno(), 0)  # POLLHUP is always told
    return any(event & select.POLLHUP for _, event in poll.poll(0))


def reset_on_close(sock: socket.socket) -> None:
    """Have the close of a TCP socket say that nobody reads any more (RST, not FIN)."""
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)


def bound_send_buffer(sock: socket.socket, size: int) -> None:
    """Set SO_SNDBUF of a listening TCP socket, inherited by its connections, to `size` bytes (the
    kernel doubles it, socket(7)). By default the kernel may buffer megabytes."""
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)


def limit_hops(sock: socket.socket, hops: int) -> None:
    """Let the packets of a TCP socket live for so many IP hops; 0: for as many as any others.

    An IPv6 socket may carry IPv4 (mapped addresses): both limits are set.
    """
    limit = hops or KERNELS_LIMIT
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, limit)
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, limit)


def unacknowledged(sock: socket.socket) -> int:
    """Bytes that were written to a TCP socket and are not known to have arrived (tcp(7))."""
    if sock.family == socket.AF_UNIX:
        return 0
    found = array("i", [0])
    fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, found)
    return found[0]


def tcp_listener(address: str, port: int, backlog: int = LISTEN_BACKLOG) -> socket.socket:
    """A TCP socket bound to `address`:`port` (0: any). Raises StartError where it is taken."""
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
