"""The signed headers that name the requesting instance: Nova's checks in Nova's order. Pure."""

from a9fe.metadata_service.origin import Origin
from a9fe.wire import trusted
from a9fe.wire.message import Request
from a9fe.wire.refusals import Refusal
from a9fe.wire.shares import Client

REQUEST_ID_MAX = 64  # bytes; ours have 12, and a longer one is not repeated


def verify(request: Request, secret: str) -> Origin | Refusal:
    """Return the origin that the headers state, or why they are not accepted.

    A repeated header counts as one with its values joined by commas, as in Nova: then the
    signature or the project is wrong.
    """
    instance_id = _value(request, trusted.INSTANCE_ID)
    signature = _value(request, trusted.SIGNATURE)
    tenant_id = _value(request, trusted.TENANT_ID)
    if instance_id is None:
        return Refusal.NO_INSTANCE_ID
    if signature is None:
        return Refusal.NO_SIGNATURE
    if tenant_id is None:
        return Refusal.NO_TENANT_ID
    if not trusted.verify(secret, instance_id, signature.encode("latin-1")):
        return Refusal.BAD_SIGNATURE
    ports = request.values(trusted.PORT_ID)
    return Origin(
        instance_id=instance_id,
        tenant_id=tenant_id,
        port_id=ports[0].decode("latin-1") if len(ports) == 1 else None,
        guest_address=_value(request, trusted.FORWARDED_FOR) or "",
        is_forwarded=trusted.is_forwarded(request),
        is_probe=bool(request.values(trusted.PROBE)),
        request_id=request_id(request),
    )


def request_id(request: Request) -> str:
    """Return the id under which the first hop logged the request, "" if it is not valid."""
    values = request.values(trusted.REQUEST_ID)
    if len(values) != 1 or not values[0].isalnum() or len(values[0]) > REQUEST_ID_MAX:
        return ""
    return values[0].decode("ascii")


def _value(request: Request, name: bytes) -> str | None:
    """Return a header's value as text, one character per byte: any bytes can be compared."""
    values = request.values(name)
    return b",".join(values).decode("latin-1") if values else None


def client_of_request(request: Request) -> Client:
    """Return the client for fair queueing: the instance that the headers name, unverified."""
    return _value(request, trusted.INSTANCE_ID) or "", ""
