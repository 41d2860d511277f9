"""What is served: bytes with a content type, made from text or from JSON values."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

TEXT = b"text/plain; charset=UTF-8"
JSON = b"application/json"

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A document or a listing, as the guest gets it."""

    content_type: bytes
    body: bytes


def text(value: object) -> bytes:
    """The value as UTF-8, without a newline at its end (Nova). Lone surrogates become "?"."""
    return str(value).encode("utf-8", "replace")


def document(value: Json) -> bytes:
    """The value as JSON in ASCII, keys in the order given."""
    return json.dumps(value).encode("ascii")
