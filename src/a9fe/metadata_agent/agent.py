"""The agent as a handler: question, look-up, signature, upstream."""

import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Protocol

import structlog

from a9fe.http.report import Report
from a9fe.http.upstream.errors import UpstreamError
from a9fe.http.upstream.mapped_answer import MappedAnswer
from a9fe.metadata_agent.lookup_key import Question, parse_question
from a9fe.metadata_agent.port_lookup import PortView, identify, is_still
from a9fe.metadata_agent.upstream_request import onward
from a9fe.model.errors import InvalidInput
from a9fe.model.resources import Port
from a9fe.wire.freshness import Freshness
from a9fe.wire.message import Answer, Handler, Headers, Request
from a9fe.wire.refusals import Refusal
from a9fe.wire.trusted import (
    CLOSE,
    OWNER,
    REQUEST_ID,
    is_for_hops,
    is_from_our_hop,
    sign,
)

# The model and the connection disagree: the guest shall make another connection.
ENDS_CONNECTION = frozenset(
    {Refusal.WIRE_DIFFERS, Refusal.WRONG_MAC, Refusal.CONNECTION_TOO_OLD, Refusal.OTHER_OWNER}
)
FORBIDDEN, NOT_FOUND = 403, 404
SIGNATURES_REMEMBERED = 4096  # one an instance; 64 bytes each

# Ours are 12 hex digits. Whatever else an operator's proxy makes must not break a log line.
_REQUEST_ID = re.compile(rb"[0-9A-Za-z._-]{1,64}")

log = structlog.get_logger("a9fe.metadata_agent")


class Source(PortView, Protocol):
    """The replica, as far as the agent needs it."""

    def has_network(self, id: str) -> bool:
        """Whether the replica has the network."""
        ...

    def freshness(self, now: float) -> Freshness:
        """How much its silence means at `now`, in UNIX seconds."""
        ...


def ignore(_: Answer) -> None:
    """Do nothing about an answer with status 403."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataAgent:
    """Forwards a request with the id of the requesting instance. Upstream failures are raised.

    `confirm` updates the source from the server and returns whether that succeeded; without it
    there is no 404. `sign` signs an instance id (see `signer`). `now()` is in UNIX seconds.
    `source_lost_after`: seconds without the server after which the source counts as lost.
    `on_forbidden` is called with each 403 of the service. `debug` logs each request, at the cost
    of a task each.
    """

    source: Source
    upstream: Handler
    report: Report
    sign: Callable[[str], bytes]
    confirm: Callable[[], Awaitable[bool]]
    source_lost_after: float
    now: Callable[[], float]
    on_forbidden: Callable[[Answer], None] = ignore
    debug: bool = False

    def handle(self, request: Request) -> Answer | Awaitable[Answer]:
        """The Handler."""
        request_id = self._request_id(request)
        question = parse_question(request)
        if isinstance(question, Refusal):
            return self.report.refusal(question, request, request_id=request_id)
        port = self._identify(question)
        if isinstance(port, Refusal) and port.value.status == NOT_FOUND:
            return self._confirmed(request, question, request_id)
        return self._answer(request, question, port, request_id)

    async def _confirmed(self, request: Request, question: Question, request_id: bytes) -> Answer:
        """Confirm the miss with the server, look up again, and answer."""
        certain = await self.confirm()
        port = self._identify(question)
        if isinstance(port, Refusal) and not certain:
            port = _unsure(port)
        elif isinstance(port, Refusal) and self._is_wired_elsewhere(request, question):
            port = Refusal.WIRE_DIFFERS
        answer = self._answer(request, question, port, request_id)
        return answer if isinstance(answer, Answer) else await answer

    def _is_wired_elsewhere(self, request: Request, question: Question) -> bool:
        """Whether the request's network is no longer in the replica, though its namespace exists.

        The network's ports may then exist on the server without this host's replica having them.
        """
        network_id = question.network_id
        return (
            bool(network_id)
            and is_from_our_hop(request)
            and not self.source.has_network(network_id)
        )

    def _answer(
        self, request: Request, question: Question, port: Port | Refusal, request_id: bytes
    ) -> Answer | Awaitable[Answer]:
        if isinstance(port, Refusal):
            return self._refuse(port, request, question, request_id)
        signature = self.sign(port.device_id)
        result = self.upstream(onward(request, port, question.address, signature, request_id))
        homeward = partial(self._homeward, request, question, port, request_id)
        if isinstance(result, Answer):
            return homeward(result)
        answer = MappedAnswer(result, homeward)
        return _logged(answer, request, port, request_id) if self.debug else answer

    def _identify(self, question: Question) -> Port | Refusal:
        freshness = self.source.freshness(self.now())
        return identify(self.source, question, freshness, self.source_lost_after)

    def _homeward(
        self, request: Request, question: Question, port: Port, request_id: bytes, answer: Answer
    ) -> Answer:
        """The answer, if the same port still has the address; a wait for a change may be long.

        X-A9fe headers go only to our own proxy: another would pass them on to the guest.
        """
        if answer.status == FORBIDDEN:
            self.on_forbidden(answer)
        if not is_still(self.source, question, port):
            now = self._identify(question)
            if isinstance(now, Refusal) or _owner(now) != _owner(port):
                refusal = _unsure(now) if isinstance(now, Refusal) else Refusal.OTHER_OWNER
                return self._refuse(refusal, request, question, request_id)
        if is_from_our_hop(request):
            others = [pair for pair in answer.headers if pair[0].lower() != OWNER]
            return _with_headers(answer, (*others, (OWNER, _owner(port))))
        guests = tuple([pair for pair in answer.headers if not is_for_hops(pair[0])])
        return answer if len(guests) == len(answer.headers) else _with_headers(answer, guests)

    def _request_id(self, request: Request) -> bytes:
        """The proxy's id of the request; a new one where it gave none."""
        ids = request.values(REQUEST_ID)
        if len(ids) == 1 and _REQUEST_ID.fullmatch(ids[0]):
            return ids[0]
        return self.report.ids.new()

    def _refuse(
        self, refusal: Refusal, request: Request, question: Question, request_id: bytes
    ) -> Answer:
        facts = {"address": question.address}
        if question.network_id:
            facts["network"] = question.network_id
        else:
            facts["router"] = question.router_id
        if question.wire is not None:
            facts["interface"] = question.wire.port_id
        if question.mac:
            facts["mac"] = question.mac
        answer = self.report.refusal(refusal, request, request_id=request_id, facts=facts)
        if refusal in ENDS_CONNECTION and is_from_our_hop(request):
            return replace(answer, headers=(*answer.headers, (CLOSE, b"1")))
        return answer


def _owner(port: Port) -> bytes:
    """Whose answers a connection carries: the port, and its instance, which may change."""
    return f"{port.id}/{port.device_id}".encode()


def _unsure(refusal: Refusal) -> Refusal:
    """The refusal if the server did not confirm a 404."""
    return Refusal.UNCONFIRMED if refusal.value.status == NOT_FOUND else refusal


def _with_headers(answer: Answer, headers: Headers) -> Answer:
    """A new Answer: `replace` takes three times as long, and this runs for each answer."""
    return Answer(status=answer.status, headers=headers, body=answer.body, reason=answer.reason)


async def _logged(
    result: Awaitable[Answer], request: Request, port: Port, request_id: bytes
) -> Answer:
    began = time.monotonic()
    status = 0
    try:
        answer = await result
        status = answer.status
    except UpstreamError as error:
        status = error.refusal.value.status
        raise
    finally:
        log.debug(
            "request",
            method=request.method.decode("latin-1"),
            target=request.target[:256].decode("latin-1"),
            instance=port.device_id,
            port=port.id,
            status=status,
            ms=round((time.monotonic() - began) * 1000, 2),
            request=request_id.decode("latin-1"),
        )
    return answer


def signer(secret: str) -> Callable[[str], bytes]:
    """Signs instance ids with `secret`, remembering what it signed. Raises InvalidInput."""
    if not secret:
        raise InvalidInput("metadata_proxy_shared_secret", "", "a secret that is not empty")
    return lru_cache(maxsize=SIGNATURES_REMEMBERED)(
        lambda instance_id: sign(secret, instance_id).encode("ascii")
    )
