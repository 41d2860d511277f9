"""One connection of a client: the asyncio protocol between transport, reader and handler.

Requests are answered one after the other; pipelined requests wait. `states` has the table of what
happens in each state. Deadlines are coarse: a sweep visits every connection; none has a timer.
"""

import asyncio
import socket
from collections.abc import Awaitable
from dataclasses import replace
from typing import cast

import structlog

from a9fe.http.head import METHODS, BadMessage, RequestHead
from a9fe.http.render import CONTINUE, answer_bytes
from a9fe.http.server.accepted import UNKNOWN, Accepted
from a9fe.http.server.hop_limit import HopLimit
from a9fe.http.server.host import Host
from a9fe.http.server.reader import Incoming, Reading, RequestReader
from a9fe.http.server.sockets import is_hung_up, reset_on_close
from a9fe.http.server.states import HALF_CLOSED, TABLE, Event, Expiry, State
from a9fe.http.server.succession import FIRST, HandedOn, handed_on
from a9fe.http.upstream.errors import UpstreamError
from a9fe.wire.message import Answer, IdleConnection, Kept, Listener, Request
from a9fe.wire.refusals import Refusal
from a9fe.wire.shares import Client, client_of

ALLOW = (b"allow", b", ".join(sorted(METHODS)))  # with each 405 (RFC 9110 section 15.5.6)
MUCH = 32 * 1024  # bytes at once after a refused request: reading on would only cost CPU
REFUSALS = 400  # statuses from here on carry no metadata

IDLE, AWAITED, ANSWERED = State.IDLE, Event.AWAITED, Event.ANSWERED  # looked up per request
BEGUN = {
    Reading.NOTHING: Event.NOTHING_BEGUN,
    Reading.HEAD: Event.HEAD_BEGUN,
    Reading.BODY: Event.BODY_BEGUN,
}

log = structlog.get_logger("a9fe.http")


class Connection(asyncio.Protocol):
    """Read requests, have the handler answer them in order, write the answers."""

    __slots__ = (
        "_current",
        "_hop_limit",
        "_host",
        "_kept",
        "_listener",
        "_owner",
        "_reader",
        "_refusal",
        "_request",
        "_since",
        "_state",
        "_task",
        "_transport",
        "accepted",
        "arriving",
        "client",
        "held",
    )

    def __init__(
        self,
        host: Host["Connection"],
        listener: Listener | None,
        accepted: Accepted = UNKNOWN,
        before: IdleConnection = FIRST,
    ) -> None:
        """`listener` accepted the connection; `accepted` are its facts.

        `before`: what the process before us knew of it.
        """
        self._host = host
        self._listener = listener
        self._reader = RequestReader(host.limits)
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)  # until made
        self._state = IDLE
        self._since = host.now  # the time at which the state began
        self._task: asyncio.Future[Answer] | None = None
        self._current: RequestHead | None = None
        self._request: Request | None = None
        self._refusal: Refusal | None = None
        # None until an answer has one
        self._hop_limit = HopLimit(before.hop_limit) if before.hop_limit else None
        self._owner = before.owner.encode("latin-1")  # of the answers, from the first answer on
        self.accepted = accepted
        self.client: Client = client_of(listener, accepted.client_mac, accepted.client_address)
        self._kept = Kept(client=self.client)
        self.held = 0  # bytes, as the server counts them
        self.arriving = False

    def _on(self, event: Event) -> None:
        """Go to the state after `event`; its deadline starts where the state changes."""
        after = self._state.after[event]
        if after is not self._state:
            self._state = after
            self._since = self._host.now

    # -- called by the transport -------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Have the server count the connection."""
        self._transport = cast(asyncio.Transport, transport)
        self._refusal = self._host.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the request under way."""
        self._host.closed(self)
        self._on(Event.LOST)
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """Answer each request that is whole."""
        if not self._state.parses:
            if not self._state.discards:
                self._read_ahead(data)
            elif len(data) >= MUCH:
                self.pause_reading()
            return
        try:
            whole = self._reader.whole(data)
        except BadMessage as bad:
            self._refuse(bad)
            return
        if whole is not None:
            self._dispatch(whole)
            return
        self._reader.feed(data)
        self._advance()
        self._report_held()

    def eof_received(self) -> bool:
        """Keep the connection open (True) where the client may still read answers."""
        self._on(Event.EOF)
        if self._state in HALF_CLOSED and is_hung_up(self.socket):
            self._on(Event.HUNG_UP)
        return self._state in HALF_CLOSED

    def pause_writing(self) -> None:
        """Answer nothing more until the client has read the last answer."""
        self._on(Event.BLOCKED)

    def resume_writing(self) -> None:
        """Answer the requests that were kept."""
        self._on(Event.UNBLOCKED)
        self._advance()
        self._report_held()

    @property
    def client_address(self) -> str:
        """The client's IP address, "" on a Unix socket."""
        return self.accepted.client_address

    @property
    def socket(self) -> socket.socket:
        """The accepted socket, for its options."""
        return cast(socket.socket, self._transport.get_extra_info("socket"))

    # -- called by the server ----------------------------------------------------------------

    def sweep(self, now: float) -> None:
        """Act if the state's deadline has passed. `now` is the loop's time."""
        if now - self._since > self._host.timeouts[self._state]:
            self._expire()

    def _expire(self) -> None:
        deadline = TABLE[self._state].deadline
        assert deadline is not None
        if deadline.then is Expiry.CLOSE:
            self._end()
        elif deadline.then is Expiry.REFUSE:
            what = self._state.name.lower()
            self._refuse(BadMessage(Refusal.HEAD_TIMEOUT, f"{what} came too slowly"))
        elif deadline.then is Expiry.ABORT:
            self.abort()
        else:
            self.reset()

    def drain(self) -> None:
        """End if no request is in flight; else after the answer."""
        if self._state is IDLE and not self._host.hands_on:
            self._end()
        elif self._state is IDLE:
            self.pause_reading()
            self._host.rests(self)

    def handed_on(self) -> HandedOn:
        """Return what goes to the next process; the copied socket becomes the caller's."""
        hops = self._hop_limit.hops if self._hop_limit is not None else 0
        facts = (self.accepted, self._owner, hops)
        return handed_on(self._listener, *facts, self.socket)

    def abort(self) -> None:
        """Close at once."""
        self._on(Event.ABORTED)
        self._transport.abort()

    @property
    def is_idle(self) -> bool:
        """Whether no part of a request is buffered and no part of an answer is unsent."""
        return self._state is IDLE

    def reset(self) -> None:
        """Close at once with RST: the kernel drops unsent data."""
        self._on(Event.ABORTED)
        if not self._transport.is_closing():
            reset_on_close(self.socket)
        self._transport.abort()

    def pause_reading(self) -> None:
        """Stop reading; the kernel buffers the client's data."""
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read the client's data again."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _report_held(self) -> None:
        """Report the bytes held: of a request that arrives or is being answered, and of unsent
        answers. A closing connection keeps its count until it is closed."""
        if (self._state is IDLE and not self.held) or self._transport.is_closing():
            return  # an idle one holds nothing
        held = self._reader.held + self._transport.get_write_buffer_size()
        if self._request is not None:
            held += len(self._request.body)
        arriving = self._state.parses and not self._reader.is_empty
        if held != self.held or arriving != self.arriving:
            self._host.holds(self, held, arriving=arriving)

    # -- requests ----------------------------------------------------------------------------

    def _read_ahead(self, data: bytes) -> None:
        self._reader.feed(data)
        if self._reader.buffered > self._host.limits.pipelined_bytes:
            self._transport.pause_reading()
        self._report_held()

    def _advance(self) -> None:
        """Answer the whole requests of the buffer in order, until one is awaited."""
        while self._state.parses:
            try:
                whole = self._reader.next()
            except BadMessage as bad:
                self._refuse(bad)
                return
            if whole is None:
                self._wait_for_more()
                return
            self._dispatch(whole)

    def _wait_for_more(self) -> None:
        before = self._state
        if before is State.REST:
            self._end()
            return
        if not self._transport.is_reading():
            self._transport.resume_reading()
        self._on(BEGUN[self._reader.reading])
        if self._host.draining:
            self.drain()
        if self._state is State.BODY is not before and self._reader.awaits_continue:
            self._transport.write(CONTINUE)

    def _dispatch(self, whole: Incoming) -> None:
        head, body = whole
        self._current = head
        if self._refusal is not None:
            self._refuse(BadMessage(self._refusal, "over the limit"))
            return
        client_address, client_mac, local_address, connected_at = self.accepted
        request = Request(
            method=head.method,
            target=head.target,
            headers=head.headers,
            body=body,
            client_address=client_address,
            listener=self._listener,
            client_mac=client_mac,
            local_address=local_address,
            connected_at=0.0 if self._owner else connected_at,
            kept=self._kept,
        )
        try:
            result = self._host.handler(request)
        except Exception:  # noqa: BLE001 - every defect of a handler is answered with 500
            self._send(self._defect(request))
            return
        if isinstance(result, Answer):
            self._send(result)
        else:
            self._request = request
            self._await(result)

    def _await(self, result: Awaitable[Answer]) -> None:
        self._state = self._state.after[AWAITED]  # no new deadline: REST has just begun
        task = asyncio.ensure_future(result)
        self._task = task
        task.add_done_callback(self._answered)

    def _answered(self, task: asyncio.Future[Answer]) -> None:
        self._task = None
        request, self._request = self._request, None
        if self._state.discards:  # nobody reads the answer
            if not task.cancelled():
                task.exception()  # mark it as retrieved
            return
        self._send(self._result_of(task, request))
        if not self._reader.is_empty or self._state is State.REST:
            self._advance()
            self._report_held()

    def _result_of(self, task: asyncio.Future[Answer], request: Request | None) -> Answer:
        try:
            return task.result()
        except UpstreamError as error:
            return self._host.report.refusal(
                error.refusal, request, request_id=error.request_id, facts={"upstream": str(error)}
            )
        except (Exception, asyncio.CancelledError):  # noqa: BLE001 - as in _dispatch
            return self._defect(request)

    def _defect(self, request: Request | None) -> Answer:
        """Called where an exception is handled: its traceback goes to the log."""
        request_id = self._host.report.ids.new()
        log.exception("defect", request=request_id.decode())
        return self._host.report.refusal(Refusal.INTERNAL, request, request_id=request_id)

    # -- answers -----------------------------------------------------------------------------

    def _send(self, answer: Answer) -> None:
        head, self._current = self._current, None
        assert head is not None
        if self._state is not IDLE:
            self._state = self._state.after[ANSWERED]
        self._since = self._host.now
        head_only = head.method == b"HEAD"
        if self._host.outgoing is not None:
            answer = self._host.outgoing(answer)
        if answer.owner != self._owner:
            answer = self._of_one_owner(answer)
        self._host.report.answered(answer.status)
        draining = self._host.draining
        close = answer.close or not head.keep_alive or (draining and not self._host.hands_on)
        if answer.hop_limit or self._hop_limit is not None:
            self._limit_hops(answer.hop_limit)
        self._transport.write(answer_bytes(answer, head_only=head_only, close=close, old=head.old))
        self._report_held()
        if close:
            self._end()
        elif draining and self._reader.is_empty:
            self.drain()

    def _limit_hops(self, hops: int) -> None:
        if self._hop_limit is None:
            self._hop_limit = HopLimit()
        if hops != self._hop_limit.hops and not self._transport.is_closing():
            self._hop_limit.change(self.socket, hops, self._transport)

    def _end(self) -> None:
        """Close when all is sent."""
        self._on(Event.ENDED)
        self._transport.close()

    def _of_one_owner(self, answer: Answer) -> Answer:
        """The first owner of an answer owns the connection. Answers of another owner, and answers
        without owner other than refusals, are withheld: the address may have a new owner.
        """
        if not self._owner:
            self._owner = answer.owner
            return answer
        if not answer.owner and answer.status >= REFUSALS:
            return answer
        facts = {"client_address": self.client_address, "owner": self._owner.decode("latin-1")}
        refused = self._host.report.refusal(Refusal.OTHER_OWNER, facts=facts)
        return replace(refused, close=True)

    def _refuse(self, bad: BadMessage) -> None:
        """Answer, and close after the linger timeout: a reset could overtake the answer."""
        facts = {"client_address": self.client_address, "detail": bad.detail}
        if self._listener is not None:
            facts["listener"] = self._listener.key
        answer = self._host.report.refusal(bad.refusal, facts=facts)
        if bad.refusal is Refusal.METHOD_NOT_ALLOWED:
            answer = replace(answer, headers=(*answer.headers, ALLOW))
        self._host.report.answered(answer.status)
        head_only = self._current is not None and self._current.method == b"HEAD"
        self._on(Event.REFUSED)
        self._transport.write(answer_bytes(answer, head_only=head_only, close=True))
        if self._state is State.REFUSED and self._transport.can_write_eof():
            self._transport.resume_reading()
            self._transport.write_eof()
        else:
            self._end()
