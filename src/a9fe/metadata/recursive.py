"""A whole directory as one JSON value, as GCE's servers give it with `?recursive=true`.

Directories are objects, documents strings, and JSON documents themselves. What is no UTF-8 is
base64, and a key beside it says so: {"user-data": "H4sI...", "user-data-encoding": "base64"}.
"""

import base64

from a9fe.metadata.rendered import JSON, Rendered, document, etag_of
from a9fe.metadata.table import LATEST, Asked, Entry
from a9fe.metadata.tree import Node, Place, children

ENCODING = "-encoding"  # behind a document's name: the key that says how it is encoded


def recursive(place: Place) -> Rendered:
    """All that is at a place and below, once. The versions of a family are a list of names."""
    if place.node is None:
        body = document((*place.family.versions, LATEST))
        return Rendered(content_type=JSON, body=body, etag=etag_of(body))
    pieces = _Pieces()
    entry = place.node.entry
    if entry is None:
        pieces.directory(place.node, place.asked)
    else:
        pieces.leaf(entry.path.rpartition("/")[2], place.node, place.asked)
    return pieces.rendered()


class _Pieces:
    """The JSON under way: pieces of it, and what takes their place once the tag is known."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._finished: dict[int, bytes] = {}

    def rendered(self) -> Rendered:
        """The end of it."""
        etag = etag_of(b"".join(self._pieces))
        for index, piece in self._finished.items():
            self._pieces[index] = piece
        return Rendered(content_type=JSON, body=b"".join(self._pieces), etag=etag)

    def directory(self, node: Node, asked: Asked) -> None:
        """An object with what the directory lists."""
        self._pieces.append(b"{")
        for number, child in enumerate(children(node, asked)):
            if number:
                self._pieces.append(b", ")
            if child.node.entry is None:
                self._pieces.append(document(child.name) + b": ")
                self.directory(child.node, child.asked)
            else:
                self._member(child.name, child.node, child.asked)
        self._pieces.append(b"}")

    def leaf(self, name: str, node: Node, asked: Asked) -> None:
        """A document alone: a value, or an object where it has to be encoded."""
        content = _content(node, asked)
        if _as_text(content) is None:
            self._pieces.append(b"{")
            self._member(name, node, asked)
            self._pieces.append(b"}")
        else:
            self._value(content, node, asked)

    def _member(self, name: str, node: Node, asked: Asked) -> None:
        content = _content(node, asked)
        self._pieces.append(document(name) + b": ")
        if _as_text(content) is None:
            self._pieces.append(document(base64.b64encode(content).decode("ascii")))
            self._pieces.append(b", " + document(name + ENCODING) + b': "base64"')
        else:
            self._value(content, node, asked)

    def _value(self, content: bytes, node: Node, asked: Asked) -> None:
        entry = node.entry
        assert entry is not None
        if entry.finish is not None:
            self._finished[len(self._pieces)] = _json(entry, entry.finish(asked, content))
        self._pieces.append(_json(entry, content))


def _content(node: Node, asked: Asked) -> bytes:
    assert node.entry is not None
    return node.entry.extract(asked)


def _as_text(content: bytes) -> str | None:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def _json(entry: Entry, content: bytes) -> bytes:
    """JSON as it is; text as a string of JSON."""
    return content if entry.is_json else document(content.decode())
