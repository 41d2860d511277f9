"""Reads request bodies: limits their size and time, decodes JSON, checks that text is storable."""

import asyncio
import json
import math
from collections import Counter
from typing import Any

from starlette.requests import ClientDisconnect, Request

from a9fe.api_tables.bad_request import BadRequest
from a9fe.api_tables.envelope import NAME_SHOWN_MAX, shown_name
from a9fe.server.asgi.operation import JSON, operation_of

BODY_MAX = 1024 * 1024  # bytes; the largest honest body is 64 KiB of user data and its envelope
TIME_MAX = 30.0  # s from the head to the end of the body
DEPTH_MAX = 32  # of nested JSON; bodies need 5
DIGITS_MAX = 300  # of a whole number: about what a float can be
_CHARSETS = frozenset({"utf-8", "utf8"})


async def read(request: Request, time_max: float = TIME_MAX) -> object:
    """Return the JSON document of a request, of the media type in the operation's row.

    The body must be complete within `time_max` s. Raises BadRequest (400, 408, 413, 415).
    """
    expected = operation_of(request).body
    _check_type(request, expected.media_type if expected else JSON)
    return parse(await _whole(request, time_max))


def _check_type(request: Request, expected: str) -> None:
    """Accept the expected media type, and a body without one, as Neutron does."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        given = request.headers["content-encoding"][:NAME_SHOWN_MAX]
        raise _unsupported(f"Content-Encoding {given!r} is not read; send the body as it is")
    given = ", ".join(request.headers.getlist("content-type"))
    name, _, parameters = given.partition(";")
    if given and name.strip().lower() != expected:
        shown = name.strip()[:NAME_SHOWN_MAX]
        raise _unsupported(f"Content-Type {shown!r} is not read here; send {expected}")
    for parameter in parameters.split(";"):
        key, _, value = parameter.partition("=")
        charset = value.strip().strip('"')
        if key.strip().lower() == "charset" and charset.lower() not in _CHARSETS:
            shown = charset[:NAME_SHOWN_MAX]
            raise _unsupported(f"The charset {shown!r} is not read; send UTF-8")


def _unsupported(message: str) -> BadRequest:
    return BadRequest(415, message, "HTTPUnsupportedMediaType")


async def _whole(request: Request, time_max: float) -> bytes:
    if _announced(request) > BODY_MAX:
        raise _too_large()
    chunks = bytearray()
    try:
        async with asyncio.timeout(time_max):
            async for chunk in request.stream():
                chunks += chunk
                if len(chunks) > BODY_MAX:
                    raise _too_large()
    except (TimeoutError, ClientDisconnect) as error:
        message = f"The body did not arrive whole within {time_max:g} s"
        raise BadRequest(408, message, "HTTPRequestTimeout") from error
    return bytes(chunks)


def _announced(request: Request) -> int:
    text = request.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < DIGITS_MAX else 0


def _too_large() -> BadRequest:
    message = f"The body is larger than {BODY_MAX} bytes"
    return BadRequest(413, message, "HTTPRequestEntityTooLarge")


def parse(body: bytes) -> object:
    """Return the document of JSON bytes. Raises BadRequest."""
    try:
        document = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_members,
            parse_constant=_refuse_constant,
            parse_float=_number,
            parse_int=_whole_number,
        )
    except UnicodeDecodeError as error:
        raise BadRequest(400, f"The body is not UTF-8: byte {error.start}") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise BadRequest(400, f"The body is not JSON: {error.msg} at {where}") from error
    except RecursionError as error:
        raise _too_deep() from error
    _check_texts(document)
    return document


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object. Raises BadRequest for a repeated member: parsers differ on those."""
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = counts.most_common(1)[0][0]
        raise BadRequest(400, f"{shown_name(twice)}: is in one object of the body more than once")
    return found


def _refuse_constant(name: str) -> None:
    raise BadRequest(400, f"The body is not JSON: {name} is no number of JSON")


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise BadRequest(400, f"The body has a number that is too large: {shown_name(text)}")
    return value


def _whole_number(text: str) -> int:
    if len(text) > DIGITS_MAX:
        raise BadRequest(400, f"The body has a number of more than {DIGITS_MAX} digits")
    return int(text)


def _too_deep() -> BadRequest:
    return BadRequest(400, f"The body is nested deeper than {DEPTH_MAX}")


def _check_texts(document: object) -> None:
    """Raise BadRequest for text that databases cannot store: NUL, half a surrogate pair."""
    level: list[tuple[str, Any]] = [("body", document)]
    for _ in range(DEPTH_MAX):
        for field, item in level:
            if isinstance(item, str) and not _storable(item):
                message = f"{shown_name(field)}: has a NUL or half a surrogate pair in its text"
                raise BadRequest(400, message)
        level = [inner for field, item in level for inner in _inside(field, item)]
        if not level:
            return
    raise _too_deep()


def _storable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _inside(field: str, item: object) -> list[tuple[str, Any]]:
    """Return the items inside an item, each with the name of its member."""
    if isinstance(item, dict):
        return [(field, name) for name in item] + list(item.items())
    return [(field, inner) for inner in item] if isinstance(item, list) else []
