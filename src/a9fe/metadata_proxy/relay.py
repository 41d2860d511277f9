"""How a guest's request becomes the agent's. Pure."""

from functools import lru_cache

from a9fe.wire.message import Headers, Listener, Request
from a9fe.wire.trusted import (
    FORWARDED_FOR,
    GUEST_FORWARDED,
    HOP_BY_HOP,
    NETWORK_ID,
    REQUEST_ID,
    ROUTER_ID,
    is_trusted,
)

ID_HEADER = {"network": NETWORK_ID, "router": ROUTER_ID}
_MAPPED = "::ffff:"  # an IPv4 peer on an IPv6 socket (RFC 4291 section 2.5.5.2)
_NAMES_REMEMBERED = 1024


@lru_cache(maxsize=_NAMES_REMEMBERED)
def _stays(name: bytes) -> bool:
    """Whether a guest's header goes on. Names of guests repeat, so it is remembered."""
    return name not in HOP_BY_HOP and not is_trusted(name)


def onward(request: Request, listener: Listener, request_id: bytes) -> Request:
    """The request for the agent: the guest's own trusted headers removed, then ours set.

    In this order: were Connection obeyed after ours are set, a guest could list them in it.
    """
    headers = request.headers
    kept = [pair for pair in headers if _stays(pair[0])]
    names = [name for name, _ in headers]
    if b"connection" in names:
        kept = _without_listed(headers, kept)
    kept += added(request, listener, request_id)
    return Request(
        method=request.method,
        target=request.target,
        headers=tuple(kept),
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
    if any(_is_forwarded_for(name) for name, _ in request.headers):
        return (*ours, (GUEST_FORWARDED, b"1"))
    return ours


def _is_forwarded_for(name: bytes) -> bool:
    return name == FORWARDED_FOR or name.replace(b"_", b"-") == FORWARDED_FOR


def _without_listed(
    headers: Headers, kept: list[tuple[bytes, bytes]]
) -> list[tuple[bytes, bytes]]:
    """RFC 9110 section 7.6.1: what Connection lists concerns that connection only."""
    lists = [value for name, value in headers if name == b"connection"]
    listed = {token.strip().lower() for value in lists for token in value.split(b",")}
    return [pair for pair in kept if pair[0] not in listed]
