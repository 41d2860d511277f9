"""The two trees, built from the table: every listed path is served, by construction.

A path is split at its slashes before its escapes are decoded, and each part must equal a name of
the table. So dots, doubled or encoded slashes, NULs and anything below a leaf are not found.
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
from a9fe.metadata.table import LATEST, Entry, EntryContext, Family, Placeholder

FAMILIES = {family.name: family for family in (EC2, OPENSTACK)}
PATHS_REMEMBERED = 1024
REMEMBERED_LENGTH = 128  # characters of a cached path: guests choose paths


@dataclass(slots=True)
class Node:
    """A leaf (`entry`), or a directory: `named` children, and those of a placeholder.

    `ordered`: the named children in the order of a listing. `is_root`: the root of a version.
    `always_listed`: listed for every instance. `needs`: those of all entries at and below.
    `is_volatile`: one of them is.
    """

    entry: Entry | None = None
    named: dict[str, "Node"] = field(default_factory=dict)
    placeholder: tuple[Placeholder, "Node"] | None = None
    ordered: tuple[tuple[str, "Node"], ...] = ()
    is_root: bool = False
    always_listed: bool = False
    needs: frozenset[str] = frozenset()
    is_volatile: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A child of a directory: its name in paths, its line in the listing, and its node."""

    name: str
    line: str
    node: Node
    context: EntryContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a path leads to for one instance. `node` None: the versions of the family."""

    family: Family
    node: Node | None
    context: EntryContext


def render(view: InstanceView, path: str) -> Rendered | None:
    """Return what is at `path`, a URL's path without its query; None if nothing is there.

    Never raises, whatever the path.
    """
    place = find(view, path)
    return None if place is None else rendered(place)


def find(view: InstanceView, path: str) -> Place | None:
    """Return the place of `path`; None if nothing is there."""
    parts = parts_of(path)
    if parts is None:
        return None
    if not parts or parts[0] not in FAMILIES:
        return _in_family(EC2, parts, view)
    return _in_family(FAMILIES[parts[0]], parts[1:], view)


def rendered(place: Place) -> Rendered:
    """Return the document or the listing, in Nova's form."""
    return finished(place, unfinished(place))


def unfinished(place: Place) -> Rendered:
    """Return the document without its random parts, or the listing."""
    if place.node is None:
        return listing(versions(place.family))
    entry = place.node.entry
    if entry is None:
        lines = (child.line for child in children(place.node, place.context))
        return listing(text("\n".join(lines)))
    content = entry.extract(place.context)
    return Rendered(content_type=entry.content_type, body=content, etag=etag_of(content))


def finished(place: Place, found: Rendered) -> Rendered:
    """Return an unfinished document with its random parts."""
    entry = place.node.entry if place.node is not None else None
    if entry is None or entry.finish is None:
        return found
    body = entry.finish(place.context, found.body)
    return Rendered(content_type=found.content_type, body=body, etag=found.etag)


def listing(body: bytes) -> Rendered:
    """Return a listing as a document."""
    return Rendered(content_type=TEXT, body=body, etag=etag_of(body))


def is_root(path: str) -> bool:
    """Return whether `path` is the list of EC2 versions, which needs no signature in Nova."""
    return parts_of(path) == ()


def versions(family: Family) -> bytes:
    """Return the listing of a family's versions."""
    return text("\n".join((*family.versions, LATEST)))


def parts_of(path: str) -> tuple[str, ...] | None:
    """Return the decoded parts of a path; None if it does not begin with a slash."""
    return _short_parts(path) if len(path) <= REMEMBERED_LENGTH else _parts(path)


def _parts(path: str) -> tuple[str, ...] | None:
    if not path.startswith("/"):
        return None
    return tuple(unquote(part) for part in path.removesuffix("/").split("/")[1:])


_short_parts = lru_cache(maxsize=PATHS_REMEMBERED)(_parts)


def _in_family(family: Family, parts: tuple[str, ...], view: InstanceView) -> Place | None:
    if not parts:
        return Place(family=family, node=None, context=EntryContext(view=view, version=LATEST))
    version = family.canonical(parts[0])
    if version is not None:
        context = EntryContext(view=view, version=version)
        return _walk(_ROOTS[family.name, version], parts[1:], context, family)
    found = _walk(
        _UNVERSIONED[family.name], parts, EntryContext(view=view, version=LATEST), family
    )
    return found if found and found.node and found.node.entry else None


def _walk(
    node: Node, parts: tuple[str, ...], context: EntryContext, family: Family
) -> Place | None:
    for part in parts:
        step = _step(node, part, context)
        if step is None:
            return None
        node, context = step
    if not _exists(node, context):
        return None
    return Place(family=family, node=node, context=context)


def _exists(node: Node, context: EntryContext) -> bool:
    """Return whether the node exists; an empty directory does not, except a version's root."""
    if node.entry is not None:
        return node.entry.present(context)
    return node.is_root or _is_listed(node, context)


def _step(node: Node, part: str, context: EntryContext) -> tuple[Node, EntryContext] | None:
    if part in node.named:
        return node.named[part], context
    if node.placeholder is not None and part in node.placeholder[0].keys(context):
        return node.placeholder[1], _with_key(context, part)
    return None


def _with_key(context: EntryContext, key: str) -> EntryContext:
    return EntryContext(view=context.view, version=context.version, keys=(*context.keys, key))


def children(node: Node, context: EntryContext) -> Iterator[Child]:
    """Yield the children of a directory, in the order of its listing."""
    for name, child in node.ordered:
        if child.always_listed or _is_listed(child, context):
            yield Child(
                name=name, line=name if child.entry else f"{name}/", node=child, context=context
            )
    if node.placeholder is not None:
        placeholder, child = node.placeholder
        for key in placeholder.keys(context):
            below = _with_key(context, key)
            if _is_listed(child, below):
                yield Child(
                    name=key, line=placeholder.line(context, key), node=child, context=below
                )


def _is_listed(node: Node, context: EntryContext) -> bool:
    if node.entry is not None:
        return node.entry.is_listed(context)
    if node.always_listed or any(_is_listed(child, context) for child in node.named.values()):
        return True
    if node.placeholder is None:
        return False
    placeholder, child = node.placeholder
    return any(_is_listed(child, _with_key(context, key)) for key in placeholder.keys(context))


def _build(entries: Iterable[Entry], family: Family) -> Node:
    root = Node()
    for entry in entries:
        node = root
        _add_to(node, entry)
        for part in entry.path.split("/"):
            node = _child(node, part, family)
            _add_to(node, entry)
        node.entry = entry
    _put_in_order(root, family)
    return root


def _add_to(node: Node, entry: Entry) -> None:
    """Add an entry's properties to a node on its path."""
    node.always_listed |= entry.is_always_listed
    node.is_volatile |= entry.is_volatile
    if entry.needs:
        node.needs |= {entry.needs}


def _put_in_order(node: Node, family: Family) -> None:
    named = node.named.items()
    node.ordered = tuple(sorted(named, key=itemgetter(0)) if family.sort else named)
    below = [*node.named.values(), *([node.placeholder[1]] if node.placeholder else [])]
    for child in below:
        _put_in_order(child, family)


def _child(node: Node, part: str, family: Family) -> Node:
    if part not in family.placeholders:
        return node.named.setdefault(part, Node())
    if node.placeholder is None:
        node.placeholder = family.placeholders[part], Node()
    return node.placeholder[1]


def _build_version(family: Family, version: str) -> Node:
    root = _build((entry for entry in family.entries if entry.since <= version), family)
    root.is_root = True
    return root


_ROOTS = {
    (family.name, version): _build_version(family, version)
    for family in FAMILIES.values()
    for version in (*family.versions, LATEST)
}
_UNVERSIONED = {family.name: _build(family.unversioned, family) for family in FAMILIES.values()}
