"""The IP TTL (hop limit) of a connection, set for each answer."""

import socket
from asyncio import WriteTransport

from a9fe.http.server.sockets import limit_hops, unacknowledged


class HopLimit:
    """The hop limit of one connection; 0 is the kernel's default."""

    __slots__ = ("hops",)

    def __init__(self, hops: int = 0) -> None:
        """Start with the limit that the socket has."""
        self.hops = hops

    def change(self, sock: socket.socket, hops: int, transport: WriteTransport) -> None:
        """Set the limit for data sent from now on.

        A lower limit stays until its data is acknowledged: retransmissions use the current limit.
        """
        wider = self.hops and (not hops or hops > self.hops)
        if wider and (transport.get_write_buffer_size() or unacknowledged(sock)):
            return
        limit_hops(sock, hops)
        self.hops = hops
