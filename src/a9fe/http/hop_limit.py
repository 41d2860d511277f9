"""How many IP hops the packets of a connection live, from answer to answer."""

import socket
from asyncio import WriteTransport

from a9fe.http.sockets import limit_hops, unacknowledged


class HopLimit:
    """The limit of one connection. `hops` 0: as many as any others."""

    __slots__ = ("hops",)

    def __init__(self) -> None:
        """As the kernel has it."""
        self.hops = 0

    def change(self, sock: socket.socket, hops: int, transport: WriteTransport) -> None:
        """Limit what is sent from here on. A limit stays until all that it was meant for has
        arrived: what is lost on the way is sent again, with the limit of then."""
        wider = self.hops and (not hops or hops > self.hops)
        if wider and (transport.get_write_buffer_size() or unacknowledged(sock)):
            return
        limit_hops(sock, hops)
        self.hops = hops
