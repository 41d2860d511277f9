"""Write messages as bytes: start lines, framing headers, bodies. No I/O."""

from functools import lru_cache
from http import HTTPStatus

from a9fe.wire.message import Answer, Headers, Request

# Each connection has its own framing: these headers of the message are left out.
FRAMING = frozenset({b"content-length", b"transfer-encoding", b"connection", b"keep-alive"})
FRAMING_AND_HOST = FRAMING | {b"host"}
BODY_METHODS = frozenset({b"POST", b"PUT", b"PATCH"})
BODILESS_STATUSES = frozenset({204, 304})

HEADS_REMEMBERED = 512  # of answers, at most 16 KiB each; ours have 100 bytes

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_STATUS_LINES = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in HTTPStatus}
_CLOSE = b"connection: close\r\n"
_KEEP = b"connection: keep-alive\r\n"  # only HTTP/1.0 clients need it


def answer_bytes(
    answer: Answer, *, head_only: bool = False, close: bool = False, old: bool = False
) -> bytes:
    """Return the whole answer. `head_only`: to a HEAD; `old`: to an HTTP/1.0 client."""
    lines = [_head(answer.status, answer.reason, answer.headers)]
    bodiless = answer.status in BODILESS_STATUSES
    if not bodiless:
        length = _length_of_get(answer) if head_only else len(answer.body)
        lines.append(b"content-length: %d\r\n" % length)
    if close:
        lines.append(_CLOSE)
    elif old:
        lines.append(_KEEP)
    lines.append(b"\r\n")
    if not head_only and not bodiless:
        lines.append(answer.body)
    return b"".join(lines)


def _length_of_get(answer: Answer) -> int:
    """Return the Content-Length for a HEAD: upstream's, if it stated one."""
    stated = [value for name, value in answer.headers if name.lower() == b"content-length"]
    return int(stated[0]) if stated and stated[0].isdigit() else len(answer.body)


@lru_cache(maxsize=HEADS_REMEMBERED)
def _head(status: int, reason: bytes, headers: Headers) -> bytes:
    """Return status line and headers, without framing. Cached: documents are read repeatedly."""
    first = _STATUS_LINES.get(status) if not reason else None
    lines = [first or b"HTTP/1.1 %d %b\r\n" % (status, reason)]
    lines += [b"%b: %b\r\n" % pair for pair in headers if pair[0].lower() not in FRAMING]
    return b"".join(lines)


def request_bytes(request: Request, host: bytes, *, replaces_host: bool = False) -> bytes:
    """Return the whole request, for a connection that stays open.

    `host`: the Host of a request that has none. `replaces_host`: it replaces the request's.
    """
    left_out = FRAMING_AND_HOST if replaces_host else FRAMING
    lines = [b"%b %b HTTP/1.1" % (request.method, request.target)]
    headers = request.headers
    lines += [b"%b: %b" % pair for pair in headers if pair[0] not in left_out]
    if replaces_host or b"host" not in [name for name, _ in headers]:
        lines.append(b"host: " + host)
    if request.body or request.method in BODY_METHODS:
        lines.append(b"content-length: %d" % len(request.body))
    lines += (b"", request.body)
    return b"\r\n".join(lines)
