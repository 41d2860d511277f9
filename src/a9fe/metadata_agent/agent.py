"""The agent as a handler: question, look-up, signature, upstream."""

import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import structlog

from a9fe.http.errors import UpstreamError
from a9fe.http.report import Report
from a9fe.metadata_agent.identify import Freshness, PortView, identify
from a9fe.metadata_agent.onward import onward
from a9fe.metadata_agent.question import Question, parse_question
from a9fe.model.errors import InvalidInput
from a9fe.model.resources import Port
from a9fe.wire.message import Answer, Handler, Request
from a9fe.wire.refusals import Refusal
from a9fe.wire.trusted import REQUEST_ID, sign

SIGNATURES_REMEMBERED = 4096  # one an instance; 64 bytes each

# Ours are 12 hex digits. Whatever else an operator's proxy makes must not break a log line.
_REQUEST_ID = re.compile(rb"[0-9A-Za-z._-]{1,64}")

log = structlog.get_logger("a9fe.metadata_agent")


class Source(PortView, Protocol):
    """The replica, as far as the agent needs it."""

    def freshness(self, now: float) -> Freshness:
        """How much its silence means at `now`, in UNIX seconds."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataAgent:
    """Forwards a request for the instance that asks. Failures of upstream are the server's to say.

    `sign` an instance id (see `signer`). `now()` in UNIX seconds. `source_lost_after`: seconds
    without the server after which the source is called lost. `debug` logs a line for each
    request, which costs a task each.
    """

    source: Source
    upstream: Handler
    report: Report
    sign: Callable[[str], bytes]
    source_lost_after: float
    now: Callable[[], float]
    debug: bool = False

    def handle(self, request: Request) -> Answer | Awaitable[Answer]:
        """The Handler."""
        request_id = self._request_id(request)
        question = parse_question(request)
        if isinstance(question, Refusal):
            return self.report.refusal(question, request, request_id=request_id)
        port = identify(
            self.source, question, self.source.freshness(self.now()), self.source_lost_after
        )
        if isinstance(port, Refusal):
            return self._refuse(port, request, question, request_id)
        signature = self.sign(port.device_id)
        result = self.upstream(onward(request, port, question.address, signature, request_id))
        if not self.debug or isinstance(result, Answer):
            return result
        return _logged(result, request, port, request_id)

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
        return self.report.refusal(refusal, request, request_id=request_id, facts=facts)


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
