"""TCP between namespaces: servers, connections, and the address that the other side sees."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from a9fe.linux.kernel import namespace

PORT = 7000


@contextmanager
def serving(space: str, address: str, number: int = PORT) -> Iterator[socket.socket]:
    """A listening TCP socket in a namespace."""
    with namespace.call_inside(space, lambda: socket.create_server((address, number))) as server:
        server.settimeout(10)
        yield server


def reached(space: str, address: str, number: int = PORT, timeout: float = 3) -> str:
    """Connect from a namespace; return the peer's address as seen there, "" if it fails."""

    def connect() -> str:
        with suppress(OSError), socket.create_connection((address, number), timeout) as made:
            return str(made.getpeername()[0])
        return ""

    return namespace.call_inside(space, connect)


def seen_by(server: socket.socket) -> str:
    """The client address of the next connection that the server accepts."""
    connection, (address, _) = server.accept()
    connection.close()
    return str(address)
