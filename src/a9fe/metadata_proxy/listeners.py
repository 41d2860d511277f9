"""The listeners that the proxy (or the holder) has, with owner and server."""

import os
import socket
from dataclasses import asdict, dataclass

from a9fe.http.server.server import Listening, Server
from a9fe.metadata_proxy.relay import ID_HEADER
from a9fe.model.errors import A9feError, InvalidInput
from a9fe.wire.message import Listener


class Refused(A9feError):
    """What an agent asked for is not done; the text goes back to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One listener. `sock` is our copy to give back; `listening` serves another copy of it, None
    if it is only kept.
    """

    owner: str
    listener: Listener
    sock: socket.socket
    listening: Listening | None

    @property
    def socket_number(self) -> int:
        """The kernel's number of the socket: copies have the same."""
        return os.fstat(self.sock.fileno()).st_ino


class HeldListeners:
    """What is served, by key. An owner can touch only its own."""

    def __init__(self, server: Server | None) -> None:
        """`server` serves the listeners; with None they are only kept."""
        self._server = server
        self._held: dict[str, Held] = {}

    def __len__(self) -> int:
        """How many are served."""
        return len(self._held)

    def of(self, owner: str) -> list[Held]:
        """What this owner gave."""
        return [held for held in self._held.values() if held.owner == owner]

    async def give(self, owner: str, listener: Listener, sock: socket.socket) -> None:
        """Serve `sock`, which is ours from now on, in the place of what had its key. Refused."""
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
        self._held[listener.key] = Held(
            owner=owner, listener=listener, sock=sock, listening=listening
        )
        if before is not None:
            self._end(before)

    async def _listen(self, sock: socket.socket, listener: Listener) -> Listening | None:
        return await self._server.listen(sock.dup(), listener) if self._server else None

    def drop(self, owner: str, key: str) -> None:
        """Stop serving it; what is connected finishes. Unknown: nothing to do. Refused."""
        held = self._of_owner(owner, key)
        if held is not None:
            del self._held[key]
            self._end(held)

    def _of_owner(self, owner: str, key: str) -> Held | None:
        held = self._held.get(key)
        if held is not None and held.owner != owner:
            raise Refused(f"listener {key}: belongs to {held.owner}")
        return held

    def close(self) -> None:
        """Close our copies; the agents have theirs."""
        for held in self._held.values():
            self._end(held)
        self._held.clear()

    def _end(self, held: Held) -> None:
        if self._server is not None and held.listening is not None:
            self._server.forget(held.listening)
        held.sock.close()


def described(held: Held) -> dict[str, object]:
    """A listener as it stands in a message."""
    return asdict(held.listener)


def check_listener(listener: Listener) -> None:
    """Whether its fields can be used. Raises InvalidInput."""
    if listener.kind not in ID_HEADER:
        raise InvalidInput("listener.kind", listener.kind, " or ".join(ID_HEADER))
    if not (listener.id and listener.id.isascii() and listener.id.isprintable()):
        raise InvalidInput("listener.id", listener.id, "the id of a network or a router")
    for name in ("port_id", "network_id"):
        value = getattr(listener, name)
        if not value.isascii() or not value.isprintable() or bool(value) != bool(listener.device):
            raise InvalidInput(f"listener.{name}", value, "an id if device is given, else ")


def check_socket(sock: socket.socket) -> None:
    """Whether it is a listening TCP socket. Raises Refused."""
    is_tcp = sock.family in (socket.AF_INET, socket.AF_INET6) and sock.type == socket.SOCK_STREAM
    if not (is_tcp and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)):
        raise Refused("the socket given is no listening TCP socket")


def _is_same(before: Held, listener: Listener, sock: socket.socket) -> bool:
    number = os.fstat(sock.fileno()).st_ino
    return before.listener == listener and before.socket_number == number
