"""GET /a9fe/v1/feed: the change feed that agents follow (docs/contracts/change-feed.md)."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractContextManager, suppress

import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from a9fe.api_tables.schemas import TEXT
from a9fe.model.errors import InvalidInput
from a9fe.model.policy import ANY_HOST, check_host
from a9fe.server.asgi import NATIVE, Access, OperationTable, api_of, caller_of, example
from a9fe.server.auth.credentials import shown_in
from a9fe.server.feed.lines import MEDIA_TYPE, once
from a9fe.server.feed.roles import ROLES, Follower

log = structlog.get_logger()

FEED = OperationTable(f"{NATIVE}/feed", chapter="About the server")
SEND_TIMEOUT = 30.0
"""Seconds that a follower may leave a line unread: three heartbeats."""
LAST_TIMEOUT = 1.0  # s to send the end of the body after a token was revoked
REVISION_DIGITS = 18  # at most 10**18 - 1, so that it fits a signed 64-bit number


class _FeedResponse(StreamingResponse):
    """A streamed answer. It ends when the follower reads nothing for SEND_TIMEOUT.

    It also ends when the follower's API token stops being valid.
    """

    def __init__(
        self,
        first: bytes,
        lines: AsyncGenerator[bytes, None],
        admitted: Callable[[Callable[[], None]], AbstractContextManager[None]],
    ) -> None:
        """Send `first`, then `lines`. `admitted` takes a function that ends the answer."""

        async def whole() -> AsyncIterator[bytes]:
            yield first
            async for chunk in lines:
                yield chunk

        super().__init__(whole(), media_type=MEDIA_TYPE)
        self._lines = lines
        self._admitted = admitted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the lines until the follower disconnects or the answer is ended."""
        now = asyncio.get_running_loop().time
        try:
            async with asyncio.timeout(None) as until:
                with self._admitted(lambda: until.reschedule(now())):
                    await self._send(scope, receive, send)
        except TimeoutError:
            log.warning("feed ended: API token no longer valid", client=str(scope["client"]))
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_TIMEOUT):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def timed(message: Message) -> None:
            async with asyncio.timeout(SEND_TIMEOUT):
                await send(message)

        try:
            await super().__call__(scope, receive, timed)
        except TimeoutError:
            log.warning("feed ended: follower does not read", client=str(scope.get("client")))
        finally:
            await self._lines.aclose()


@FEED.add(
    "GET",
    "",
    Access.AGENT,
    query={
        "host": "The follower's host",
        "agent": "l3, dhcp, metadata or service",
        "from": "Send changes after this revision; without it, a snapshot",
        "once": "1: send the changes committed after `from`, then end",
    },
    query_required=("host", "agent"),
    answers={200: TEXT},
    answer_type=MEDIA_TYPE,
    examples=(example(query="host=node1&agent=dhcp"),),
)
async def follow(request: Request) -> Response:
    """Follow changes: a snapshot, then one JSON object a line.

    A metadata service with host=* gets the parts of all hosts. With once=1 the answer contains
    the changes committed after `from`, and ends.
    """
    query = request.query_params
    host, agent = query.get("host", ""), query.get("agent", "")
    if not host:
        raise InvalidInput("host", host, "the name of the agent's host")
    if agent not in ROLES:
        raise InvalidInput("agent", agent, "one of " + ", ".join(ROLES))
    if host == ANY_HOST and agent != "service":
        raise InvalidInput("host", host, "the name of a host; * is for agent=service")
    check_host(caller_of(request), host)
    follower, since = Follower(host, agent), _revision(query.get("from"))
    if _flag("once", query.get("once")):
        if since is None:
            raise InvalidInput("from", None, "a revision, if once is 1")
        after = since
        found = await api_of(request).read(request, lambda c: once(c.session, follower, after))
        return Response(b"".join(found), media_type=MEDIA_TYPE)
    lines = api_of(request).hub.follow(follower, since)
    first = await anext(lines, b"")  # before the headers, so that a database error gives a status
    shown = shown_in(request.headers)
    return _FeedResponse(first, lines, lambda end: api_of(request).admissions.hold(shown, end))


def _flag(name: str, text: str | None) -> bool:
    if text not in (None, "0", "1"):
        raise InvalidInput(name, text, "0 or 1")
    return text == "1"


def _revision(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > REVISION_DIGITS:
        raise InvalidInput("from", text, "a revision (a whole number)")
    return int(text)


OPERATIONS = tuple(FEED)
