"""docs/metadata-tree.md, written from the table."""

from collections.abc import Iterable

from a9fe.metadata.openstack.paths import META_DATA, SEED
from a9fe.metadata.table import LATEST, Entry, Family
from a9fe.metadata.tree import FAMILIES

HEAD = """\
# What a VM can read

Generated from the table in `src/a9fe/metadata` by `./run docs`: do not edit. A path that is
listed is served; one slash at its end never matters; all else is 404. `/` lists the EC2 versions,
`/openstack` the OpenStack versions, and a path that begins with neither `ec2` nor `openstack` is
one of the EC2 tree. Documents are `text/plain; charset=UTF-8` unless the table says otherwise.

What the EC2 table has since `latest` is AWS's, not Nova's: it is there at `latest` and at every
date after 2009-04-04. What has no value is not listed, and not there.

Every document and listing has an `ETag`, a hash of its content without what is random, and is 304
for who sends it back in `If-None-Match`. Parameters of the query:

| parameter | what |
|---|---|
| `recursive=true` | all from here on down as one JSON value |
| `wait_for_change=true` | the answer comes once the ETag is not `last_etag`, or time is over |
| `last_etag=<ETag>` | with or without quotes; `0` or none: the answer comes at once |
| `timeout_sec=<seconds>` | how long to wait; at most, and if not given, `metadata_wait_max` |

In a recursive answer directories are objects, documents strings, and JSON is itself. What is no
UTF-8 is base64, and a key `<name>-encoding` beside it says so. Versions are a list of names.

A value that none of these can have is 400. One instance may wait 16 times at once; one more is
503 with `Retry-After`, as is any when a hop has no place left.
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
