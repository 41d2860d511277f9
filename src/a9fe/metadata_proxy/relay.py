"""How a guest's request becomes the agent's, and the agent's answer the guest's. Pure."""

import re
from dataclasses import replace
from functools import lru_cache

from a9fe.wire.message import Answer, Headers, Listener, Request
from a9fe.wire.trusted import (
    FORWARDED_FOR,
    GUEST_FORWARDED,
    HOP_LIMIT,
    NAMES_REMEMBERED,
    NETWORK_ID,
    OUR_PREFIX,
    REQUEST_ID,
    ROUTER_ID,
    guests_own,
)

ID_HEADER = {"network": NETWORK_ID, "router": ROUTER_ID}
HOPS = re.compile(rb"[1-9][0-9]?")  # 64 at most, and no harm in more
_MAPPED = "::ffff:"  # an IPv4 peer on an IPv6 socket (RFC 4291 section 2.5.5.2)


def onward(request: Request, listener: Listener, request_id: bytes) -> Request:
    """The request for the agent: the guest's own trusted headers removed, then ours set."""
    return Request(
        method=request.method,
        target=request.target,
        headers=(*guests_own(request.headers), *added(request, listener, request_id)),
        body=request.body,
    )


def homeward(answer: Answer) -> Answer:
    """What the guest gets of an answer: what hops said to us is taken out and done."""
    if not any([_is_for_us(name) for name, _ in answer.headers]):
        return answer
    limits = [value for name, value in answer.headers if name == HOP_LIMIT]
    return replace(
        answer,
        headers=tuple(pair for pair in answer.headers if not _is_for_us(pair[0])),
        hop_limit=_hops(limits[0]) if limits else 0,
    )


def _hops(value: bytes) -> int:
    """What cannot be read is the strictest limit."""
    return int(value) if HOPS.fullmatch(value) else 1


@lru_cache(maxsize=NAMES_REMEMBERED)
def _is_for_us(name: bytes) -> bool:
    plain = name.lower().replace(b"_", b"-")
    return plain.startswith(OUR_PREFIX) and plain != REQUEST_ID


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
