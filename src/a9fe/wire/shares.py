"""How much of a bounded resource each client holds, and which client must release some. Pure.

The resource is a number of connections, or of bytes in buffers. It has three bounds: per client,
per listener (a network or a router), and in all.
"""

from collections import defaultdict
from dataclasses import dataclass
from enum import Enum

from a9fe.wire.message import Listener, Request

Client = tuple[str, str]
"""The key of the listener, and the client's MAC address, or its IP address if that is unknown.
Equal addresses on two networks are two clients; a VM with many IP addresses is one."""


class Over(Enum):
    """The bound that is exceeded."""

    CLIENT = "client"
    LISTENER = "listener"
    TOTAL = "total"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The largest shares that are allowed: of a client, of a listener's clients, of all."""

    client: int
    listener: int
    total: int


class Shares:
    """Counts what each client holds. A client that holds nothing takes no memory."""

    __slots__ = ("_bounds", "_of", "_of_listener", "total")

    def __init__(self, bounds: Bounds) -> None:
        """Start with no client."""
        self._bounds = bounds
        self._of: defaultdict[str, dict[Client, int]] = defaultdict(dict)
        self._of_listener: dict[str, int] = {}
        self.total = 0

    def of(self, client: Client) -> int:
        """Return the share of a client."""
        found = self._of.get(client[0])
        return found.get(client, 0) if found else 0

    def of_listener(self, key: str) -> int:
        """Return the sum of the shares of a listener's clients."""
        return self._of_listener.get(key, 0)

    def change(self, client: Client, amount: int) -> None:
        """Add to a client's share; a negative `amount` subtracts."""
        key = client[0]
        clients = self._of[key]
        clients[client] = clients.get(client, 0) + amount
        self._of_listener[key] = self._of_listener.get(key, 0) + amount
        self.total += amount
        if not clients[client]:
            del clients[client]
            if not clients:
                del self._of[key], self._of_listener[key]

    def exceeds(self, client: Client, over: Over) -> bool:
        """Return whether the client, its listener or the total is over this bound."""
        if over is Over.CLIENT:
            return self.of(client) > self._bounds.client
        if over is Over.LISTENER:
            return self.of_listener(client[0]) > self._bounds.listener
        return self.total > self._bounds.total

    def over(self, client: Client) -> Over | None:
        """Return the narrowest bound that is exceeded for `client`; None if none is."""
        bounds = self._bounds
        if self.of(client) > bounds.client:
            return Over.CLIENT
        if self.of_listener(client[0]) > bounds.listener:
            return Over.LISTENER
        return Over.TOTAL if self.total > bounds.total else None

    def largest(self, client: Client, over: Over) -> Client:
        """Return the client that must release some when `client` exceeded the bound.

        For the total: the largest client of the largest listener. For a listener: its largest
        client. O(listeners + clients of one listener).
        """
        if over is Over.CLIENT:
            return client
        key = client[0]
        if over is Over.TOTAL:
            key = max(self._of_listener, key=self._of_listener.__getitem__)
        clients = self._of[key]
        return max(clients, key=clients.__getitem__)


def client_of(listener: Listener | None, mac: str, address: str) -> Client:
    """Return the client of a connection. `mac` and `address` are "" if unknown."""
    return (listener.key if listener is not None else "", mac or address)


def client_of_request(request: Request) -> Client:
    """Return the client of a guest's request."""
    if request.kept is not None:
        return request.kept.client
    return client_of(request.listener, request.client_mac, request.client_address)
