"""How a guest wants a document: query parameters and conditional requests. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from a9fe.metadata.rendered import Rendered
from a9fe.metadata_service.guest_call import DetailedRefusal, Outcome
from a9fe.model.errors import A9feError
from a9fe.wire import wait_for_change
from a9fe.wire.message import Answer, Request
from a9fe.wire.refusals import Refusal

NOT_MODIFIED = 304
BOOLEANS = {"true": True, "false": False}
WAIT = wait_for_change.PARAMETER.decode()
SECONDS_MAX_DIGITS = 9
NO_ETAG = frozenset({b"", b"0", b"NONE"})  # in the first request of GCE's clients

_TAGS = re.compile(rb'"[^"]*"')  # weak comparison: W/ is ignored
_ETAG = re.compile(r'(?:W/)?"?([^"]*)"?')

Query = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """The query parameters of a read.

    `last_etag`: wait as long as the document has this tag, b"" to not wait. `timeout` in seconds,
    None for the longest time allowed.
    """

    recursive: bool = False
    wait: bool = False
    last_etag: bytes = b""
    timeout: int | None = None


DEFAULT = ReadOptions()


class InvalidParameter(A9feError):
    """A query parameter with a wrong value; the text says what is expected."""


def read_options(query: Query, target: bytes) -> ReadOptions | DetailedRefusal:
    """Parse the query. Unknown parameters are ignored (Nova).

    The hops before look for the parameter's name in the target to see that a request waits, so
    the name must appear unescaped.
    """
    try:
        return ReadOptions(
            recursive=_boolean(query, "recursive"),
            wait=_waits(query, target),
            last_etag=_etag(query),
            timeout=_seconds(query),
        )
    except InvalidParameter as error:
        return DetailedRefusal(refusal=Refusal.BAD_PARAMETER, detail=str(error))


def is_current(request: Request, etag: bytes) -> bool:
    """Return whether the client has this version (If-None-Match, RFC 9110 section 13.1.2)."""
    values = request.values(b"if-none-match")
    if not values:
        return False
    header = b",".join(values).strip()
    return header == b"*" or etag in _TAGS.findall(header) if header else False


def conditional(request: Request, rendered: Rendered) -> Outcome:
    """Return the document, or 304 if the client has this version."""
    if rendered.etag and is_current(request, rendered.etag):
        return Answer(status=NOT_MODIFIED, headers=((b"etag", rendered.etag),))
    return rendered


def _one(query: Query, name: str) -> str:
    values = query.get(name, ())
    if len(values) > 1:
        raise InvalidParameter(f"{name}: expected once")
    return values[0] if values else ""


def _boolean(query: Query, name: str) -> bool:
    value = _one(query, name).lower()
    if name in query and value not in BOOLEANS:
        raise InvalidParameter(f"{name}: expected true or false")
    return BOOLEANS.get(value, False)


def _waits(query: Query, target: bytes) -> bool:
    if WAIT in query and not wait_for_change.may_wait(target):
        raise InvalidParameter(f"{WAIT}: expected without escapes")
    return _boolean(query, WAIT)


def _etag(query: Query) -> bytes:
    """Return the tag with quotes; the parameter may have the quotes of the header or not."""
    bare = _ETAG.fullmatch(_one(query, "last_etag"))
    if bare is None:
        raise InvalidParameter("last_etag: expected the value of an ETag")
    tag = bare[1].encode("utf-8", "replace")
    return b"" if tag in NO_ETAG else b'"%b"' % tag


def _seconds(query: Query) -> int | None:
    value = _one(query, "timeout_sec")
    if "timeout_sec" not in query:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= SECONDS_MAX_DIGITS):
        raise InvalidParameter("timeout_sec: expected whole seconds")
    return int(value)
