"""Bodies: find their end and remove their framing. No I/O."""

import re
import sys
from enum import Enum

from a9fe.http.head import BadMessage
from a9fe.wire.limits import MAX_CHUNK_LINE_BYTES, MAX_HEAD_BYTES
from a9fe.wire.refusals import Refusal

UNLIMITED = sys.maxsize
# Size in hex (8 digits are 4 GiB), then extensions, which are ignored but must be plain text.
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:;[\t\x20-\x7e]*)?")
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*")
_NEVER_TRAILERS = (b"content-length", b"transfer-encoding")  # RFC 9110 section 6.5.1
_END = b"\r\n"


class FixedBody:
    """A body of `length` bytes."""

    __slots__ = ("_length", "data")

    def __init__(self, length: int) -> None:
        """`length` has been checked against the limit."""
        self._length = length
        self.data = bytearray()

    def take(self, buffer: bytearray) -> bool:
        """Move the body's part of `buffer` into `data`. Return whether the body is complete."""
        missing = self._length - len(self.data)
        self.data += buffer[:missing]
        del buffer[:missing]
        return len(self.data) == self._length


class _State(Enum):
    SIZE = 0
    DATA = 1
    DATA_END = 2
    TRAILER = 3
    DONE = 4


class ChunkedBody:
    """A chunked body (RFC 9112 section 7.1); extensions and trailers are dropped.

    Strict; with `lenient`, lines may end without CR.
    """

    __slots__ = (
        "_lenient",
        "_limit",
        "_lines",
        "_missing",
        "_searched",
        "_state",
        "_trailers",
        "data",
    )

    def __init__(self, limit: int, *, lines: int = UNLIMITED, lenient: bool = False) -> None:
        """`limit`: most bytes of the decoded body. `lines`: most size lines and trailers, as each
        line costs CPU, even for one byte."""
        self._limit = limit
        self._lines = lines
        self._lenient = lenient
        self._missing = 0
        self._searched = 0
        self._trailers = 0
        self._state = _State.SIZE
        self.data = bytearray()

    def take(self, buffer: bytearray) -> bool:
        """Move the body's part of `buffer` into `data`. Return whether the body is complete.

        Raises BadMessage.
        """
        while self._state is not _State.DONE:
            if not self._step(buffer):
                return False
        return True

    def _step(self, buffer: bytearray) -> bool:
        if self._state is _State.DATA:
            return self._data(buffer)
        line = self._line(buffer)
        if line is None:
            return False
        if self._state is _State.SIZE:
            self._count_line(Refusal.BODY_TOO_LARGE, "body in too many chunks")
            self._size(line)
        elif self._state is _State.DATA_END:
            if line:
                raise BadMessage(Refusal.MALFORMED, "chunk longer than its size")
            self._state = _State.SIZE
        else:
            self._trailer(line)
            if line:
                self._count_line(Refusal.MALFORMED, "too many trailers")
        return True

    def _count_line(self, refusal: Refusal, why: str) -> None:
        self._lines -= 1
        if self._lines < 0:
            raise BadMessage(refusal, why)

    def _line(self, buffer: bytearray) -> bytes | None:
        mark = b"\n" if self._lenient else _END
        end = buffer.find(mark, self._searched)
        if end < 0:
            self._searched = max(0, len(buffer) - 1)
            if len(buffer) > self._line_limit() + 1 or b"\n" in buffer:
                raise BadMessage(Refusal.MALFORMED, "chunk line too long or without CR")
            return None
        self._searched = 0
        if end > self._line_limit():
            raise BadMessage(Refusal.MALFORMED, "chunk line too long")
        line = bytes(buffer[:end])
        del buffer[: end + len(mark)]
        return line.removesuffix(b"\r") if self._lenient else line

    def _line_limit(self) -> int:
        return MAX_HEAD_BYTES if self._state is _State.TRAILER else MAX_CHUNK_LINE_BYTES

    def _size(self, line: bytes) -> None:
        size = _SIZE_LINE.fullmatch(line)
        if size is None:
            raise BadMessage(Refusal.MALFORMED, "chunk size is not a hexadecimal number")
        self._missing = int(size[1], 16)
        if len(self.data) + self._missing > self._limit:
            raise BadMessage(Refusal.BODY_TOO_LARGE, f"body over {self._limit} bytes")
        self._state = _State.DATA if self._missing else _State.TRAILER

    def _data(self, buffer: bytearray) -> bool:
        piece = buffer[: self._missing]
        del buffer[: self._missing]
        self.data += piece
        self._missing -= len(piece)
        if self._missing:
            return False
        self._state = _State.DATA_END
        return True

    def _trailer(self, line: bytes) -> None:
        self._trailers += len(line)
        if not line:
            self._state = _State.DONE
        elif self._trailers > MAX_HEAD_BYTES or not _TRAILER.fullmatch(line):
            raise BadMessage(Refusal.MALFORMED, "trailer malformed or too large")
        elif line.partition(b":")[0].lower() in _NEVER_TRAILERS:
            raise BadMessage(Refusal.MALFORMED, "trailer states a length")


class UntilCloseBody:
    """A body that ends with the connection (answers of HTTP/1.0)."""

    __slots__ = ("_limit", "data")

    def __init__(self, limit: int) -> None:
        """`limit` in bytes, inclusive."""
        self._limit = limit
        self.data = bytearray()

    def take(self, buffer: bytearray) -> bool:
        """Move all of `buffer`; never complete. Raises BadMessage above the limit."""
        self.data += buffer
        buffer.clear()
        if len(self.data) > self._limit:
            raise BadMessage(Refusal.BODY_TOO_LARGE, f"body over {self._limit} bytes")
        return False


Body = FixedBody | ChunkedBody | UntilCloseBody
