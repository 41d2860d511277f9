"""Documents as they are served: bytes with a content type, from text or JSON values."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

TEXT = b"text/plain; charset=UTF-8"
HTML = b"text/html; charset=UTF-8"
JSON = b"application/json"
ETAG_BYTES = 8
LARGE = 4096  # bytes; tags of larger content, such as user data, are cached
TAGS_REMEMBERED = 64

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A document or listing. `etag` is a strong entity tag, b"" for none."""

    content_type: bytes
    body: bytes
    etag: bytes = b""


def text(value: object) -> bytes:
    """Return the value as UTF-8 without a final newline (Nova). Lone surrogates become "?"."""
    return str(value).encode("utf-8", "replace")


def document(value: Json) -> bytes:
    """Return the value as JSON in ASCII, with keys in their order."""
    return json.dumps(value).encode("ascii")


def etag_of(content: bytes) -> bytes:
    """Return the entity tag of content without its random parts (RFC 9110 section 8.8.3)."""
    return _tag_of_large(content) if len(content) >= LARGE else _tag(content)


def _tag(content: bytes) -> bytes:
    return b'"%b"' % blake2b(content, digest_size=ETAG_BYTES).hexdigest().encode("ascii")


_tag_of_large = lru_cache(maxsize=TAGS_REMEMBERED)(_tag)
