"""An idle connection that another process serves next: the facts that go with it."""

import socket

from a9fe.http.server.accepted import UNKNOWN, Accepted, facts_of
from a9fe.wire.message import IdleConnection, Listener

HandedOn = tuple[IdleConnection, socket.socket]
"""What the next process must know of an idle connection, and a copy of its socket."""

FIRST = IdleConnection(listener=Listener(kind="", id="", namespace="", address="", port=0))
"""Of a connection that we accepted ourselves."""


def facts_after(sock: socket.socket, before: IdleConnection) -> Accepted:
    """Return the facts of a connection of another process; the kernel tells some only once."""
    try:
        address = sock.getpeername()[0]
    except OSError:  # the client has gone already
        return UNKNOWN
    facts = facts_of(sock, address, "")
    return facts._replace(client_mac=before.client_mac, connected_at=before.connected_at)


def handed_on(
    listener: Listener | None, facts: Accepted, owner: bytes, hop_limit: int, sock: socket.socket
) -> HandedOn:
    """Return what goes to the next process. `facts` and so on are the connection's."""
    assert listener is not None
    idle = IdleConnection(
        listener=listener,
        client_mac=facts.client_mac,
        connected_at=facts.connected_at,
        owner=owner.decode("latin-1"),
        hop_limit=hop_limit,
    )
    return idle, sock.dup()
