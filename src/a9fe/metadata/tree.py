"""The two trees, grown from the table: what is listed is served, by construction.

A path is split at its slashes before its escapes are decoded, and each part must equal a name of
the table: so dots, doubled and encoded slashes, NULs and what lies below a leaf are no paths.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

from a9fe.metadata.ec2 import EC2
from a9fe.metadata.openstack import OPENSTACK
from a9fe.metadata.rendered import TEXT, Rendered, text
from a9fe.metadata.table import LATEST, Asked, Entry, Family, Placeholder
from a9fe.metadata.view import InstanceView

FAMILIES = {family.name: family for family in (EC2, OPENSTACK)}


@dataclass(slots=True)
class Node:
    """A leaf (`entry`), or a directory: named children, and those under a placeholder."""

    entry: Entry | None = None
    named: dict[str, "Node"] = field(default_factory=dict)
    various: tuple[Placeholder, "Node"] | None = None


def render(view: InstanceView, path: str) -> Rendered | None:
    """What is at `path`, a URL's path without its query; None: there is no such path.

    Never raises, whatever the path.
    """
    parts = parts_of(path)
    if parts is None:
        return None
    if not parts or parts[0] not in FAMILIES:
        return _in_family(EC2, parts, view)
    return _in_family(FAMILIES[parts[0]], parts[1:], view)


def is_root(path: str) -> bool:
    """Whether `path` is the list of EC2 versions, which Nova shows to anyone."""
    return parts_of(path) == ()


def versions(family: Family) -> bytes:
    """The listing of a family's versions."""
    return text("\n".join((*family.versions, LATEST)))


def parts_of(path: str) -> tuple[str, ...] | None:
    """The names that a path consists of, decoded; None: it does not begin with a slash."""
    if not path.startswith("/"):
        return None
    return tuple(unquote(part) for part in path.rstrip("/").split("/")[1:])


def _in_family(family: Family, parts: tuple[str, ...], view: InstanceView) -> Rendered | None:
    if not parts:
        return Rendered(content_type=TEXT, body=versions(family))
    version = family.canonical(parts[0])
    if version is None:
        return None
    asked = Asked(view=view, version=version)
    return _walk(_ROOTS[family.name, version], parts[1:], asked, family)


def _walk(node: Node, parts: tuple[str, ...], asked: Asked, family: Family) -> Rendered | None:
    for part in parts:
        step = _step(node, part, asked)
        if step is None:
            return None
        node, asked = step
    if node.entry is None:
        return _listing(node, asked, family)
    if not node.entry.present(asked):
        return None
    return Rendered(content_type=node.entry.content_type, body=node.entry.extract(asked))


def _step(node: Node, part: str, asked: Asked) -> tuple[Node, Asked] | None:
    if part in node.named:
        return node.named[part], asked
    if node.various is not None and part in node.various[0].keys(asked):
        return node.various[1], _with_key(asked, part)
    return None


def _with_key(asked: Asked, key: str) -> Asked:
    return Asked(view=asked.view, version=asked.version, keys=(*asked.keys, key))


def _listing(node: Node, asked: Asked, family: Family) -> Rendered | None:
    """The directory's listing; an empty directory is none, save a version's root."""
    lines = list(_lines(node, asked, family))
    if not lines and node is not _ROOTS[family.name, asked.version]:
        return None
    return Rendered(content_type=TEXT, body=text("\n".join(lines)))


def _lines(node: Node, asked: Asked, family: Family) -> Iterator[str]:
    for name in sorted(node.named) if family.sort else node.named:
        child = node.named[name]
        if _is_listed(child, asked):
            yield name if child.entry else f"{name}/"
    if node.various is not None:
        placeholder, child = node.various
        for key in placeholder.keys(asked):
            if _is_listed(child, _with_key(asked, key)):
                yield placeholder.line(asked, key)


def _is_listed(node: Node, asked: Asked) -> bool:
    if node.entry is not None:
        return node.entry.is_listed(asked)
    if any(_is_listed(child, asked) for child in node.named.values()):
        return True
    if node.various is None:
        return False
    placeholder, child = node.various
    return any(_is_listed(child, _with_key(asked, key)) for key in placeholder.keys(asked))


def _grow(family: Family, version: str) -> Node:
    root = Node()
    for entry in family.entries:
        if entry.since <= version:
            node = root
            for part in entry.path.split("/"):
                node = _child(node, part, family)
            node.entry = entry
    return root


def _child(node: Node, part: str, family: Family) -> Node:
    if part not in family.placeholders:
        return node.named.setdefault(part, Node())
    if node.various is None:
        node.various = family.placeholders[part], Node()
    return node.various[1]


_ROOTS = {
    (family.name, version): _grow(family, version)
    for family in FAMILIES.values()
    for version in (*family.versions, LATEST)
}
