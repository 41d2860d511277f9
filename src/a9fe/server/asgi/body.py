"""Read request bodies: bounded in size and time, decoded from JSON, checked for storable text."""

import asyncio
import json
import math
from collections import Counter
from typing import Any

from starlette.requests import ClientDisconnect, Request

from a9fe.api_tables.bad_request import BadRequest
from a9fe.api_tables.envelope import NAME_SHOWN_MAX, shown_name
from a9fe.server.asgi.operation import JSON, operation_of

BODY_MAX = 1024 * 1024  # bytes; the largest valid body is 64 KiB of user data with its envelope
TIME_MAX = 30.0  # s from the end of the head to the end of the body
DEPTH_MAX = 32  # levels of nested JSON; valid bodies need 5
DIGITS_MAX = 300  # digits of an integer: about the range of a float
_CHARSETS = frozenset({"utf-8", "utf8"})


async def read(request: Request, time_max: float = TIME_MAX) -> object:
    """Return the JSON document in a request's body.

    The body must have the media type of the operation's row and be complete within `time_max` s.
    Raises BadRequest (400, 408, 413, 415).
    """
    expected = operation_of(request).body
    _check_type(request, expected.media_type if expected else JSON)
    return parse(await _read_bytes(request, time_max))


def _check_type(request: Request, expected: str) -> None:
    """Raise BadRequest (415) for another media type, charset or encoding.

    A body without Content-Type has the expected type (Neutron).
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        given = request.headers["content-encoding"][:NAME_SHOWN_MAX]
        raise _unsupported(f"Content-Encoding {given!r} is not supported; send the body unencoded")
    given = ", ".join(request.headers.getlist("content-type"))
    name, _, parameters = given.partition(";")
    if given and name.strip().lower() != expected:
        shown = name.strip()[:NAME_SHOWN_MAX]
        raise _unsupported(f"Content-Type {shown!r} is not supported here; send {expected}")
    for parameter in parameters.split(";"):
        key, _, value = parameter.partition("=")
        charset = value.strip().strip('"')
        if key.strip().lower() == "charset" and charset.lower() not in _CHARSETS:
            shown = charset[:NAME_SHOWN_MAX]
            raise _unsupported(f"The charset {shown!r} is not supported; send UTF-8")


def _unsupported(message: str) -> BadRequest:
    return BadRequest(415, message, "HTTPUnsupportedMediaType")


async def _read_bytes(request: Request, time_max: float) -> bytes:
    if _content_length(request) > BODY_MAX:
        raise _too_large()
    chunks = bytearray()
    try:
        async with asyncio.timeout(time_max):
            async for chunk in request.stream():
                chunks += chunk
                if len(chunks) > BODY_MAX:
                    raise _too_large()
    except (TimeoutError, ClientDisconnect) as error:
        message = f"The body did not arrive within {time_max:g} s"
        raise BadRequest(408, message, "HTTPRequestTimeout") from error
    return bytes(chunks)


def _content_length(request: Request) -> int:
    text = request.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < DIGITS_MAX else 0


def _too_large() -> BadRequest:
    message = f"The body is larger than {BODY_MAX} bytes"
    return BadRequest(413, message, "HTTPRequestEntityTooLarge")


def parse(body: bytes) -> object:
    """Return the JSON document in `body`. Raises BadRequest (400)."""
    try:
        document = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_object,
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


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object. Raises BadRequest for a duplicate member: parsers differ there."""
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        name = counts.most_common(1)[0][0]
        raise BadRequest(
            400, f"{shown_name(name)}: occurs more than once in an object of the body"
        )
    return found


def _refuse_constant(name: str) -> None:
    raise BadRequest(400, f"The body is not JSON: {name} is not a JSON number")


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise BadRequest(400, f"The body contains a number that is too large: {shown_name(text)}")
    return value


def _whole_number(text: str) -> int:
    if len(text) > DIGITS_MAX:
        raise BadRequest(400, f"The body contains an integer of more than {DIGITS_MAX} digits")
    return int(text)


def _too_deep() -> BadRequest:
    return BadRequest(400, f"The body is nested more than {DEPTH_MAX} levels deep")


def _check_texts(document: object) -> None:
    """Raise BadRequest for text that a database cannot store: NUL, or a lone surrogate.

    Raises BadRequest also for nesting deeper than DEPTH_MAX.
    """
    level: list[tuple[str, Any]] = [("body", document)]
    for _ in range(DEPTH_MAX):
        for field, item in level:
            if isinstance(item, str) and not _storable(item):
                message = f"{shown_name(field)}: contains a NUL or a lone surrogate"
                raise BadRequest(400, message)
        level = [inner for field, item in level for inner in _children(field, item)]
        if not level:
            return
    raise _too_deep()


def _storable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _children(field: str, item: object) -> list[tuple[str, Any]]:
    """Return the values inside an object or array, each with the name of its member.

    An object's member names are values too, since they are also checked.
    """
    if isinstance(item, dict):
        return [(field, name) for name in item] + list(item.items())
    return [(field, inner) for inner in item] if isinstance(item, list) else []
