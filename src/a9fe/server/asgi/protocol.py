"""uvicorn's HTTP protocol with `connections.Bounds`: deadlines for heads, bodies and answers.

uvicorn itself only limits idle connections: it accepts a head of any size, at any speed.
"""

from enum import Enum
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from a9fe.model.policy import Caller
from a9fe.server.asgi.connections import (
    BODY_TIME,
    DRAIN_MAX,
    DRAIN_TIME,
    HEAD_MAX,
    HEAD_TIME,
    STALL_TIME,
    Bounds,
    peer_of,
)

NEVER = float("inf")


class Step(Enum):
    """The state of a connection. The value is the reason when its deadline passes."""

    HEAD = "head too slow"
    BODY = "body too slow"
    ANSWER = "answer not read"
    DRAIN = "rest of a body too long"
    IDLE = "idle"  # uvicorn closes these itself


TIMES = {Step.HEAD: HEAD_TIME, Step.BODY: BODY_TIME, Step.DRAIN: DRAIN_TIME}


class BoundedProtocol(HttpToolsProtocol):
    """One connection, closed when a deadline of its state passes."""

    def __init__(self, bounds: Bounds, **of_uvicorn: Any) -> None:  # noqa: ANN401 - uvicorn's
        """`of_uvicorn` are the arguments that uvicorn passes to its protocol."""
        super().__init__(**of_uvicorn)
        self._bounds = bounds
        self._step = Step.IDLE
        self._deadline = NEVER
        self._read = 0  # bytes received of an incomplete head, or of a body after its answer
        self._unsent = 0  # bytes in the write buffer when last checked
        self._closing = False
        self.peer = ""
        self.proven = False

    # ---- Connection, for Bounds

    def expire(self, now: float) -> str:
        """Close the connection if its deadline has passed, and return the reason, else ""."""
        if self.transport.is_closing() and not self._closing:
            self._close_by(now)
        if now < self._deadline:
            return ""
        if (self._closing or self._step is Step.ANSWER) and self._is_being_read(now):
            return ""
        if self._closing:
            self.abort()
            return Step.ANSWER.value
        if self._step is Step.BODY and self.pipeline:  # pipelined: the previous answer blocks it
            self._deadline = now + BODY_TIME
            return ""
        reason = self._step.value
        began = self._read if self._step is Step.HEAD else self._step is Step.BODY
        if began and not self._is_answered():
            self._refuse(b"408 Request Timeout")
        else:
            self.abort()
        self._close_by(now)
        return reason

    def _is_answered(self) -> bool:
        """Return whether an answer is being sent, so that another one would become part of it."""
        cycle = self._request
        return cycle is not None and cycle.response_started and not cycle.response_complete

    @property
    def _request(self) -> RequestResponseCycle | None:
        """The latest request; None before the first one."""
        return self.cycle

    def _is_being_read(self, now: float) -> bool:
        unsent = self.transport.get_write_buffer_size()
        if unsent and unsent >= self._unsent:
            return False
        self._unsent = unsent
        self._deadline = now + STALL_TIME
        return True

    def abort(self) -> None:
        """Close at once; unsent bytes are dropped."""
        self.transport.abort()

    def _close_by(self, now: float) -> None:
        """Mark the connection as closing; unsent bytes are sent as long as the peer reads."""
        self._closing = True
        self._unsent = self.transport.get_write_buffer_size()
        self._deadline = now + STALL_TIME

    def _refuse(self, status: bytes) -> None:
        """Answer with an empty error, cancel the application's request, and close."""
        cycle = self._request
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.write(
            b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        )
        self.transport.close()

    def _enter(self, step: Step) -> None:
        self._step = step
        self._read = 0
        self._deadline = self._bounds.monotonic() + TIMES[step] if step in TIMES else NEVER
        if step is Step.ANSWER:
            self._bounds.mark_busy(self)
        else:
            self._bounds.mark_waiting(self)

    # ---- callbacks of asyncio and of the HTTP parser

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - as uvicorn's
        """Admit the connection, or close it at once if there is no room."""
        super().connection_made(transport)
        self.peer = peer_of(self.client[0] if self.client else "")
        if self._bounds.admit(self):
            self._enter(Step.HEAD)
        else:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove the connection from the bounds."""
        self._bounds.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse received bytes, up to HEAD_MAX for a head and DRAIN_MAX after an answer.

        Bytes that arrive while a request is being answered are dropped, and the connection closes
        after the answer.
        """
        if self._closing or self.transport.is_closing():
            return
        if self._step is Step.ANSWER:
            self._end_with_answer()  # the dropped request was not run: the client may retry it
            return
        if self._step is Step.IDLE:
            self._enter(Step.HEAD)
        if self._step in {Step.HEAD, Step.DRAIN}:
            self._read += len(data)
        super().data_received(data)
        if self._step is Step.HEAD and self._read > HEAD_MAX:
            self._too_long("head too long", b"431 Request Header Fields Too Large")
        elif self._step is Step.DRAIN and self._read > DRAIN_MAX:
            self._too_long(Step.DRAIN.value, b"")

    def _end_with_answer(self) -> None:
        self.cycle.keep_alive = False
        if self.cycle.response_complete:  # complete, but still in the write buffer
            self.transport.close()

    def _too_long(self, reason: str, status: bytes) -> None:
        self._bounds.count(reason, self.peer)
        if status:
            self._refuse(status)
        else:
            self.abort()

    def on_headers_complete(self) -> None:
        """Wait for the body, which may be empty."""
        super().on_headers_complete()
        self._enter(Step.BODY)

    def on_message_complete(self) -> None:
        """Wait for the answer, or for the next request if the answer is complete."""
        super().on_message_complete()
        self._enter(Step.IDLE if self.cycle.response_complete else Step.ANSWER)

    def on_response_complete(self) -> None:
        """Wait for the next request, or drain the unread rest of this one's body."""
        self.proven = True
        super().on_response_complete()
        if self.transport.is_closing() or self._step is Step.HEAD:
            return
        if self._step is Step.BODY:
            self._enter(Step.DRAIN)
        elif self.cycle.response_complete and not self.flow.write_paused:
            self._enter(Step.IDLE)

    def pause_writing(self) -> None:
        """Start the deadline for a peer that does not read.

        The connection may now be evicted, unless its caller is an agent or an admin.
        """
        super().pause_writing()
        self._unsent = self.transport.get_write_buffer_size()
        self._deadline = self._bounds.monotonic() + STALL_TIME
        caller = self.scope.get("state", {}).get("caller")
        if not (isinstance(caller, Caller) and (caller.is_admin or caller.host)):
            self._bounds.mark_waiting(self)

    def resume_writing(self) -> None:
        """End the deadline: the peer reads again."""
        super().resume_writing()
        if self._step is Step.ANSWER and not self._closing:
            self._enter(Step.IDLE if self.cycle.response_complete else Step.ANSWER)
