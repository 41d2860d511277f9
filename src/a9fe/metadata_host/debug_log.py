"""Logs each request at debug level: target, client, instance, status and duration."""

import time

import structlog

from a9fe.wire.message import Answer, Handler, Request
from a9fe.wire.trusted import OWNER, REQUEST_ID

log = structlog.get_logger("a9fe.metadata_host")


def logged(handler: Handler) -> Handler:
    """Return the handler with a log line for each answer. It costs a task for each request."""

    async def handle(request: Request) -> Answer:
        began = time.monotonic()
        result = handler(request)
        answer = result if isinstance(result, Answer) else await result
        headers = dict(answer.headers)
        owner = answer.owner or headers.get(OWNER, b"")
        port, _, instance = owner.decode("latin-1").partition("/")
        log.debug(
            "request",
            method=request.method.decode("latin-1"),
            target=request.target[:256].decode("latin-1"),
            client_address=request.client_address,
            listener=request.listener.key if request.listener else "",
            instance=instance,
            port=port,
            status=answer.status,
            ms=round((time.monotonic() - began) * 1000, 2),
            request=headers.get(REQUEST_ID, b"").decode("latin-1"),
        )
        return answer

    return handle
