"""One connection of a client: the asyncio protocol that shuttles between reader and handler.

Requests are answered one after the other; what a client sends ahead waits. Times are coarse: the
server's sweep asks every connection in turn, so that a request costs no timer.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol, cast

import structlog

from a9fe.http.head import METHODS, BadMessage, RequestHead
from a9fe.http.render import CONTINUE, answer_bytes
from a9fe.http.report import Report
from a9fe.http.server.accepted import Accepted, facts_of
from a9fe.http.server.hop_limit import HopLimit
from a9fe.http.server.reader import Incoming, Reading, RequestReader
from a9fe.http.server.sockets import is_hung_up, reset_on_close
from a9fe.http.upstream.errors import UpstreamError
from a9fe.wire.limits import Limits
from a9fe.wire.message import Answer, Handler, Listener, Request
from a9fe.wire.refusals import Refusal
from a9fe.wire.shares import Client, client_of

ALLOW = (b"allow", b", ".join(sorted(METHODS)))  # with each 405 (RFC 9110 section 15.5.6)

REFUSALS = 400  # statuses from here on carry no metadata

log = structlog.get_logger("a9fe.http")


class Host(Protocol):
    """What a connection needs of its server."""

    handler: Handler
    limits: Limits
    report: Report
    now: float
    draining: bool
    outgoing: Callable[[Answer], Answer] | None

    def opened(self, connection: "Connection") -> Refusal | None:
        """Count it in; why its requests are refused, if they are."""
        ...

    def holds(self, connection: "Connection", held: int, *, arriving: bool) -> None:
        """Report the bytes held now. `arriving`: a request has been received in part."""
        ...

    def closed(self, connection: "Connection") -> None:
        """Count it out."""
        ...


class Connection(asyncio.Protocol):
    """Reads requests, has them answered in order, writes the answers."""

    __slots__ = (
        "_current",
        "_half_closed",
        "_hop_limit",
        "_host",
        "_lingering",
        "_listener",
        "_loop",
        "_owner",
        "_paused",
        "_reader",
        "_reading_paused",
        "_refusal",
        "_request",
        "_since",
        "_task",
        "_told_to_continue",
        "_transport",
        "accepted",
        "arriving",
        "client",
        "held",
    )

    def __init__(self, host: Host, listener: Listener | None) -> None:
        """`listener` is what the accepted socket stands for."""
        self._host = host
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._reader = RequestReader(host.limits)
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)  # until made
        self._task: asyncio.Future[Answer] | None = None
        self._current: RequestHead | None = None
        self._request: Request | None = None
        self._refusal: Refusal | None = None
        self._since = host.now
        self._hop_limit = HopLimit()
        self._owner = b""  # the port whose answers the connection is given, since the first one
        self._paused = self._reading_paused = False
        self._half_closed = self._lingering = self._told_to_continue = False
        self.accepted = Accepted()
        self.client: Client = ("", "")
        self.held = 0  # bytes; as the server counts them
        self.arriving = False

    # -- what the transport calls ------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Learn who it is."""
        self._transport = cast(asyncio.Transport, transport)
        self.accepted = facts_of(self.socket)
        self.client = client_of(
            self._listener, self.accepted.client_mac, self.accepted.client_address
        )
        self._transport.set_write_buffer_limits(high=0)  # what is not sent at once is waited for
        self._refusal = self._host.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone: so is the reason to go on with its request."""
        self._host.closed(self)
        self._lingering = True
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """Take it, and answer what is whole."""
        if self._lingering:
            return
        if self._task is not None or self._paused:
            self._read_ahead(data)
            return
        try:
            whole = self._reader.whole(data)
        except BadMessage as bad:
            self._refuse(bad)
            return
        if whole is not None:
            self._dispatch(whole)
            return
        if self._reader.reading is Reading.NOTHING:
            self._since = self._host.now
        self._reader.feed(data)
        self._advance()
        self._weigh()

    def eof_received(self) -> bool:
        """The client sends no more. It may still read: true keeps the connection for that."""
        if self._task is None or self._lingering or is_hung_up(self.socket):
            return False
        self._half_closed = True
        self._since = self._host.now
        return True

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        self._paused = True
        self._since = self._host.now

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._paused = False
        self._advance()
        self._weigh()

    @property
    def client_address(self) -> str:
        """The address of the other side, "" on a Unix socket."""
        return self.accepted.client_address

    @property
    def socket(self) -> socket.socket:
        """The accepted socket, to ask the kernel about it."""
        return cast(socket.socket, self._transport.get_extra_info("socket"))

    # -- what the server calls ---------------------------------------------------------------

    def sweep(self, now: float) -> None:
        """Let go of what has lasted too long. `now` is the loop's time."""
        limits = self._host.limits
        age = now - self._since
        if self._task is not None:
            if self._half_closed and age > limits.half_closed_timeout:
                self._transport.abort()
        elif self._lingering or self._paused:
            refused = self._lingering and not self._transport.is_closing()
            if age > (limits.linger_timeout if refused else limits.write_timeout):
                self.give_way()
        else:
            self._sweep_reading(age, limits)

    def _sweep_reading(self, age: float, limits: Limits) -> None:
        reading = self._reader.reading
        if reading is Reading.NOTHING:
            if age > limits.idle_timeout:
                self._transport.close()
        elif age > (limits.head_timeout if reading is Reading.HEAD else limits.body_timeout):
            self._refuse(BadMessage(Refusal.HEAD_TIMEOUT, f"{reading.value} came too slowly"))

    def drain(self) -> None:
        """Close as soon as nothing is in flight."""
        if self._task is None and not self._paused and self._reader.reading is Reading.NOTHING:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    @property
    def is_idle(self) -> bool:
        """Whether no part of a request is buffered and no part of an answer is unsent."""
        busy = self._task is not None or self._paused or self._lingering
        return not busy and self._reader.is_empty

    def give_way(self) -> None:
        """Close with RST: the kernel drops unsent data."""
        self._lingering = True
        if not self._transport.is_closing():
            reset_on_close(self.socket)
        self._transport.abort()

    def hear(self, *, on: bool) -> None:
        """Resume or pause reading; while paused the kernel keeps what the client sends."""
        if self._transport.is_closing():
            return
        self._reading_paused = not on
        if on:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _weigh(self) -> None:
        """Report the bytes held: of a request that arrives or is being answered, and of unsent
        answers. A closing connection keeps its count until it is closed."""
        if self._transport.is_closing():
            return
        reader = self._reader
        held = reader.held + self._transport.get_write_buffer_size()
        if self._request is not None:
            held += len(self._request.body)
        arriving = self._task is None and not reader.is_empty and not self._paused
        if held != self.held or arriving != self.arriving:
            self._host.holds(self, held, arriving=arriving)

    # -- requests ----------------------------------------------------------------------------

    def _read_ahead(self, data: bytes) -> None:
        self._reader.feed(data)
        if self._reader.buffered > self._host.limits.pipelined_bytes and not self._half_closed:
            self._transport.pause_reading()
            self._reading_paused = True
        self._weigh()

    def _advance(self) -> None:
        """Answer what is whole, in order, while nothing is awaited."""
        while self._task is None and not self._paused and not self._lingering:
            before = self._reader.reading
            try:
                whole = self._reader.next()
            except BadMessage as bad:
                self._refuse(bad)
                return
            if whole is None:
                self._wait_for_more(before)
                return
            self._dispatch(whole)

    def _wait_for_more(self, before: Reading) -> None:
        if self._half_closed:
            self._lingering = True
            self._transport.close()
            return
        if self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()
        if self._reader.reading is Reading.BODY:
            if before is not Reading.BODY:
                self._since = self._host.now
            if self._reader.awaits_continue and not self._told_to_continue:
                self._told_to_continue = True
                self._transport.write(CONTINUE)

    def _dispatch(self, whole: Incoming) -> None:
        head, body = whole
        self._current = head
        self._told_to_continue = False
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
        )
        try:
            result = self._host.handler(request)
        except Exception:  # noqa: BLE001 - whatever a handler does, the guest gets an answer
            self._send(self._defect(request))
            return
        if isinstance(result, Answer):
            self._send(result)
        else:
            self._request = request
            self._await(result)

    def _await(self, result: Awaitable[Answer]) -> None:
        task = asyncio.ensure_future(result, loop=self._loop)
        self._task = task
        task.add_done_callback(self._answered)

    def _answered(self, task: asyncio.Future[Answer]) -> None:
        self._task = None
        request, self._request = self._request, None
        if self._lingering:  # the client is gone
            if not task.cancelled():
                task.exception()  # noted: nobody is left to hear of it
            return
        self._send(self._result_of(task, request))
        if not self._reader.is_empty or self._half_closed:
            self._advance()
        self._weigh()

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
        self._since = self._host.now
        head_only = head.method == b"HEAD"
        if self._host.outgoing is not None:
            answer = self._host.outgoing(answer)
        if answer.owner != self._owner:
            answer = self._of_one_owner(answer)
        self._host.report.answered(answer.status)
        close = answer.close or not head.keep_alive or self._host.draining
        if answer.hop_limit != self._hop_limit.hops and not self._transport.is_closing():
            self._hop_limit.change(self.socket, answer.hop_limit, self._transport)
        self._transport.write(answer_bytes(answer, head_only=head_only, close=close, old=head.old))
        self._weigh()
        if close:
            self._lingering = True
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
        """Answer and close; read on for a while, as a reset would take the answer along."""
        where = {"client_address": self.client_address, "detail": bad.detail}
        if self._listener is not None:
            where["listener"] = self._listener.key
        answer = self._host.report.refusal(bad.refusal, facts=where)
        if bad.refusal is Refusal.METHOD_NOT_ALLOWED:
            answer = replace(answer, headers=(*answer.headers, ALLOW))
        self._host.report.answered(answer.status)
        head_only = self._current is not None and self._current.method == b"HEAD"
        self._transport.write(answer_bytes(answer, head_only=head_only, close=True))
        self._lingering = True
        self._since = self._host.now
        if self._reading_paused:
            self._transport.resume_reading()
        if self._half_closed or not self._transport.can_write_eof():
            self._transport.close()
        else:
            self._transport.write_eof()
