"""Turns the proxy's request into the request to the service: Nova's signed headers. Pure."""

import re

from a9fe.model.resources import Port
from a9fe.wire.message import Headers, Request
from a9fe.wire.trusted import (
    FORWARDED_FOR,
    GUEST_FORWARDED,
    INSTANCE_ID,
    OUR_HOP,
    PORT_ID,
    PROBE,
    REQUEST_ID,
    SIGNATURE,
    TENANT_ID,
    guests_own,
    is_forwarded,
    is_from_our_hop,
)

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def upstream_request(
    request: Request, port: Port, guest_address: str, signature: bytes, request_id: bytes
) -> Request:
    """Return the request for the service. All trusted headers in it are set here."""
    ours: Headers = (
        (FORWARDED_FOR, guest_address.encode("ascii")),
        (INSTANCE_ID, _header_value(port.device_id)),
        (TENANT_ID, _header_value(port.project_id)),
        (SIGNATURE, signature),
        (PORT_ID, port.id.encode()),
    )
    if is_forwarded(request):
        ours = (*ours, (GUEST_FORWARDED, b"1"))
    if request.values(PROBE):
        ours = (*ours, (PROBE, b"1"))
    if is_from_our_hop(request):  # our proxy removes the service's X-A9fe headers from the answer
        ours = (*ours, (OUR_HOP, b"1"))
    return Request(
        method=request.method,
        target=request.target,
        headers=(*guests_own(request.headers), *ours, (REQUEST_ID, request_id)),
        body=request.body,
    )


def _header_value(text: str) -> bytes:
    """Return the text as a header value. Raises ValueError for control characters.

    Tenants choose project and device ids; a line break in one would add a header.
    """
    if _CONTROL.search(text):
        raise ValueError(f"cannot be sent in a header: {text!r}")
    return text.encode()
