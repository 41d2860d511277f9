"""The interface between hops: a handler takes a Request and returns an Answer.

Our hops are handlers, and so is an HTTP upstream: two hops are joined by a socket or by a call, as
the deployment chooses.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

_MAPPED = "::ffff:"  # an IPv4 client on an IPv6 socket (RFC 4291 section 2.5.5.2)

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A listening socket in a namespace, with the network or router that it serves.

    `kind` is "network" or "router", `id` that network's or router's id. `namespace`, `address`,
    `port` and `device` say where the socket is bound; together they are the listener's key.
    `device` is "" for any device of the namespace, but not for a link-local address. With a device
    of a router, `port_id` is the port of that interface, and `network_id` the network that it is
    wired to.
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
        """Return the key, unique on a host: "qdhcp-<id>/169.254.169.254:80", or, for a socket of
        one device, "qrouter-<id>/0.0.0.0:9697%qr-1", "qdhcp-<id>/[fe80::a9fe:a9fe]:80%ns-1".
        """
        zone = f"%{self.device}" if self.device else ""
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.namespace}/{address}:{self.port}{zone}"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleConnection:
    """An accepted connection between two requests, for the process that serves it from now on.

    `listener` accepted it. `client_mac`, `connected_at`, `owner` and `hop_limit` are what the
    kernel tells only once, or what earlier answers set: see Request and Answer.
    """

    listener: Listener
    client_mac: str = ""
    connected_at: float = 0.0
    owner: str = ""
    hop_limit: int = 0


@dataclass(slots=True, kw_only=True, eq=False)
class Kept:
    """What a server keeps of a connection from one request to the next.

    `client` is its client for bounds and fair queueing. `found` is the handler's: what it found of
    the connection, to be checked with the next request.
    """

    client: tuple[str, str]
    found: object = None


@dataclass(slots=True, kw_only=True, unsafe_hash=True)  # a frozen one takes 1 us longer to make
class Request:
    """A whole request, never changed. Header names are lower-case; values have no outer blanks.

    `target` is the request target as sent, query included. `listener` is None unless the socket
    belongs to a namespace. `client_address`, `client_mac`, `local_address` (the address connected
    to) and `connected_at` (CLOCK_MONOTONIC, seconds) describe the connection, as in
    `http.server.accepted.Accepted`; empty if unknown or on a Unix socket. At the metadata proxy
    they are the guest address and guest MAC. `kept` is the same with each request of a
    connection; None if there is no connection.
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
    kept: Kept | None = field(default=None, compare=False)

    def values(self, name: bytes) -> list[bytes]:
        """Return every value of the header `name` (lower case), in order."""
        return [value for key, value in self.headers if key == name]


@dataclass(slots=True, kw_only=True, unsafe_hash=True)  # as Request
class Answer:
    """A whole answer, never changed. `headers` are end-to-end only; the server adds the framing.

    `reason` is the reason phrase, "" for the standard one. `hop_limit`: the IP TTL of its packets
    to the client (1-255), 0 for the kernel's default. `owner`: the port that the answer belongs
    to, b"" if not said; a connection is answered for one owner only. `close`: close the connection
    after this answer.
    """

    status: int
    headers: Headers = ()
    body: bytes = b""
    reason: bytes = b""
    hop_limit: int = 0
    owner: bytes = b""
    close: bool = False

    def with_headers(self, headers: Headers) -> "Answer":
        """Return what another hop gets over a socket: without the fields that HTTP does not have.

        `replace` takes three times as long, and this runs for each answer.
        """
        return Answer(status=self.status, headers=headers, body=self.body, reason=self.reason)


Handler = Callable[[Request], Answer | Awaitable[Answer]]


def without_mapping(address: str) -> str:
    """Return the IPv4 address of an IPv4-mapped IPv6 address; others unchanged."""
    return address.removeprefix(_MAPPED)
