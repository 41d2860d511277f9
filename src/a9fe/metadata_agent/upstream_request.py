"""How the proxy's request becomes the service's: Nova's signed headers. Pure."""

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


def onward(
    request: Request, port: Port, address: str, signature: bytes, request_id: bytes
) -> Request:
    """The request as the service gets it: nothing trusted but what is set here."""
    ours: Headers = (
        (FORWARDED_FOR, address.encode("ascii")),
        (INSTANCE_ID, _field(port.device_id)),
        (TENANT_ID, _field(port.project_id)),
        (SIGNATURE, signature),
        (REQUEST_ID, request_id),
        (PORT_ID, port.id.encode()),
    )
    if is_forwarded(request):
        ours = (*ours, (GUEST_FORWARDED, b"1"))
    if request.values(PROBE):
        ours = (*ours, (PROBE, b"1"))
    if is_from_our_hop(request):  # what the service says to hops reaches one that takes it out
        ours = (*ours, (OUR_HOP, b"1"))
    return Request(
        method=request.method,
        target=request.target,
        headers=(*guests_own(request.headers), *ours),
        body=request.body,
    )


def _field(text: str) -> bytes:
    """A value of the model as a header's. Raises ValueError where it would end the line.

    Tenants choose project and device ids; one with a line break could add a header of its own.
    """
    if _CONTROL.search(text):
        raise ValueError(f"cannot be sent in a header: {text!r}")
    return text.encode()
