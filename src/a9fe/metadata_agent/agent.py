"""The agent as a handler: parse the lookup key, find the port, sign, forward."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial

from a9fe.http import trace
from a9fe.http.report import Report
from a9fe.http.upstream.mapped_answer import MappedAnswer
from a9fe.metadata_agent.lookup_key import LookupKey, parse_lookup_key
from a9fe.metadata_agent.port_finder import (
    ENDS_CONNECTION,
    PortFinder,
    facts_of,
    is_miss,
    owner_of,
)
from a9fe.metadata_agent.upstream_request import upstream_request
from a9fe.model.errors import InvalidInput
from a9fe.model.resources import Port
from a9fe.wire.message import Answer, Handler, Request
from a9fe.wire.refusals import Refusal
from a9fe.wire.trusted import (
    CLOSE,
    OWNER,
    REQUEST_ID,
    is_for_hops,
    is_from_our_hop,
    sign,
)

FORBIDDEN = 403
SIGNATURES_REMEMBERED = 4096  # one per instance; 64 bytes each

# Our ids are 12 hex digits. An id of another proxy must not break a log line.
_REQUEST_ID = re.compile(rb"[0-9A-Za-z._-]{1,64}")


def ignore(_: Answer) -> None:
    """Do nothing about an answer with status 403."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataAgent:
    """Forwards a request with the id of the requesting instance. Raises upstream's errors.

    `sign` signs an instance id (see `signer`). `on_forbidden` is called with each 403 of the
    service.
    """

    finder: PortFinder
    upstream: Handler
    report: Report
    sign: Callable[[str], bytes]
    on_forbidden: Callable[[Answer], None] = ignore

    def handle(self, request: Request) -> Answer | Awaitable[Answer]:
        """Answer a request of the proxy. This is the Handler."""
        request_id = self._request_id(request)
        key = parse_lookup_key(request)
        if isinstance(key, Refusal):
            return self.report.refusal(key, request, request_id=request_id)
        port = self.finder.find(key)
        if is_miss(port):
            return self._confirmed(request, key, request_id)
        return self._answer(request, key, port, request_id)

    async def _confirmed(self, request: Request, key: LookupKey, request_id: bytes) -> Answer:
        """Confirm the miss with the server, look up again, and answer."""
        port, _ = await self.finder.confirmed(key)
        answer = self._answer(request, key, port, request_id)
        return answer if isinstance(answer, Answer) else await answer

    def _answer(
        self, request: Request, key: LookupKey, port: Port | Refusal, request_id: bytes
    ) -> Answer | Awaitable[Answer]:
        if isinstance(port, Refusal):
            return self._refuse(port, request, key, request_id)
        if trace.current is not None:
            trace.current.owner = owner_of(port)
        signature = self.sign(port.device_id)
        outgoing = upstream_request(request, port, key.guest_address, signature, request_id)
        result = self.upstream(outgoing)
        checked = partial(self._checked, request, key, port, request_id)
        if isinstance(result, Answer):
            return checked(result)
        return MappedAnswer(result, checked)

    def _checked(
        self, request: Request, key: LookupKey, port: Port, request_id: bytes, answer: Answer
    ) -> Answer:
        """Return the answer if the same port still has the address: a wait may have been long.

        X-A9fe headers are sent only to our own proxy: another would pass them on to the guest.
        """
        if answer.status == FORBIDDEN:
            self.on_forbidden(answer)
        refusal = self.finder.refusal_after_wait(key, port)
        if refusal is not None:
            return self._refuse(refusal, request, key, request_id)
        if is_from_our_hop(request):
            others = [pair for pair in answer.headers if pair[0].lower() != OWNER]
            return answer.with_headers((*others, (OWNER, owner_of(port))))
        for_guest = tuple([pair for pair in answer.headers if not is_for_hops(pair[0])])
        unchanged = len(for_guest) == len(answer.headers)
        return answer if unchanged else answer.with_headers(for_guest)

    def _request_id(self, request: Request) -> bytes:
        """Return the proxy's id of the request, or a new one if it sent no valid id."""
        return request_id_of(request) or self.report.ids.new()

    def _refuse(
        self, refusal: Refusal, request: Request, key: LookupKey, request_id: bytes
    ) -> Answer:
        answer = self.report.refusal(refusal, request, request_id=request_id, facts=facts_of(key))
        if refusal in ENDS_CONNECTION and is_from_our_hop(request):
            return replace(answer, headers=(*answer.headers, (CLOSE, b"1")))
        return answer


def request_id_of(request: Request) -> bytes:
    """Return the id that the proxy gave the request, b"" if it sent no valid one."""
    ids = request.values(REQUEST_ID)
    return ids[0] if len(ids) == 1 and _REQUEST_ID.fullmatch(ids[0]) else b""


def signer(secret: str) -> Callable[[str], bytes]:
    """Return a function that signs instance ids with `secret`, and caches. Raises InvalidInput."""
    if not secret:
        raise InvalidInput("metadata_proxy_shared_secret", "", "a secret that is not empty")
    return lru_cache(maxsize=SIGNATURES_REMEMBERED)(
        lambda instance_id: sign(secret, instance_id).encode("ascii")
    )
