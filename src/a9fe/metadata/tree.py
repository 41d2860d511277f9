"""The two trees, grown from the table: what is listed is served, by construction.

A path is split at its slashes before its escapes are decoded, and each part must equal a name of
the table: so dots, doubled and encoded slashes, NULs and what lies below a leaf are no paths.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from urllib.parse import unquote

from a9fe.metadata.ec2.paths import EC2
from a9fe.metadata.instance_view import InstanceView
from a9fe.metadata.openstack.paths import OPENSTACK
from a9fe.metadata.rendered import TEXT, Rendered, etag_of, text
from a9fe.metadata.table import LATEST, Asked, Entry, Family, Placeholder

FAMILIES = {family.name: family for family in (EC2, OPENSTACK)}
PATHS_REMEMBERED = 1024
REMEMBERED_LENGTH = 128  # characters of a path: guests choose them


@dataclass(slots=True)
class Node:
    """A leaf (`entry`), or a directory: named children, and those under a placeholder.

    `ordered` are the named in the order of a listing. `is_root`: it is a version's. `certain`: it
    is listed for every instance. `needs` are those of all entries from here on down.
    """

    entry: Entry | None = None
    named: dict[str, "Node"] = field(default_factory=dict)
    various: tuple[Placeholder, "Node"] | None = None
    ordered: tuple[tuple[str, "Node"], ...] = ()
    is_root: bool = False
    certain: bool = False
    needs: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """What a directory lists: its name in a path, its line in the listing, and what it is."""

    name: str
    line: str
    node: Node
    asked: Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a path leads for one instance. `node` None: to the versions of the family."""

    family: Family
    node: Node | None
    asked: Asked


def render(view: InstanceView, path: str) -> Rendered | None:
    """What is at `path`, a URL's path without its query; None: there is no such path.

    Never raises, whatever the path.
    """
    place = find(view, path)
    return None if place is None else rendered(place)


def find(view: InstanceView, path: str) -> Place | None:
    """Where `path` leads; None: there is no such path, or there is nothing now."""
    parts = parts_of(path)
    if parts is None:
        return None
    if not parts or parts[0] not in FAMILIES:
        return _in_family(EC2, parts, view)
    return _in_family(FAMILIES[parts[0]], parts[1:], view)


def rendered(place: Place) -> Rendered:
    """The document or the listing, as Nova prints it."""
    if place.node is None:
        return listing(versions(place.family))
    entry = place.node.entry
    if entry is None:
        lines = (child.line for child in children(place.node, place.asked))
        return listing(text("\n".join(lines)))
    content = entry.extract(place.asked)
    return Rendered(
        content_type=entry.content_type,
        body=entry.finish(place.asked, content) if entry.finish else content,
        etag=etag_of(content),
    )


def listing(body: bytes) -> Rendered:
    """A listing as an answer."""
    return Rendered(content_type=TEXT, body=body, etag=etag_of(body))


def is_root(path: str) -> bool:
    """Whether `path` is the list of EC2 versions, which Nova shows to anyone."""
    return parts_of(path) == ()


def versions(family: Family) -> bytes:
    """The listing of a family's versions."""
    return text("\n".join((*family.versions, LATEST)))


def parts_of(path: str) -> tuple[str, ...] | None:
    """The names that a path consists of, decoded; None: it does not begin with a slash."""
    return _short_parts(path) if len(path) <= REMEMBERED_LENGTH else _parts(path)


def _parts(path: str) -> tuple[str, ...] | None:
    if not path.startswith("/"):
        return None
    return tuple(unquote(part) for part in path.removesuffix("/").split("/")[1:])


_short_parts = lru_cache(maxsize=PATHS_REMEMBERED)(_parts)


def _in_family(family: Family, parts: tuple[str, ...], view: InstanceView) -> Place | None:
    if not parts:
        return Place(family=family, node=None, asked=Asked(view=view, version=LATEST))
    version = family.canonical(parts[0])
    if version is not None:
        asked = Asked(view=view, version=version)
        return _walk(_ROOTS[family.name, version], parts[1:], asked, family)
    beside = _walk(_BESIDE[family.name], parts, Asked(view=view, version=LATEST), family)
    return beside if beside and beside.node and beside.node.entry else None


def _walk(node: Node, parts: tuple[str, ...], asked: Asked, family: Family) -> Place | None:
    for part in parts:
        step = _step(node, part, asked)
        if step is None:
            return None
        node, asked = step
    if not _is_there(node, asked):
        return None
    return Place(family=family, node=node, asked=asked)


def _is_there(node: Node, asked: Asked) -> bool:
    """A directory without anything in it is not, save a version's root."""
    if node.entry is not None:
        return node.entry.present(asked)
    return node.is_root or _is_listed(node, asked)


def _step(node: Node, part: str, asked: Asked) -> tuple[Node, Asked] | None:
    if part in node.named:
        return node.named[part], asked
    if node.various is not None and part in node.various[0].keys(asked):
        return node.various[1], _with_key(asked, part)
    return None


def _with_key(asked: Asked, key: str) -> Asked:
    return Asked(view=asked.view, version=asked.version, keys=(*asked.keys, key))


def children(node: Node, asked: Asked) -> Iterator[Child]:
    """What a directory lists, in the listing's order."""
    for name, child in node.ordered:
        if child.certain or _is_listed(child, asked):
            yield Child(
                name=name, line=name if child.entry else f"{name}/", node=child, asked=asked
            )
    if node.various is not None:
        placeholder, child = node.various
        for key in placeholder.keys(asked):
            below = _with_key(asked, key)
            if _is_listed(child, below):
                yield Child(name=key, line=placeholder.line(asked, key), node=child, asked=below)


def _is_listed(node: Node, asked: Asked) -> bool:
    if node.entry is not None:
        return node.entry.is_listed(asked)
    if node.certain or any(_is_listed(child, asked) for child in node.named.values()):
        return True
    if node.various is None:
        return False
    placeholder, child = node.various
    return any(_is_listed(child, _with_key(asked, key)) for key in placeholder.keys(asked))


def _grow(entries: Iterable[Entry], family: Family) -> Node:
    root = Node()
    for entry in entries:
        node = root
        _note(node, entry)
        for part in entry.path.split("/"):
            node = _child(node, part, family)
            _note(node, entry)
        node.entry = entry
    _put_in_order(root, family)
    return root


def _note(node: Node, entry: Entry) -> None:
    """What an entry means for a node on its way."""
    node.certain |= entry.is_certain
    if entry.needs:
        node.needs |= {entry.needs}


def _put_in_order(node: Node, family: Family) -> None:
    named = node.named.items()
    node.ordered = tuple(sorted(named, key=itemgetter(0)) if family.sort else named)
    below = [*node.named.values(), *([node.various[1]] if node.various else [])]
    for child in below:
        _put_in_order(child, family)


def _child(node: Node, part: str, family: Family) -> Node:
    if part not in family.placeholders:
        return node.named.setdefault(part, Node())
    if node.various is None:
        node.various = family.placeholders[part], Node()
    return node.various[1]


def _grow_version(family: Family, version: str) -> Node:
    root = _grow((entry for entry in family.entries if entry.since <= version), family)
    root.is_root = True
    return root


_ROOTS = {
    (family.name, version): _grow_version(family, version)
    for family in FAMILIES.values()
    for version in (*family.versions, LATEST)
}
_BESIDE = {family.name: _grow(family.beside, family) for family in FAMILIES.values()}
