"""Generates docs/metadata-tree.md from the table."""

from collections.abc import Iterable

from a9fe.metadata.openstack.paths import META_DATA, SEED
from a9fe.metadata.table import LATEST, Entry, Family
from a9fe.metadata.tree import FAMILIES

HEAD = """\
# What a VM can read

`./run docs` generates this page from the table in `src/a9fe/metadata`: do not edit it. Every
listed path is served, with or without one slash at its end; all other paths are 404. `/` lists the
EC2 versions, `/openstack` the OpenStack versions. A path that begins with neither `ec2` nor
`openstack` is in the EC2 tree. Documents are `text/plain; charset=UTF-8` unless the table says
otherwise.

Rows of the EC2 table with `latest` in the column "since" are AWS's, not Nova's. They are served at
`latest` and at every date after 2009-04-04. A path without a value is neither listed nor served.

Every document and listing has an `ETag`, a hash of its content without its random parts. A request
that sends it in `If-None-Match` gets 304. Query parameters:

| parameter | meaning |
|---|---|
| `recursive=true` | return everything below the path as one JSON value |
| `wait_for_change=true` | answer when the ETag differs from `last_etag`, or at the timeout |
| `last_etag=<ETag>` | with or without quotes; `0` or no value: answer at once |
| `timeout_sec=<seconds>` | how long to wait; the maximum and the default is `metadata_wait_max` |

In a recursive answer directories are objects, documents are strings, and JSON documents are
included as JSON. A document that is not UTF-8 is in base64, and a key `<name>-encoding` beside it
names the encoding. The versions are a list of names.

A parameter with an invalid value is 400. One instance can have 16 waiting requests; another one is
503 with `Retry-After`, as is any request when a hop has no place left.
"""

TITLES = {
    "ec2": ("The EC2 tree", "/<version>/", "Any later date is served as `latest`."),
    "openstack": ("The OpenStack tree", "/openstack/<version>/", "No other version is served."),
}


def markdown() -> str:
    """Return the page."""
    sections = [HEAD, *(_family(family) for family in FAMILIES.values()), _meta_data()]
    return "\n".join(sections)


def _family(family: Family) -> str:
    title, prefix, others = TITLES[family.name]
    versions = ", ".join((*family.versions, LATEST))
    rows = [(_path(prefix, entry), _since(entry), _about(entry)) for entry in family.entries]
    rows += [(f"`/{family.name}/{e.path}`", "not listed", _about(e)) for e in family.unversioned]
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
    head = [f"| {first} | since | content |", "|---|---|---|"]
    return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"
