"""A listening socket of a server: accepts its connections."""

import errno
import socket
from collections.abc import Callable

import structlog

from a9fe.http.server.accepted import UNKNOWN, Accepted, facts_of
from a9fe.http.server.poller import READ, Poller
from a9fe.wire.limits import LISTEN_BACKLOG
from a9fe.wire.message import Listener

ACCEPTS = 8  # connections at once, before other sockets have their turn
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
ANY = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not bound
PAUSE = 1.0  # s without accepting when descriptors or memory are exhausted

log = structlog.get_logger("a9fe.http")

Made = Callable[[socket.socket, Accepted, Listener | None], None]
"""Called with each accepted socket, which becomes the callee's."""


class Listening:
    """Accepts connections of one socket until it is closed."""

    __slots__ = ("_local", "_made", "_poller", "_sock", "listener")

    def __init__(
        self, sock: socket.socket, listener: Listener | None, poller: Poller, made: Made
    ) -> None:
        """`sock` listens, and becomes ours. `listener` is given to the handler with requests."""
        self._sock = sock
        self.listener = listener
        self._poller = poller
        self._made = made
        self._local: str | None = None  # the address that it is bound to; "": to any
        if sock.family != socket.AF_UNIX:
            bound = sock.getsockname()[0].partition("%")[0]
            self._local = "" if bound in ANY else bound
        self.resume()

    def resume(self) -> None:
        """Accept connections again after `pause`."""
        if self._sock.fileno() >= 0:
            self._poller.watch(self._sock.fileno(), READ, self._accept)

    def pause(self) -> None:
        """Accept no connection; the kernel queues them."""
        self._poller.forget(self._sock.fileno())

    def close(self) -> None:
        """Stop accepting, and close this copy of the socket; its connections finish."""
        self.pause()
        self._sock.close()

    def accept_all(self) -> None:
        """Accept what the kernel has queued: closing the socket's last copy would reset it."""
        self._accept(0, LISTEN_BACKLOG)

    def _accept(self, _: int, most: int = ACCEPTS) -> None:
        for _ in range(most):
            try:
                sock, peer = self._sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in EXHAUSTED:
                    self._exhausted(error)
                    return
                continue  # the client has gone already
            local = self._local
            facts = UNKNOWN if local is None else facts_of(sock, peer[0], local)
            self._made(sock, facts, self.listener)

    def _exhausted(self, error: OSError) -> None:
        """Pause, as the socket stays ready: connections that end may free what is missing."""
        log.warning("connection not accepted", reason=str(error))
        self.pause()
        self._poller.later(PAUSE, self.resume)
