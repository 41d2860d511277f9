"""One connection to an upstream: one request and its answer at a time."""

import asyncio
import re
from typing import Protocol, cast

from a9fe.http.framing import Body, ChunkedBody, FixedBody, UntilCloseBody
from a9fe.http.head import CHUNKED, UNTIL_CLOSE, AnswerHead, BadMessage, read_answer, with_crlf
from a9fe.http.server.sockets import reset_on_close
from a9fe.http.upstream.errors import UpstreamBroken, UpstreamTimeout
from a9fe.http.upstream.exchange import Exchange
from a9fe.wire.limits import MAX_HEAD_BYTES
from a9fe.wire.message import Answer
from a9fe.wire.refusals import Refusal

# Upstreams are read leniently: a line may end without CR (RFC 9112 section 2.2), as some write.
_END = re.compile(rb"\n\r?\n")


class Pool(Protocol):
    """The methods of a pool that a connection calls."""

    max_body: int

    def freed(self, connection: "UpstreamConnection", *, reusable: bool) -> None:
        """Take back a connection whose exchange has ended."""
        ...

    def repeat(self, exchange: Exchange) -> None:
        """Repeat the request: its connection closed before the answer was complete."""
        ...

    def collected(self, amount: int) -> None:
        """Count bytes of an answer; above the bound the pool gives up the largest answer."""
        ...

    def lost(self, connection: "UpstreamConnection") -> None:
        """Remove a closed connection."""
        ...


class UpstreamConnection(asyncio.Protocol):
    """The asyncio protocol of a connection to an upstream."""

    __slots__ = (
        "_body",
        "_buffer",
        "_head",
        "_pool",
        "_transport",
        "collected",
        "exchange",
        "idle_since",
    )

    def __init__(self, pool: Pool) -> None:
        """The transport connects later."""
        self._pool = pool
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)  # until made
        self._buffer = bytearray()
        self._head: AnswerHead | None = None
        self._body: Body | None = None
        self.exchange: Exchange | None = None
        self.idle_since = 0.0
        self.collected = 0  # bytes of an answer that has not arrived whole

    def ask(self, exchange: Exchange) -> None:
        """Send a whole request."""
        self.exchange = exchange
        exchange.connection = self
        self._transport.write(exchange.data)

    def expire(self, now: float) -> None:
        """Fail the request if its deadline has passed."""
        exchange = self.exchange
        if exchange is not None and now >= exchange.deadline:
            self.exchange = None
            exchange.fail(UpstreamTimeout, "no answer in time")
            self.abort()

    def give_up(self, why: str) -> None:
        """Fail the request, close, and free the received part of the answer."""
        self._buffer.clear()
        self._body = None
        self._collect(0)
        self._break(why)

    def abort(self) -> None:
        """Close with RST, so that the upstream cancels the request."""
        sock = self._transport.get_extra_info("socket")
        if sock is not None and not self._transport.is_closing():
            reset_on_close(sock)
        self._transport.abort()

    # -- called by the transport -------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Collect the answer."""
        if self.exchange is None:  # unsolicited: it could be taken for the next answer
            self.abort()
            return
        try:
            if self._head is not None or self._buffer or not self._whole(data, self.exchange):
                self._buffer += data
                self._read(self.exchange)
                if self.exchange is not None:
                    self._collect(self.collected + len(data))
        except BadMessage as bad:
            self._break(bad.detail)

    def eof_received(self) -> None:
        """Complete an answer whose body ends with the connection."""
        if self.exchange is not None and isinstance(self._body, UntilCloseBody):
            self._finish(self.exchange, bytes(self._body.data))

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the pending request, or repeat it."""
        self._collect(0)
        exchange = self.exchange
        if exchange is not None:
            if exchange.repeats and not exchange.done():
                self.exchange = None
                exchange.connection = None
                self._pool.repeat(exchange)
            else:
                self._break("closed before the end of its answer")
        self._pool.lost(self)

    # -- answers -----------------------------------------------------------------------------

    def _collect(self, held: int) -> None:
        if held != self.collected:
            more, self.collected = held - self.collected, held
            self._pool.collected(more)

    def _whole(self, data: bytes, exchange: Exchange) -> bool:
        """Complete an answer that arrived whole in one piece (the fast path), if it is one."""
        found = _END.search(data)
        if found is None or found.end() > MAX_HEAD_BYTES:
            return False
        end = found.end()
        head = read_answer(with_crlf(data[:end]), bodiless=exchange.head_only)
        if head.status < 200 or head.length != len(data) - end:
            return False
        self._head = head
        self._finish(exchange, data[end:])
        return True

    def _read(self, exchange: Exchange) -> None:
        while self._head is None:
            head = self._take_head(exchange)
            if head is None:
                return
            if head.status >= 200:  # 1xx precede the answer
                self._head = head
                self._body = self._body_of(head)
        assert self._body is not None
        if self._body.take(self._buffer):
            self._finish(exchange, bytes(self._body.data))

    def _take_head(self, exchange: Exchange) -> AnswerHead | None:
        found = _END.search(self._buffer)
        if found is None and len(self._buffer) < MAX_HEAD_BYTES:
            return None
        if found is None or found.end() > MAX_HEAD_BYTES:
            raise BadMessage(Refusal.UPSTREAM_BROKEN, "answer head too large")
        end = found.end()
        del found  # a match object locks the buffer's size
        data = bytes(self._buffer[:end])
        del self._buffer[:end]
        return read_answer(with_crlf(data), bodiless=exchange.head_only)

    def _body_of(self, head: AnswerHead) -> Body:
        limit = self._pool.max_body
        if head.length == CHUNKED:
            return ChunkedBody(limit, lenient=True)
        if head.length == UNTIL_CLOSE:
            return UntilCloseBody(limit)
        if head.length > limit:
            raise BadMessage(Refusal.UPSTREAM_BROKEN, "answer body too large")
        return FixedBody(head.length)

    def _finish(self, exchange: Exchange, body: bytes) -> None:
        head = self._head
        assert head is not None
        reusable = head.keep_alive and not self._buffer
        self._head = self._body = self.exchange = None
        self._collect(0)
        exchange.answer(
            Answer(status=head.status, headers=head.headers, body=body, reason=head.reason)
        )
        if not reusable:
            self._transport.close()
        self._pool.freed(self, reusable=reusable)

    def _break(self, why: str) -> None:
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.fail(UpstreamBroken, why)
        self.abort()
