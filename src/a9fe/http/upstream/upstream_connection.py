"""One connection to an upstream: one request and its answer at a time."""

import asyncio
import re
import ssl
from typing import Protocol, cast

from a9fe.http.framing import Body, ChunkedBody, FixedBody, UntilCloseBody
from a9fe.http.head import CHUNKED, UNTIL_CLOSE, AnswerHead, BadMessage, read_answer, with_crlf
from a9fe.http.render import request_bytes
from a9fe.http.server.sockets import reset_on_close
from a9fe.http.upstream.addresses import Address
from a9fe.http.upstream.errors import (
    UpstreamBroken,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUntrusted,
    reason_of,
)
from a9fe.http.upstream.exchange import Exchange
from a9fe.wire.limits import MAX_HEAD_BYTES
from a9fe.wire.message import Answer
from a9fe.wire.refusals import Refusal

# Upstreams are read leniently: a line may end without CR (RFC 9112 section 2.2), as some write.
_END = re.compile(rb"\n\r?\n")


class Pool(Protocol):
    """The methods of a pool that a connection calls."""

    max_body: int

    def freed(self, connection: "UpstreamConnection", *, reusable: bool, answered: bool) -> None:
        """Take back a connection whose exchange has ended; `answered`: with an answer."""
        ...

    def repeat(self, exchange: Exchange, unanswered_by: Address) -> None:
        """Repeat the request: its connection closed before the answer was complete."""
        ...

    def unanswered(self, address: Address, error_type: type[UpstreamError], why: str) -> None:
        """Note that a request was sent there, and not answered."""
        ...

    def has_other(self, address: Address) -> bool:
        """Return whether another address than this one is up."""
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
        "address",
        "collected",
        "exchange",
        "idle_since",
        "is_reused",
    )

    def __init__(self, pool: Pool, address: Address) -> None:
        """The transport connects later."""
        self._pool = pool
        self.address = address
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)  # until made
        self._buffer = bytearray()
        self._head: AnswerHead | None = None
        self._body: Body | None = None
        self.exchange: Exchange | None = None
        self.idle_since = 0.0
        self.is_reused = False  # it has had an answer
        self.collected = 0  # bytes of an answer that has not arrived whole

    def ask(self, exchange: Exchange) -> None:
        """Send a whole request."""
        self.exchange = exchange
        exchange.connection = self
        exchange.was_sent = True
        target = self.address.target
        self._transport.write(
            request_bytes(
                exchange.request, self.address.authority, replaces_host=target.tls is not None
            )
        )

    def expire(self, now: float) -> None:
        """Fail the request if its deadline has passed, or ask another address."""
        exchange = self.exchange
        if exchange is None or now < min(exchange.deadline, exchange.patience):
            return
        is_late = now >= exchange.deadline
        if not is_late and not (exchange.repeats and self._pool.has_other(self.address)):
            return
        self.exchange = exchange.connection = None
        self._pool.unanswered(self.address, UpstreamTimeout, "no answer in time")
        if is_late:
            exchange.fail(UpstreamTimeout, f"{self.address.target}: no answer in time")
        else:
            self._pool.repeat(exchange, self.address)
        self.abort()

    def give_up(self, why: str) -> None:
        """Fail the request, close, and free the received part of the answer."""
        self._buffer.clear()
        self._body = None
        self._collect(0)
        self._break(UpstreamBroken, why)

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
            self._pool.unanswered(self.address, UpstreamBroken, bad.detail)
            self._break(UpstreamBroken, bad.detail)

    def eof_received(self) -> None:
        """Complete an answer whose body ends with the connection."""
        if self.exchange is not None and isinstance(self._body, UntilCloseBody):
            self._finish(self.exchange, bytes(self._body.data))

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the pending request, or repeat it."""
        exchange = self.exchange
        if exchange is not None and not exchange.done():
            self._lost_with(exchange, exc)
        self._collect(0)
        self._pool.lost(self)

    def _lost_with(self, exchange: Exchange, exc: Exception | None) -> None:
        """Fail or repeat a request whose connection closed.

        A kept connection may close just as a request is sent: the address has not failed then.
        """
        refused_us = isinstance(exc, ssl.SSLError)
        error_type = UpstreamUntrusted if refused_us else UpstreamBroken
        why = "closed before the end of its answer"
        if exc is not None:
            why += f": {reason_of(exc)}"
        if not self.is_reused or self.collected:
            self._pool.unanswered(self.address, error_type, why)
        if exchange.repeats and (not refused_us or self._pool.has_other(self.address)):
            self.exchange = exchange.connection = None
            self._pool.repeat(exchange, self.address)
        else:
            self._break(error_type, why)

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
        self.is_reused = True
        exchange.answer(
            Answer(status=head.status, headers=head.headers, body=body, reason=head.reason)
        )
        if not reusable:
            self._transport.close()
        self._pool.freed(self, reusable=reusable, answered=True)

    def _break(self, error_type: type[UpstreamError], why: str) -> None:
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.fail(error_type, f"{self.address.target}: {why}")
        self.abort()
