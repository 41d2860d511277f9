"""The sockets of listeners that an agent keeps, by key and by namespace."""

import socket
from collections.abc import Iterable
from dataclasses import dataclass, field

from a9fe.linux.listeners.identity import identity
from a9fe.wire.message import Listener


@dataclass(slots=True, kw_only=True)
class Held:
    """A kept socket. `space`: its namespace's number. `acknowledged`: the proxy holds it now.

    `number` is the socket's identity.
    """

    listener: Listener
    sock: socket.socket
    space: int
    acknowledged: bool = False
    number: int = field(init=False)

    def __post_init__(self) -> None:
        """Read the identity once: the holder's link compares it at each change."""
        self.number = identity(self.sock)


class Kept(dict[str, Held]):
    """The kept sockets by key, and their keys by namespace."""

    def __init__(self) -> None:
        """Start empty."""
        super().__init__()
        self._keys: dict[str, set[str]] = {}

    def __setitem__(self, key: str, held: Held) -> None:
        """Keep a socket."""
        super().__setitem__(key, held)
        self._keys.setdefault(held.listener.namespace, set()).add(key)

    def take(self, key: str) -> Held | None:
        """Remove and return the socket with that key, if there is one."""
        held = super().pop(key, None)
        if held is not None:
            keys = self._keys[held.listener.namespace]
            keys.discard(key)
            if not keys:
                del self._keys[held.listener.namespace]
        return held

    def within(self, spaces: Iterable[str]) -> dict[str, Held]:
        """Return the sockets of these namespaces. O(those)."""
        keys = (key for space in spaces for key in self._keys.get(space, ()))
        return {key: self[key] for key in keys}
