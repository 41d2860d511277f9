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
from a9fe.wire.trusted import guests_own, is_forwarded_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request: its key, and what the hop before states of it.

    `request` has the guest's own headers only. `id` is the request id.
    """

    request: Request
    key: LookupKey
    id: bytes
    is_forwarded: bool
    is_probe: bool = False


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
        request_id = self.report.ids.new()
        key = key_of_connection(request, listener)
        if isinstance(key, Refusal):
            return self.report.refusal(key, request, request_id=request_id)
        return self.answer(
            Asked(
                request=for_service(request),
                key=key,
                id=request_id,
                is_forwarded=any([is_forwarded_for(name) for name, _ in request.headers]),
            )
        )

    def answer(self, asked: Asked) -> Answer | Awaitable[Answer]:
        """Answer a request whose key is known."""
        port = self.finder.find(asked.key)
        if is_miss(port):
            return self._confirmed(asked)
        if isinstance(port, Refusal):
            return self._refuse(port, asked)
        result = self.service.answer(_origin_of(asked, port), asked.request)
        if isinstance(result, Answer):
            return _owned(result, port)
        return self._later(asked, port, result)

    async def _confirmed(self, asked: Asked) -> Answer:
        """Confirm the miss with the server, once for look-up and service, and answer."""
        port, certain = await self.finder.confirmed(asked.key)
        if isinstance(port, Refusal):
            return self._refuse(port, asked)
        result = self.service.answer(_origin_of(asked, port), asked.request, certain=certain)
        if isinstance(result, Answer):
            return _owned(result, port)
        return await self._later(asked, port, result)

    async def _later(self, asked: Asked, port: Port, result: Awaitable[Answer]) -> Answer:
        """Return the answer if its port still has the address: the wait may have been long."""
        answer = await result
        refusal = self.finder.refusal_after_wait(asked.key, port)
        return _owned(answer, port) if refusal is None else self._refuse(refusal, asked)

    def _refuse(self, refusal: Refusal, asked: Asked) -> Answer:
        facts = facts_of(asked.key)
        answer = self.report.refusal(refusal, asked.request, request_id=asked.id, facts=facts)
        ends = asked.key.by_our_proxy and refusal in ENDS_CONNECTION
        return replace(answer, close=True) if ends else answer


def for_service(request: Request) -> Request:
    """Return the request with the guest's own headers only, and the connection's facts."""
    return replace(request, headers=tuple(guests_own(request.headers)))


def _origin_of(asked: Asked, port: Port) -> Origin:
    return Origin(
        instance_id=port.device_id,
        tenant_id=port.project_id,
        port_id=port.id,
        is_forwarded=asked.is_forwarded,
        is_probe=asked.is_probe,
        request_id=asked.id.decode("ascii"),
    )


def _owned(answer: Answer, port: Port) -> Answer:
    """Return a new Answer. `replace` takes three times as long, and this runs for each answer."""
    return Answer(
        status=answer.status,
        headers=answer.headers,
        body=answer.body,
        reason=answer.reason,
        hop_limit=answer.hop_limit,
        owner=owner_of(port),
    )
