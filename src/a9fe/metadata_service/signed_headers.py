"""The signed headers that name the requesting instance: Nova's checks in Nova's order. Pure."""

from dataclasses import dataclass

from a9fe.wire import trusted
from a9fe.wire.message import Request
from a9fe.wire.refusals import Refusal
from a9fe.wire.shares import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedInstance:
    """An instance and its project, named by a hop that has the shared secret."""

    instance_id: str
    tenant_id: str


def verify(request: Request, secret: str) -> SignedInstance | Refusal:
    """Return the instance that the headers name, or why they are not accepted.

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
    return SignedInstance(instance_id=instance_id, tenant_id=tenant_id)


def _value(request: Request, name: bytes) -> str | None:
    """Return a header's value as text, one character per byte: any bytes can be compared."""
    values = request.values(name)
    return b",".join(values).decode("latin-1") if values else None


def client_of_request(request: Request) -> Client:
    """Return the client for fair queueing: the instance that the headers name, unverified."""
    return _value(request, trusted.INSTANCE_ID) or "", ""
