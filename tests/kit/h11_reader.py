"""What h11, an independent reader of HTTP/1.1, reads in a guest's bytes; and how ours differs."""

import re
from typing import NamedTuple

import h11

from a9fe.http.head import BadMessage
from a9fe.http.server.reader import RequestReader
from a9fe.wire.limits import LIMITS
from a9fe.wire.message import Headers

_URL = re.compile(rb"https?://([^/?]+)(.*)", re.DOTALL | re.IGNORECASE)
_VALUES_WITHOUT_CASE = {b"transfer-encoding"}
# h11 refuses these, and we serve them: servers should ignore one blank line before a request
# (RFC 9112 section 2.2).
SERVED_UNLIKE_H11 = {"a blank line before a request": b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"}


class Read(NamedTuple):
    """A request as a server reads it; header names are lower-case."""

    method: bytes
    target: bytes
    headers: Headers
    body: bytes


class Reading(NamedTuple):
    """The requests of a stream of bytes up to the first that is refused, incomplete or the last
    of its connection."""

    requests: list[Read]
    refused: bool
    closed: bool


def ours(data: bytes, pieces: tuple[bytes, ...] = ()) -> Reading:
    """Read as our server does: `data`, or the same bytes in pieces."""
    reader, found = RequestReader(LIMITS), []
    try:
        for piece in pieces or (data,):
            reader.feed(piece)
            while (whole := reader.next()) is not None:
                head, body = whole
                found.append(Read(head.method, head.target, head.headers, body))
                if not head.keep_alive:
                    return Reading(found, refused=False, closed=True)
    except BadMessage:
        return Reading(found, refused=True, closed=False)
    return Reading(found, refused=False, closed=False)


def h11s(data: bytes, *, strict: bool = False) -> Reading:
    """Read as h11 does. Unless `strict`, one blank line before each request is left out."""
    found: list[Read] = []
    while True:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=LIMITS.head_bytes)
        data = data if strict else data.removeprefix(b"\r\n")
        if not data:
            return Reading(found, refused=False, closed=False)
        connection.receive_data(data)
        try:
            request = _one(connection)
        except h11.RemoteProtocolError:
            return Reading(found, refused=True, closed=False)
        if request is None:
            return Reading(found, refused=False, closed=False)
        found.append(request)
        if connection.their_state is h11.MUST_CLOSE:
            return Reading(found, refused=False, closed=True)
        data = connection.trailing_data[0]


def _one(connection: h11.Connection) -> Read | None:
    event = connection.next_event()
    if not isinstance(event, h11.Request):
        return None
    body = b""
    while isinstance(more := connection.next_event(), h11.Data):
        body += more.data
    if not isinstance(more, h11.EndOfMessage):
        return None
    return Read(event.method, event.target, tuple(map(tuple, event.headers)), body)


def differences(data: bytes, for_h11: bytes | None = None) -> list[str]:
    """Return what we accept unlike h11: nothing, if all is right. `for_h11`: other data for it.

    We may refuse what h11 accepts. Where both accept, they agree on method, target, headers and
    body; an absolute target is our path and Host (RFC 9112 section 3.2.2).
    """
    mine, its = ours(data), h11s(data if for_h11 is None else for_h11)
    found = []
    for number, request in enumerate(mine.requests):
        if number >= len(its.requests):
            if not its.closed:  # h11 closes after each request of HTTP/1.0
                found.append(f"we accept, h11 {'refuses' if its.refused else 'awaits'}: {request}")
            break
        if (same := _comparable(request)) != (other := _as_ours(its.requests[number])):
            found.append(f"we read {same}, h11 reads {other}")
            break
    return found


def _comparable(request: Read) -> Read:
    return request._replace(
        headers=tuple(
            (name, value.lower() if name in _VALUES_WITHOUT_CASE else value)
            for name, value in request.headers
        )
    )


def _as_ours(request: Read) -> Read:
    """Return a request of h11 in origin form."""
    request = _comparable(request)
    url = _URL.fullmatch(request.target)
    if request.target.startswith(b"/") or url is None:
        return request
    path = url[2] if url[2].startswith(b"/") else b"/" + url[2]
    rest = tuple(pair for pair in request.headers if pair[0] != b"host")
    return request._replace(target=path, headers=((b"host", url[1]), *rest))
