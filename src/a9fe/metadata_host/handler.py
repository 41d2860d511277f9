"""The three hops as one handler: the guest's request in, the guest's answer out."""

from collections.abc import Awaitable
from dataclasses import dataclass, replace

from a9fe.http.report import Report
from a9fe.metadata_agent.lookup_key import LookupKey, key_of_connection
from a9fe.metadata_agent.port_finder import (
    ENDS_CONNECTION,
    PortFinder,
    facts_of,
    is_miss,
    owner_of,
)
from a9fe.metadata_service.origin import Origin
from a9fe.metadata_service.service import Service
from a9fe.model.resources import Port
from a9fe.wire.message import Answer, Request
from a9fe.wire.refusals import Refusal
from a9fe.wire.trusted import first_hops_own, has_forwarded_for


@dataclass(slots=True, kw_only=True)  # frozen ones take 1 us longer to make
class Asked:
    """One request: its key, and what the hop before states of it.

    `request` has the guest's own headers only. `id` is the request id, b"" to make one if it is
    refused.
    """

    request: Request
    key: LookupKey
    id: bytes = b""
    is_forwarded: bool = False
    is_probe: bool = False


@dataclass(slots=True, unsafe_hash=True)  # frozen ones take 1 us longer to make
class Found:
    """The port of a connection, by one version of the source."""

    version: object
    key: LookupKey
    port: Port
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataHost:
    """Finds the port of a request and answers for its instance.

    An answer has the fields `owner`, `close` and `hop_limit`, and no X-A9fe header but the request
    id.
    """

    finder: PortFinder
    service: Service
    report: Report

    def of_guest(self, request: Request) -> Answer | Awaitable[Answer]:
        """Answer a guest's request on a listener: a Handler."""
        listener = request.listener
        if listener is None:
            raise TypeError("guests send requests to listeners only: this socket has none")
        is_forwarded = has_forwarded_for(request.headers)
        request = for_service(request)
        found = None if is_forwarded else self._found(request)
        if found is not None:
            return self._answer(request, found)
        key = key_of_connection(request, listener)
        if isinstance(key, Refusal):
            return self.report.refusal(key, request)
        return self.answer(Asked(request=request, key=key, is_forwarded=is_forwarded))

    def _found(self, request: Request) -> Found | None:
        """Return the port that an earlier request of the connection found, if it is current."""
        found = request.kept.found if request.kept is not None else None
        if not isinstance(found, Found) or found.version != self.finder.source.version:
            return None
        # The time of the connection counts until an answer has an owner.
        was_new = found.key.connected_at is not None
        return found if was_new == bool(request.connected_at) else None

    def answer(self, asked: Asked) -> Answer | Awaitable[Answer]:
        """Answer a request whose key is known."""
        port = self.finder.find(asked.key)
        if is_miss(port):
            return self._confirmed(asked)
        if isinstance(port, Refusal):
            return self._refuse(port, asked)
        origin = _origin_of(asked, port)
        found = Found(self.finder.source.version, asked.key, port, origin)
        kept = asked.request.kept
        if kept is not None and not (asked.is_forwarded or asked.is_probe or asked.id):
            kept.found = found
        return self._answer(asked.request, found)

    def _answer(self, request: Request, found: Found) -> Answer | Awaitable[Answer]:
        origin = found.origin
        result = self.service.answer(origin, request)
        if isinstance(result, Answer):
            return result if result.owner == origin.owner else _owned(result, origin.owner)
        asked = Asked(request=request, key=found.key, id=origin.request_id.encode())
        return self._later(asked, found.port, result)

    async def _confirmed(self, asked: Asked) -> Answer:
        """Confirm the miss with the server, once for look-up and service, and answer."""
        port, certain = await self.finder.confirmed(asked.key)
        if isinstance(port, Refusal):
            return self._refuse(port, asked)
        result = self.service.answer(_origin_of(asked, port), asked.request, certain=certain)
        if isinstance(result, Answer):
            return _owned(result, owner_of(port))
        return await self._later(asked, port, result)

    async def _later(self, asked: Asked, port: Port, result: Awaitable[Answer]) -> Answer:
        """Return the answer if its port still has the address: the wait may have been long."""
        answer = await result
        refusal = self.finder.refusal_after_wait(asked.key, port)
        if refusal is not None:
            return self._refuse(refusal, asked)
        return _owned(answer, owner_of(port))

    def _refuse(self, refusal: Refusal, asked: Asked) -> Answer:
        facts = facts_of(asked.key)
        answer = self.report.refusal(refusal, asked.request, request_id=asked.id, facts=facts)
        ends = asked.key.by_our_proxy and refusal in ENDS_CONNECTION
        return replace(answer, close=True) if ends else answer


def for_service(request: Request) -> Request:
    """Return the request with the guest's own headers only, and the connection's facts."""
    own = first_hops_own(request.headers)
    if len(own) == len(request.headers):
        return request
    return Request(  # `replace` takes five times as long
        method=request.method,
        target=request.target,
        headers=own,
        body=request.body,
        client_address=request.client_address,
        listener=request.listener,
        client_mac=request.client_mac,
        local_address=request.local_address,
        connected_at=request.connected_at,
        kept=request.kept,
    )


def _origin_of(asked: Asked, port: Port) -> Origin:
    return Origin(
        instance_id=port.device_id,
        tenant_id=port.project_id,
        port_id=port.id,
        is_forwarded=asked.is_forwarded,
        is_probe=asked.is_probe,
        request_id=asked.id.decode("ascii"),
        owner=owner_of(port),
    )


def _owned(answer: Answer, owner: bytes) -> Answer:
    """Return the answer with its owner. `replace` takes three times as long."""
    return Answer(
        status=answer.status,
        headers=answer.headers,
        body=answer.body,
        reason=answer.reason,
        hop_limit=answer.hop_limit,
        owner=owner,
    )
