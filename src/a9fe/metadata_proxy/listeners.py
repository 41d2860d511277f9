"""The listeners that agents have handed to the proxy or to the listener holder, by owner."""

import socket
from dataclasses import dataclass

from a9fe.http.server.listening import Listening
from a9fe.http.server.server import Server
from a9fe.linux.listeners.identity import identity
from a9fe.metadata_proxy.relay import ID_HEADER
from a9fe.model.errors import A9feError, InvalidInput
from a9fe.wire.message import Listener


class HandoverRefused(A9feError):
    """An agent's request is not done; it is sent the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldListener:
    """One listener. `sock` is our copy to give back. `listening` serves another copy of it; None
    if it is only kept.
    """

    owner: str
    listener: Listener
    sock: socket.socket
    listening: Listening | None


class HeldListeners:
    """The listeners by key. An owner can replace and drop only its own."""

    def __init__(self, server: Server | None) -> None:
        """`server` serves the listeners; None: they are only kept."""
        self._server = server
        self._held: dict[str, HeldListener] = {}

    def __len__(self) -> int:
        """Return the number of listeners."""
        return len(self._held)

    def of(self, owner: str) -> list[HeldListener]:
        """Return the listeners of an owner."""
        return [held for held in self._held.values() if held.owner == owner]

    async def give(self, owner: str, listener: Listener, sock: socket.socket) -> None:
        """Serve `sock`, which becomes ours, in place of the socket that had this key.

        Raises HandoverRefused, InvalidInput or OSError; the socket is closed then.
        """
        try:
            check_listener(listener)
            check_socket(sock)
            before = self._of_owner(owner, listener.key)
            if before is not None and _is_same(before, listener, sock):
                sock.close()
                return
            listening = await self._listen(sock, listener)
        except BaseException:
            sock.close()
            raise
        self._held[listener.key] = HeldListener(
            owner=owner, listener=listener, sock=sock, listening=listening
        )
        if before is not None:
            self._end(before)

    async def _listen(self, sock: socket.socket, listener: Listener) -> Listening | None:
        return await self._server.listen(sock.dup(), listener) if self._server else None

    def drop(self, owner: str, key: str) -> None:
        """Stop serving a listener; its connections finish. An unknown key is no error.

        Raises HandoverRefused for a listener of another owner.
        """
        held = self._of_owner(owner, key)
        if held is not None:
            del self._held[key]
            self._end(held)

    def _of_owner(self, owner: str, key: str) -> HeldListener | None:
        held = self._held.get(key)
        if held is not None and held.owner != owner:
            raise HandoverRefused(f"listener {key}: belongs to {held.owner}")
        return held

    def close(self) -> None:
        """Close our copies of all sockets; the agents keep theirs."""
        for held in self._held.values():
            self._end(held)
        self._held.clear()

    def _end(self, held: HeldListener) -> None:
        if self._server is not None and held.listening is not None:
            self._server.forget(held.listening)
        held.sock.close()


def check_listener(listener: Listener) -> None:
    """Raise InvalidInput unless the listener's fields are valid."""
    if listener.kind not in ID_HEADER:
        raise InvalidInput("listener.kind", listener.kind, " or ".join(ID_HEADER))
    if not (listener.id and listener.id.isascii() and listener.id.isprintable()):
        raise InvalidInput("listener.id", listener.id, "the id of a network or a router")
    on_interface = listener.kind == "router" and bool(listener.device)
    for name in ("port_id", "network_id"):
        value = getattr(listener, name)
        if not value.isascii() or not value.isprintable() or bool(value) != on_interface:
            expected = "an id if it is on a router's device, else nothing"
            raise InvalidInput(f"listener.{name}", value, expected)


def check_socket(sock: socket.socket) -> None:
    """Raise HandoverRefused unless it is a listening TCP socket."""
    is_tcp = sock.family in (socket.AF_INET, socket.AF_INET6) and sock.type == socket.SOCK_STREAM
    if not (is_tcp and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)):
        raise HandoverRefused("the socket given is no listening TCP socket")


def _is_same(before: HeldListener, listener: Listener, sock: socket.socket) -> bool:
    return before.listener == listener and identity(before.sock) == identity(sock)
