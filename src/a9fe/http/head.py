"""Heads of requests and answers: parsed by llhttp (httptools), then checked once more.

A head is parsed when it is complete. llhttp refuses bare CR and LF, obs-fold, NUL, bad names and
unclear lengths. What it accepts and two servers could read differently (a second Host, blanks in
the request line, RTSP) is refused here.
"""

import re
from typing import Any, NamedTuple

import httptools

from a9fe.model.errors import A9feError
from a9fe.wire.memo import Memo
from a9fe.wire.message import Headers
from a9fe.wire.refusals import Refusal
from a9fe.wire.trusted import HOP_BY_HOP, REQUEST_ID

CHUNKED = -1  # length of a chunked body
UNTIL_CLOSE = -2  # length of an answer's body that ends with the connection
MAX_LENGTH_DIGITS = 15  # far above every limit, and no integer type overflows

# The methods that a hop passes on. CONNECT asks for a tunnel; TRACE echoes the headers, so that a
# guest could read those that hops add; no hop has WebDAV's methods.
METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})

_BARE_LF = re.compile(rb"(?<!\r)\n")
_BLANK = 0x20
_BLANKS = b" \t"
_NEW = b" HTTP/1.1\r\n"
_OLD = b" HTTP/1.0\r\n"
_LISTS_NOTHING = (None, b"keep-alive", b"close")  # nearly every Connection header
_ONLY_ONCE = (b"host", b"content-length", b"transfer-encoding", b"expect")
_LENGTH = re.compile(rb"[0-9]{1,%d}" % MAX_LENGTH_DIGITS)
_HOST = re.compile(rb"[0-9A-Za-z.\-_~!$&'()*+,;=%:\[\]]*")  # RFC 3986: reg-name, IP literal, port
_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?]+)(.*)", re.DOTALL)


class BadMessage(A9feError):
    """A message that is refused. `detail` is the reason, for the operator."""

    def __init__(self, refusal: Refusal, detail: str) -> None:
        """`detail` must not contain bytes of the sender."""
        super().__init__(detail)
        self.refusal = refusal
        self.detail = detail


class RequestHead(NamedTuple):
    """A request without its body. `length` in bytes, or CHUNKED. Names are lower-case.

    `old` is HTTP/1.0. `expects`: the client waits for 100 (Continue) before it sends its body. A
    tuple, because each request makes one, and a frozen dataclass costs three times as much.
    """

    method: bytes
    target: bytes
    headers: Headers
    length: int
    keep_alive: bool
    old: bool
    expects: bool


class AnswerHead(NamedTuple):
    """An answer without its body. `length` in bytes, CHUNKED or UNTIL_CLOSE.

    `headers` are the end-to-end ones, names as sent. The answer to a HEAD keeps Content-Length,
    the length that a GET would get.
    """

    status: int
    reason: bytes
    headers: Headers
    length: int
    keep_alive: bool


class _Collector:
    """The callbacks of httptools. Its keep-alive is known only during a callback."""

    __slots__ = ("headers", "keep_alive", "parser", "reason", "target")

    parser: Any  # httptools has no types

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.target = b""
        self.reason = b""
        self.keep_alive = False

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_status(self, reason: bytes) -> None:
        self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value.rstrip(_BLANKS)))

    def on_headers_complete(self) -> None:
        self.keep_alive = self.parser.should_keep_alive()


# Parsing is pure, and guests send the same few heads, so heads are remembered.
REMEMBERED_HEADS = 1024
REMEMBERED_BYTES = 1024  # of one head: at most 2 MiB in each of the memos

_requests: Memo[RequestHead] = Memo(entries=REMEMBERED_HEADS, key_bytes=REMEMBERED_BYTES)
_answers: Memo[AnswerHead] = Memo(entries=REMEMBERED_HEADS, key_bytes=REMEMBERED_BYTES)
_bodiless: Memo[AnswerHead] = Memo(entries=REMEMBERED_HEADS, key_bytes=REMEMBERED_BYTES)

remembered_request = _requests.get
"""Return the request of a head with exactly these bytes; None if it is not remembered."""

# The last line of a request of our hops: 12 hex digits, which never repeat.
_ID_MARK = b"\r\n" + REQUEST_ID + b": "
_ID_FROM = -len(b"0123456789ab\r\n\r\n")
_LINE_FROM = _ID_FROM - len(_ID_MARK)


def read_request(head: bytes, max_headers: int) -> RequestHead:
    """Read a request head as `parse_request` does, but remember it.

    The request id of a hop, as its last line, is read apart, so that the rest may repeat.
    """
    request_id = head[_ID_FROM:-4]
    if head[_LINE_FROM:_ID_FROM] != _ID_MARK or not request_id.isalnum():
        return _read_request(head, max_headers)
    rest = _read_request(head[:_LINE_FROM] + b"\r\n\r\n", max_headers - 1)
    return rest._replace(headers=(*rest.headers, (REQUEST_ID, request_id)))


def _read_request(head: bytes, max_headers: int) -> RequestHead:
    found = _requests.get(head)
    if found is None or len(found.headers) > max_headers:
        found = parse_request(head, max_headers)
        _requests.meet(head, found)
    return found


def with_crlf(head: bytes) -> bytes:
    """Return an answer's head with CRLF at the end of every line."""
    if head.count(b"\n") == head.count(b"\r\n"):
        return head
    return _BARE_LF.sub(b"\r\n", head)


def read_answer(head: bytes, *, bodiless: bool) -> AnswerHead:
    """Read an answer head as `parse_answer` does, but remember it."""
    memo = _bodiless if bodiless else _answers
    found = memo.get(head)
    if found is None:
        found = parse_answer(head, bodiless=bodiless)
        memo.meet(head, found)
    return found


def parse_request(head: bytes, max_headers: int) -> RequestHead:
    """Read a request head, blank line included. Raises BadMessage."""
    seen = _Collector()
    seen.parser = parser = httptools.HttpRequestParser(seen)
    try:
        parser.feed_data(head)
    except httptools.HttpParserUpgrade:
        pass  # the offer of another protocol is ignored, the request is served
    except httptools.HttpParserError as error:
        raise BadMessage(Refusal.MALFORMED, str(error)) from error
    if len(seen.headers) > max_headers:
        raise BadMessage(Refusal.HEAD_TOO_LARGE, f"more than {max_headers} headers")
    method, target = parser.get_method(), seen.target
    old = _is_old(head, method, target)
    _check_method(method)
    headers = tuple([(name.lower(), value) for name, value in seen.headers])
    fields = _single(headers)
    host = fields.get(b"host")
    if host is None and not old:
        raise BadMessage(Refusal.MALFORMED, "no Host header")
    if host and not _HOST.fullmatch(host):
        raise BadMessage(Refusal.MALFORMED, "Host is not a host name or address")
    length = _stated_length(fields)
    if length == CHUNKED and old:
        raise BadMessage(Refusal.MALFORMED, "Transfer-Encoding in HTTP/1.0")
    if not target.startswith(b"/") or b"#" in target:
        target, headers = _origin_form(method, target, headers)
    return RequestHead(
        method,
        target,
        headers,
        length or 0,
        seen.keep_alive,
        old,
        b"expect" in fields and not old and fields[b"expect"].lower() == b"100-continue",
    )


def _is_old(head: bytes, method: bytes, target: bytes) -> bool:
    """Return whether it is HTTP/1.0. The request line must consist of exactly these parts."""
    at = len(method) + 1
    version = at + len(target)
    if head.startswith(target, at) and head[at - 1] == _BLANK:
        if head.startswith(_NEW, version):
            return False
        if head.startswith(_OLD, version):
            return True
    raise BadMessage(Refusal.MALFORMED, "request line is not METHOD TARGET HTTP/1.x")


def _check_method(method: bytes) -> None:
    if method not in METHODS:
        raise BadMessage(Refusal.METHOD_NOT_ALLOWED, "method not allowed")


def _single(headers: Headers) -> dict[bytes, bytes]:
    """Return the headers by lower-case name. Raises BadMessage if one of _ONLY_ONCE repeats."""
    fields = dict(headers)
    if len(fields) != len(headers):
        names = [name for name, _ in headers]
        for name in _ONLY_ONCE:
            if names.count(name) > 1:
                raise BadMessage(Refusal.MALFORMED, f"more than one {name.decode()}")
    return fields


def _origin_form(method: bytes, target: bytes, headers: Headers) -> tuple[bytes, Headers]:
    """Return the path of an absolute-form target, and the headers with its host.

    RFC 9112 section 3.2.2. Raises BadMessage for other forms: authority, asterisk, malformed.
    """
    if target == b"*" and method == b"OPTIONS":
        raise BadMessage(Refusal.METHOD_NOT_ALLOWED, "OPTIONS * is not allowed")
    whole = _ABSOLUTE.fullmatch(target)
    if whole is None or not _HOST.fullmatch(whole[1]):
        raise BadMessage(
            Refusal.MALFORMED, "request target is not a path or an http URL, or has a fragment"
        )
    path = whole[2] if whole[2].startswith(b"/") else b"/" + whole[2]
    rest = tuple([pair for pair in headers if pair[0] != b"host"])
    return path, ((b"host", whole[1]), *rest)


def _stated_length(fields: dict[bytes, bytes]) -> int | None:
    """Return the length that the headers state, or CHUNKED; None if they state none."""
    length, coding = fields.get(b"content-length"), fields.get(b"transfer-encoding")
    if coding is not None:
        if length is not None or coding.lower() != b"chunked":
            raise BadMessage(Refusal.MALFORMED, "Transfer-Encoding other than `chunked` alone")
        return CHUNKED
    if length is None:
        return None
    if not _LENGTH.fullmatch(length):
        raise BadMessage(Refusal.MALFORMED, "Content-Length is not one number")
    return int(length)


def parse_answer(head: bytes, *, bodiless: bool) -> AnswerHead:
    """Read an answer head, blank line included. Raises BadMessage.

    `bodiless`: the request was a HEAD, and the stated length is that of a GET's answer.
    """
    seen = _Collector()
    seen.parser = parser = httptools.HttpResponseParser(seen)
    try:
        parser.feed_data(head)
    except httptools.HttpParserUpgrade as error:
        raise BadMessage(Refusal.UPSTREAM_BROKEN, "it asks for another protocol") from error
    except httptools.HttpParserError as error:
        raise BadMessage(Refusal.UPSTREAM_BROKEN, str(error)) from error
    status: int = parser.get_status_code()
    headers = tuple([(name.lower(), value) for name, value in seen.headers])
    fields = _single(headers)
    length = _stated_length(fields)
    if bodiless or status < 200 or status in (204, 304):
        length = 0
    connection = fields.get(b"connection")
    is_plain = connection in _LISTS_NOTHING and len(fields) == len(headers)
    dropped = HOP_BY_HOP if is_plain else _of_one_connection(headers)
    if bodiless:
        dropped -= {b"content-length"}
    return AnswerHead(
        status,
        seen.reason,
        tuple([pair for pair in seen.headers if pair[0].lower() not in dropped]),
        UNTIL_CLOSE if length is None else length,
        seen.keep_alive and length is not None,
    )


def _of_one_connection(headers: Headers) -> frozenset[bytes]:
    """Return the names of headers of one connection, Connection's list included."""
    lists = [value for name, value in headers if name == b"connection"]
    return HOP_BY_HOP.union(
        token.strip().lower() for value in lists for token in value.split(b",")
    )
