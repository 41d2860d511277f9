"""A whole directory as one JSON value, as GCE's servers return it for `?recursive=true`.

Directories are objects, documents are strings, and JSON documents are included as JSON. Content
that is not UTF-8 is in base64, with a key that names the encoding:
{"user-data": "H4sI...", "user-data-encoding": "base64"}.
"""

import base64

from a9fe.metadata.rendered import JSON, Rendered, document, etag_of
from a9fe.metadata.table import LATEST, Entry, EntryContext
from a9fe.metadata.tree import Node, Place, children

ENCODING = "-encoding"  # suffix of the key that names a document's encoding


def recursive(place: Place) -> Rendered:
    """Return everything at and below a place. The versions of a family are a list of names."""
    if place.node is None:
        body = document((*place.family.versions, LATEST))
        return Rendered(content_type=JSON, body=body, etag=etag_of(body))
    pieces = _Pieces()
    entry = place.node.entry
    if entry is None:
        pieces.directory(place.node, place.context)
    else:
        pieces.leaf(entry.path.rpartition("/")[2], place.node, place.context)
    return pieces.rendered()


class _Pieces:
    """The JSON in pieces, and the pieces that `finish` replaces after the tag is computed."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._finished: dict[int, bytes] = {}

    def rendered(self) -> Rendered:
        """Return the document; the tag is of the pieces before `finish`."""
        etag = etag_of(b"".join(self._pieces))
        for index, piece in self._finished.items():
            self._pieces[index] = piece
        return Rendered(content_type=JSON, body=b"".join(self._pieces), etag=etag)

    def directory(self, node: Node, context: EntryContext) -> None:
        """Append an object with what the directory lists."""
        self._pieces.append(b"{")
        for number, child in enumerate(children(node, context)):
            if number:
                self._pieces.append(b", ")
            if child.node.entry is None:
                self._pieces.append(document(child.name) + b": ")
                self.directory(child.node, child.context)
            else:
                self._member(child.name, child.node, child.context)
        self._pieces.append(b"}")

    def leaf(self, name: str, node: Node, context: EntryContext) -> None:
        """Append one document: a value, or an object if it must be encoded."""
        content = _content(node, context)
        if _as_text(content) is None:
            self._pieces.append(b"{")
            self._member(name, node, context)
            self._pieces.append(b"}")
        else:
            self._value(content, node, context)

    def _member(self, name: str, node: Node, context: EntryContext) -> None:
        content = _content(node, context)
        self._pieces.append(document(name) + b": ")
        if _as_text(content) is None:
            self._pieces.append(document(base64.b64encode(content).decode("ascii")))
            self._pieces.append(b", " + document(name + ENCODING) + b': "base64"')
        else:
            self._value(content, node, context)

    def _value(self, content: bytes, node: Node, context: EntryContext) -> None:
        entry = node.entry
        assert entry is not None
        if entry.finish is not None:
            self._finished[len(self._pieces)] = _json(entry, entry.finish(context, content))
        self._pieces.append(_json(entry, content))


def _content(node: Node, context: EntryContext) -> bytes:
    assert node.entry is not None
    return node.entry.extract(context)


def _as_text(content: bytes) -> str | None:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def _json(entry: Entry, content: bytes) -> bytes:
    """Return JSON as it is, and text as a JSON string."""
    return content if entry.is_json else document(content.decode())
