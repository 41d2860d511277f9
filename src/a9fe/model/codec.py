"""Conversion of resources to JSON values and back, for the change feed and replicas.

Bytes are {"base64": "..."} and tuples are lists. Unknown fields are ignored, so that an older
agent can follow a newer server.
"""

import base64
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from a9fe.model.errors import A9feError
from a9fe.model.resources import KINDS, Resource

R = TypeVar("R")


class CodecError(A9feError, ValueError):
    """A document does not have the shape of its kind; the text names the field."""


_PLAIN = frozenset({str, int, bool, float, dict, NoneType})


@cache
def _names(cls: Any) -> tuple[str, ...]:  # noqa: ANN401 - a class of dataclasses
    return tuple(field.name for field in fields(cls))


def encode(value: object) -> Any:  # noqa: ANN401 - a JSON value has no better type
    """Return a resource (or a field of one) as JSON values."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    if is_dataclass(kind):
        return {name: encode(getattr(value, name)) for name in _names(kind)}
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode("ascii")}
    return value


_known_hints: dict[type[Any], dict[str, Any]] = {}


def _hints(cls: type[Any]) -> dict[str, Any]:
    if cls not in _known_hints:
        _known_hints[cls] = get_type_hints(cls)
    return _known_hints[cls]


def decode(cls: type[R], document: object) -> R:
    """Build a `cls` from a value of `encode`. Raises CodecError."""
    if not isinstance(document, dict):
        raise CodecError(f"{cls.__name__}: expected an object, got {type(document).__name__}")
    hints = _hints(cls)
    known: dict[str, Any] = {k: _field(hints[k], v, k) for k, v in document.items() if k in hints}
    try:
        return cls(**known)
    except TypeError as error:
        raise CodecError(f"{cls.__name__}: {error}") from error


def decode_kind(kind: str, document: object) -> Resource:
    """Build a resource of a kind. Raises CodecError, also for an unknown kind."""
    if kind not in KINDS:
        raise CodecError(f"kind: unknown {kind!r}, expected one of {', '.join(KINDS)}")
    return decode(KINDS[kind], document)


def _field(hint: Any, value: Any, name: str) -> Any:  # noqa: ANN401
    origin, args = get_origin(hint), get_args(hint)
    if origin in (UnionType, Union):
        return None if value is None else _field(args[0], value, name)
    if origin is tuple:
        return tuple(_field(args[0], item, name) for item in _typed(list, value, name))
    if origin is dict:
        return dict(_typed(dict, value, name))
    if isinstance(hint, type) and is_dataclass(hint):
        return decode(hint, value)
    if hint is bytes:
        return _bytes(value, name)
    return _typed(hint, value, name)


def _typed(hint: type[R], value: object, name: str) -> R:
    if not isinstance(value, hint):
        raise CodecError(f"{name}: expected {hint.__name__}, got {value!r}")
    return value


def _bytes(value: object, name: str) -> bytes:
    try:
        return base64.b64decode(_typed(dict, value, name)["base64"], validate=True)
    except (KeyError, TypeError, ValueError) as error:
        raise CodecError(f'{name}: expected {{"base64": "..."}}, got {value!r}') from error
