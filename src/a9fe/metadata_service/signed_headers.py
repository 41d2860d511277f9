"""Who asks, by the headers of the hop before: Nova's checks in Nova's order. Pure."""

from dataclasses import dataclass

from a9fe.wire import trusted
from a9fe.wire.message import Request
from a9fe.wire.refusals import Refusal
from a9fe.wire.shares import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An instance and a project, as the client of the shared secret says."""

    instance_id: str
    tenant_id: str


def verify(request: Request, secret: str) -> Claim | Refusal:
    """The claim of the request's headers, or why it is not believed.

    A header given several times counts as one with its values joined by commas, as before Nova:
    then the signature is wrong, or the project.
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
    return Claim(instance_id=instance_id, tenant_id=tenant_id)


def _value(request: Request, name: bytes) -> str | None:
    """Header bytes as text, one character a byte: whatever they are, they can be compared."""
    values = request.values(name)
    return b",".join(values).decode("latin-1") if values else None


def client_of_request(request: Request) -> Client:
    """The client for turns: the claimed instance, unverified."""
    return _value(request, trusted.INSTANCE_ID) or "", ""
