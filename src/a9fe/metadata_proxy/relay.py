"""Build the agent's request from the guest's, and the guest's answer from the agent's. Pure."""

import re
from collections.abc import Mapping
from functools import lru_cache

from a9fe.wire.message import Answer, Headers, Listener, Request, without_mapping
from a9fe.wire.trusted import (
    CLOSE,
    CONNECTED_AT,
    FORWARDED_FOR,
    GUEST_FORWARDED,
    GUEST_MAC,
    HOP_LIMIT,
    INTERFACE_PORT,
    LOCAL_ADDRESS,
    NETWORK_ID,
    OUR_HOP,
    OWNER,
    REQUEST_ID,
    ROUTER_ID,
    WIRED_NETWORK,
    first_hops_own,
    has_forwarded_for,
    is_for_hops,
)

ID_HEADER = {"network": NETWORK_ID, "router": ROUTER_ID}
HEADERS_REMEMBERED = 512  # of answers, with one owner each
HOPS = re.compile(rb"[1-9][0-9]?")  # 64 at most; more does no harm


def request_for_agent(request: Request, listener: Listener, request_id: bytes) -> Request:
    """Return the request for the agent: the guest's trusted headers are removed, ours added."""
    return Request(
        method=request.method,
        target=request.target,
        headers=(*first_hops_own(request.headers), *added(request, listener, request_id)),
        body=request.body,
    )


def answer_for_guest(answer: Answer) -> Answer:
    """Return the answer for the guest: the hops' headers become the answer's fields."""
    found, for_guest = _parted(answer.headers)
    if not found:
        return answer
    return Answer(
        status=answer.status,
        headers=for_guest,
        body=answer.body,
        reason=answer.reason,
        hop_limit=_hops(found[HOP_LIMIT]) if HOP_LIMIT in found else 0,
        owner=found.get(OWNER, b""),
        close=CLOSE in found,
    )


@lru_cache(maxsize=HEADERS_REMEMBERED)
def _parted(headers: Headers) -> tuple[Mapping[bytes, bytes], Headers]:
    """Return the headers for hops, and those for the guest."""
    found = dict([pair for pair in headers if is_for_hops(pair[0])])
    return found, tuple([pair for pair in headers if not is_for_hops(pair[0])])


def _hops(value: bytes) -> int:
    """Return the hop limit; 1, the strictest limit, if the value cannot be parsed."""
    return int(value) if HOPS.fullmatch(value) else 1


def added(request: Request, listener: Listener, request_id: bytes) -> Headers:
    """Return the headers that the proxy adds."""
    guest_address = without_mapping(request.client_address).encode("ascii")
    ours = [
        (FORWARDED_FOR, guest_address),
        (ID_HEADER[listener.kind], listener.id.encode("ascii")),
        (OUR_HOP, b"1"),
    ]
    if listener.port_id:
        local = without_mapping(request.local_address)
        ours += (
            (INTERFACE_PORT, listener.port_id.encode("ascii")),
            (WIRED_NETWORK, listener.network_id.encode("ascii")),
            (LOCAL_ADDRESS, local.encode("ascii")),
        )
    if request.client_mac:
        ours.append((GUEST_MAC, request.client_mac.encode("ascii")))
    if request.connected_at:
        ours.append((CONNECTED_AT, b"%d" % (request.connected_at * 1000)))
    if has_forwarded_for(request.headers):
        ours.append((GUEST_FORWARDED, b"1"))
    ours.append((REQUEST_ID, request_id))  # last, so that the agent finds the rest the same
    return tuple(ours)
