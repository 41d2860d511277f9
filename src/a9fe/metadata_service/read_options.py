"""What a guest asks of a document besides its path: conditions, forms, waiting. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from a9fe.metadata.rendered import Rendered
from a9fe.metadata_service.guest_call import Outcome, Refused
from a9fe.model.errors import A9feError
from a9fe.wire import wait_for_change
from a9fe.wire.message import Answer, Request
from a9fe.wire.refusals import Refusal

NOT_MODIFIED = 304
BOOLEANS = {"true": True, "false": False}
WAIT = wait_for_change.PARAMETER.decode()
SECONDS_MAX_DIGITS = 9
NO_ETAG = frozenset({b"", b"0", b"NONE"})  # GCE's clients begin with these

_TAGS = re.compile(rb'"[^"]*"')  # the comparison is weak: W/ says nothing
_ETAG = re.compile(r'(?:W/)?"?([^"]*)"?')

Query = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the query asks for. `last_etag`: wait while the document has it, b"" for not at all.

    `timeout` in seconds, None for as long as may be.
    """

    recursive: bool = False
    wait: bool = False
    last_etag: bytes = b""
    timeout: int | None = None


PLAIN = Wish()


class _Bad(A9feError):
    """A query parameter with a wrong value; the text says what is expected."""


def wish_of(query: Query, target: bytes) -> Wish | Refused:
    """The wish. Parameters that are not ours mean nothing (Nova).

    The hops before must have seen that it waits: the parameter's name is not to be escaped.
    """
    try:
        return Wish(
            recursive=_boolean(query, "recursive"),
            wait=_waits(query, target),
            last_etag=_etag(query),
            timeout=_seconds(query),
        )
    except _Bad as error:
        return Refused(refusal=Refusal.BAD_PARAMETER, detail=str(error))


def is_current(request: Request, etag: bytes) -> bool:
    """Whether the client says that it has this (If-None-Match, RFC 9110 section 13.1.2)."""
    said = b",".join(request.values(b"if-none-match")).strip()
    return said == b"*" or etag in _TAGS.findall(said) if said else False


def outcome(request: Request, rendered: Rendered) -> Outcome:
    """The document; or that it has not changed."""
    if rendered.etag and is_current(request, rendered.etag):
        return Answer(status=NOT_MODIFIED, headers=((b"etag", rendered.etag),))
    return rendered


def _one(query: Query, name: str) -> str:
    values = query.get(name, ())
    if len(values) > 1:
        raise _Bad(f"{name}: expected once")
    return values[0] if values else ""


def _boolean(query: Query, name: str) -> bool:
    said = _one(query, name).lower()
    if name in query and said not in BOOLEANS:
        raise _Bad(f"{name}: expected true or false")
    return BOOLEANS.get(said, False)


def _waits(query: Query, target: bytes) -> bool:
    if WAIT in query and not wait_for_change.may_wait(target):
        raise _Bad(f"{WAIT}: expected without escapes")
    return _boolean(query, WAIT)


def _etag(query: Query) -> bytes:
    """With or without the quotes of the header that it came in."""
    bare = _ETAG.fullmatch(_one(query, "last_etag"))
    if bare is None:
        raise _Bad("last_etag: expected the value of an ETag")
    tag = bare[1].encode("utf-8", "replace")
    return b"" if tag in NO_ETAG else b'"%b"' % tag


def _seconds(query: Query) -> int | None:
    said = _one(query, "timeout_sec")
    if "timeout_sec" not in query:
        return None
    if not (said.isascii() and said.isdigit() and len(said) <= SECONDS_MAX_DIGITS):
        raise _Bad("timeout_sec: expected whole seconds")
    return int(said)
