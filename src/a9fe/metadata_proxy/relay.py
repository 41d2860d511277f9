"""How a guest's request becomes the agent's. Pure."""

from functools import lru_cache

from a9fe.wire.message import Headers, Listener, Request
from a9fe.wire.trusted import (
    FORWARDED_FOR,
    GUEST_FORWARDED,
    NAMES_REMEMBERED,
    NETWORK_ID,
    REQUEST_ID,
    ROUTER_ID,
    guests_own,
)

ID_HEADER = {"network": NETWORK_ID, "router": ROUTER_ID}
_MAPPED = "::ffff:"  # an IPv4 peer on an IPv6 socket (RFC 4291 section 2.5.5.2)


def onward(request: Request, listener: Listener, request_id: bytes) -> Request:
    """The request for the agent: the guest's own trusted headers removed, then ours set."""
    return Request(
        method=request.method,
        target=request.target,
        headers=(*guests_own(request.headers), *added(request, listener, request_id)),
        body=request.body,
    )


def added(request: Request, listener: Listener, request_id: bytes) -> Headers:
    """What the proxy says of a request: from whom, from where, and its id."""
    peer = request.peer.removeprefix(_MAPPED).encode("ascii")
    ours = (
        (FORWARDED_FOR, peer),
        (ID_HEADER[listener.kind], listener.id.encode("ascii")),
        (REQUEST_ID, request_id),
    )
    if any([_is_forwarded_for(name) for name, _ in request.headers]):
        return (*ours, (GUEST_FORWARDED, b"1"))
    return ours


@lru_cache(maxsize=NAMES_REMEMBERED)
def _is_forwarded_for(name: bytes) -> bool:
    return name == FORWARDED_FOR or name.replace(b"_", b"-") == FORWARDED_FOR
