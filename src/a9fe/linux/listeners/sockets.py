"""Open a listener's socket in its namespace."""

import errno
import ipaddress
import os
import socket

from a9fe.linux.kernel import namespace
from a9fe.model.errors import A9feError
from a9fe.runtime import failpoints
from a9fe.wire.message import Listener

IP_FREEBIND = 15
IPV6_FREEBIND = 78
IFNAMSIZ = 16  # bytes of a device's name, NUL included (linux/if.h)


class ListenerError(A9feError):
    """A listener's socket could not be opened."""


def open_socket(listener: Listener, backlog: int) -> socket.socket:
    """Return a listening, non-blocking socket. Its address need not exist yet (IP_FREEBIND).

    A link-local address needs the listener's device, which is its zone. Raises ListenerError.
    """

    def opened() -> socket.socket:
        v6 = ipaddress.ip_address(listener.address).version == 6
        sock = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_STREAM)
        try:
            failpoints.reached("bind")
            _bind(sock, listener)
            sock.listen(backlog)
            sock.settimeout(0)
        except OSError:
            sock.close()
            raise
        return sock

    try:
        return namespace.call_inside(listener.namespace, opened)
    except OSError as error:
        taken = " (another process listens there)" if error.errno == errno.EADDRINUSE else ""
        reason = os.strerror(error.errno or 0)
        raise ListenerError(f"listener {listener.key}: {reason}{taken}") from error


def is_bound(sock: socket.socket, listener: Listener) -> bool:
    """Return whether the socket's device still exists and has the listener's device name.

    A socket is bound to a device, not to a name: it receives nothing from a recreated device.
    """
    try:
        raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, IFNAMSIZ)
    except OSError:  # the device is deleted
        return False
    return raw.rstrip(b"\0") == listener.device.encode("ascii")


def _bind(sock: socket.socket, listener: Listener) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if listener.device:
        name = listener.device.encode("ascii")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
        zone = socket.if_nametoindex(listener.device) if listener.device else 0
        sock.bind((listener.address, listener.port, 0, zone))
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
        sock.bind((listener.address, listener.port))
