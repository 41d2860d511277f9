"""docs/metadata-tree.md, written from the table."""

from collections.abc import Iterable

from a9fe.metadata.openstack import META_DATA, SEED
from a9fe.metadata.table import LATEST, Entry, Family
from a9fe.metadata.tree import FAMILIES

HEAD = """\
# What a VM can read

Generated from the table in `src/a9fe/metadata` by `./run docs`: do not edit. A path that is
listed is served; trailing slashes never matter; anything else is 404. `/` lists the EC2 versions,
`/openstack` the OpenStack versions, and a path that begins with neither `ec2` nor `openstack` is
one of the EC2 tree. Documents are `text/plain; charset=UTF-8` unless the table says otherwise.
"""

TITLES = {
    "ec2": ("The EC2 tree", "/<version>/", "Any later date is served as `latest`."),
    "openstack": ("The OpenStack tree", "/openstack/<version>/", "No other version is served."),
}


def markdown() -> str:
    """The whole page."""
    sections = [HEAD, *(_family(family) for family in FAMILIES.values()), _meta_data()]
    return "\n".join(sections)


def _family(family: Family) -> str:
    title, prefix, others = TITLES[family.name]
    versions = ", ".join((*family.versions, LATEST))
    rows = [(_path(prefix, entry), _since(entry), _about(entry)) for entry in family.entries]
    rows += [(f"`/{family.name}/{e.path}`", "listed nowhere", _about(e)) for e in family.beside]
    return f"## {title}\n\nVersions: {versions}. {others}\n\n" + _table("path", rows)


def _path(prefix: str, entry: Entry) -> str:
    return f"`{prefix}{entry.path}`"


def _since(entry: Entry) -> str:
    return f"{entry.since}, listed {entry.listed_since}" if entry.listed_since else entry.since


def _about(entry: Entry) -> str:
    plain = entry.content_type.startswith(b"text/plain")
    return entry.about if plain else f"{entry.about} ({entry.content_type.decode()})"


def _meta_data() -> str:
    rows = [(f"`{key.name}`", key.since, key.about) for key in (*META_DATA, SEED)]
    return "## Keys of meta_data.json\n\n" + _table("key", rows)


def _table(first: str, rows: Iterable[tuple[str, str, str]]) -> str:
    head = [f"| {first} | since | what |", "|---|---|---|"]
    return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"
