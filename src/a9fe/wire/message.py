"""The one interface that joins hops: a handler takes a Request and gives an Answer.

Our own hops are handlers, and so is an HTTP upstream, so that what lies between two hops, a
socket or a call, is a choice of deployment.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

_MAPPED = "::ffff:"  # an IPv4 client on an IPv6 socket (RFC 4291 section 2.5.5.2)

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """What an accepted connection stands for: a network's or a router's namespace.

    `kind` is "network" or "router", `id` that network's or router's id. `namespace`, `address`,
    `port` and `device` say where the socket is bound; together they are the listener's key.
    `device` "" is any device of the namespace; else `port_id` is the port whose device it is, and
    `network_id` the network that the device is wired to.
    """

    kind: str
    id: str
    namespace: str
    address: str
    port: int
    device: str = ""
    port_id: str = ""
    network_id: str = ""

    @property
    def key(self) -> str:
        """Unique on a host, e.g. "qdhcp-<id>/169.254.169.254:80", "qrouter-<id>/0.0.0.0:9697%qr-1"
        for a socket of one device.
        """
        zone = f"%{self.device}" if self.device else ""
        return f"{self.namespace}/{self.address}:{self.port}{zone}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A whole request. Header names are lower-case; values have no surrounding blanks.

    `target` is the request target as sent, query included. `listener` is None unless the socket
    belongs to a namespace. `client_address`, `client_mac`, `local_address` (the address connected
    to) and `connected_at` (CLOCK_MONOTONIC, seconds) describe the connection, as in
    `http.server.accepted.Accepted`; empty if unknown or on a Unix socket. At the metadata proxy
    they are the guest address and guest MAC.
    """

    method: bytes
    target: bytes
    headers: Headers
    body: bytes = b""
    client_address: str = ""
    listener: Listener | None = None
    client_mac: str = ""
    local_address: str = ""
    connected_at: float = 0.0

    def values(self, name: bytes) -> list[bytes]:
        """Every value of the header `name` (given in lower case), in order."""
        return [value for key, value in self.headers if key == name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer. `headers` are end-to-end only: framing belongs to the shell.

    `reason` is the reason phrase, "" for the standard one. `hop_limit`: the IP hops (1-255) that
    its packets may live on the way to the client, 0 for as many as any others. `owner`: the port
    whose answer it is, b"" where that is not said; a connection is answered for one owner only.
    `close`: the connection ends with it.
    """

    status: int
    headers: Headers = ()
    body: bytes = b""
    reason: bytes = b""
    hop_limit: int = 0
    owner: bytes = b""
    close: bool = False


Handler = Callable[[Request], Answer | Awaitable[Answer]]


def without_mapping(address: str) -> str:
    """An IPv4-mapped IPv6 address as the IPv4 address that it stands for; others unchanged."""
    return address.removeprefix(_MAPPED)
