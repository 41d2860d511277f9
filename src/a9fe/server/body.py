"""Bodies of requests: read whole within a limit, decoded, and checked to be storable text."""

import json
from typing import Any

from starlette.requests import Request

from a9fe.server.bad_request import BadRequest

BODY_MAX = 1024 * 1024  # bytes; the largest honest body is 64 KiB of user data and its envelope
DEPTH_MAX = 32  # of nested JSON; bodies need 5


async def read(request: Request) -> object:
    """The JSON document of a request. Raises BadRequest (400, 413)."""
    return parse(await _whole(request))


async def _whole(request: Request) -> bytes:
    chunks = bytearray()
    async for chunk in request.stream():
        chunks += chunk
        if len(chunks) > BODY_MAX:
            message = f"The body is larger than {BODY_MAX} bytes"
            raise BadRequest(413, message, "HTTPRequestEntityTooLarge")
    return bytes(chunks)


def parse(body: bytes) -> object:
    """The document of JSON bytes. Raises BadRequest."""
    try:
        document = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise BadRequest(400, f"The body is not UTF-8: byte {error.start}") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise BadRequest(400, f"The body is not JSON: {error.msg} at {where}") from error
    except (ValueError, RecursionError) as error:
        raise BadRequest(400, "The body is not JSON that can be read") from error
    _check_texts(document)
    return document


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _check_texts(document: object) -> None:
    """Refuse text that no database can keep: NUL, and halves of surrogate pairs."""
    level: list[Any] = [document]
    for _ in range(DEPTH_MAX):
        texts = [item for item in level if isinstance(item, str)]
        if not all(_storable(text) for text in texts):
            raise BadRequest(400, "The body has text with a NUL or half a surrogate pair")
        level = [inner for item in level for inner in _inside(item)]
        if not level:
            return
    raise BadRequest(400, f"The body is nested deeper than {DEPTH_MAX}")


def _storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text)


def _inside(item: object) -> list[Any]:
    if isinstance(item, dict):
        return [*item.keys(), *item.values()]
    return item if isinstance(item, list) else []


def member(document: object, name: str) -> object:
    """The one member of {"network": ...}. Raises BadRequest."""
    if not isinstance(document, dict) or document.keys() != {name}:
        raise BadRequest(400, f'The body should be {{"{name}": ...}} and nothing else')
    return document[name]
