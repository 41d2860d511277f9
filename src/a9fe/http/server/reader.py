"""Read whole requests from bytes. No I/O.

The requests do not depend on how the bytes are split.
"""

import re
from enum import Enum

from a9fe.http.framing import ChunkedBody, FixedBody
from a9fe.http.head import CHUNKED, BadMessage, RequestHead, read_request, remembered_request
from a9fe.wire.limits import Limits
from a9fe.wire.refusals import Refusal

_END = b"\r\n\r\n"
_BARE_LF = re.compile(rb"(?<!\r)\n")

Incoming = tuple[RequestHead, bytes]  # a request's head and its whole body


class Reading(Enum):
    """The part of a request that the reader waits for."""

    NOTHING = "nothing"  # between requests
    HEAD = "head"
    BODY = "body"


class RequestReader:
    """Buffers bytes and takes whole requests from their front."""

    __slots__ = ("_blank", "_body", "_buffer", "_head", "_limits", "_searched")

    def __init__(self, limits: Limits) -> None:
        """`limits` bound a request; the caller bounds the bytes of pipelined requests."""
        self._limits = limits
        self._buffer = bytearray()
        self._searched = 0
        self._blank = False  # a blank line was skipped before this request
        self._head: RequestHead | None = None
        self._body: FixedBody | ChunkedBody | None = None

    @property
    def is_empty(self) -> bool:
        """Return whether no byte of a next request has arrived."""
        return not self._buffer and self._head is None

    @property
    def buffered(self) -> int:
        """Return the number of bytes that no request has taken yet."""
        return len(self._buffer)

    @property
    def held(self) -> int:
        """Return the number of buffered bytes, those of an incomplete body included."""
        return len(self._buffer) + (len(self._body.data) if self._body is not None else 0)

    @property
    def reading(self) -> Reading:
        """Return what the reader waits for."""
        if self._head is not None:
            return Reading.BODY
        return Reading.HEAD if self._buffer else Reading.NOTHING

    @property
    def awaits_continue(self) -> bool:
        """Return whether the client waits for 100 (Continue)."""
        return self._head is not None and self._head.expects and not self._buffer

    def feed(self, data: bytes) -> None:
        """Append bytes that arrived."""
        self._buffer += data

    def whole(self, data: bytes) -> Incoming | None:
        """Read `data` as one whole request without body (the fast path); None if it is not one.

        Raises BadMessage.
        """
        if self._buffer or self._head is not None or len(data) > self._limits.head_bytes:
            return None
        head = remembered_request(data)
        if head is None or len(head.headers) > self._limits.headers:
            if data.find(_END) != len(data) - len(_END) or data.startswith(b"\r\n"):
                return None
            head = read_request(data, self._limits.headers)
        return (head, b"") if head.length == 0 else None

    def next(self) -> Incoming | None:
        """Return the next whole request, None until more arrives.

        Raises BadMessage; the reader must not be used after it.
        """
        if self._head is None:
            data = self._take_head()
            if data is None:
                return None
            head = read_request(data, self._limits.headers)
            if head.length == 0:
                return head, b""
            self._begin_body(head)
        assert self._head is not None
        assert self._body is not None
        if not self._body.take(self._buffer):
            return None
        whole = self._head, bytes(self._body.data)
        self._head = self._body = None
        return whole

    def _take_head(self) -> bytes | None:
        buffer = self._buffer
        if buffer.startswith(b"\r\n"):
            self._skip_blank_line()
        end = buffer.find(_END, max(0, self._searched - len(_END)))
        limit = self._limits.head_bytes
        if end < 0:
            self._check_unfinished(limit)
            return None
        self._searched = 0
        self._blank = False
        end += len(_END)
        if end > limit:
            raise BadMessage(Refusal.HEAD_TOO_LARGE, f"head over {limit} bytes")
        head = bytes(buffer[:end])
        del buffer[:end]
        return head

    def _skip_blank_line(self) -> None:
        """Skip one blank line before a request (RFC 9112 section 2.2); refuse a second."""
        del self._buffer[:2]
        if self._blank or self._buffer.startswith(b"\r\n"):
            raise BadMessage(Refusal.MALFORMED, "blank lines instead of a request")
        self._blank = True
        self._searched = 0

    def _check_unfinished(self, limit: int) -> None:
        """Refuse an incomplete head that no further byte can make valid."""
        buffer = self._buffer
        if len(buffer) >= limit:
            raise BadMessage(Refusal.HEAD_TOO_LARGE, f"head over {limit} bytes")
        if _BARE_LF.search(buffer, max(0, self._searched - 1)):
            raise BadMessage(Refusal.MALFORMED, "line ends without CR")
        self._searched = len(buffer)

    def _begin_body(self, head: RequestHead) -> None:
        limit = self._limits.body_bytes
        if head.length > limit:
            raise BadMessage(Refusal.BODY_TOO_LARGE, f"body over {limit} bytes")
        self._head = head
        chunked = head.length == CHUNKED
        lines = self._limits.chunk_lines
        self._body = ChunkedBody(limit, lines=lines) if chunked else FixedBody(head.length)
