"""The shape of the table: entries, and what their extractors are asked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from a9fe.metadata.instance_view import InstanceView
from a9fe.metadata.rendered import JSON, TEXT

LATEST = "latest"  # greater than every date as a string, so versions compare as strings


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question to the table: whose, at which version, and the keys met on the way.

    `version` is one that its family lists. `keys` are the actual names that stood where the
    entry's path has a placeholder, in order.
    """

    view: InstanceView
    version: str
    keys: tuple[str, ...] = ()


def always(_: Asked) -> bool:
    """Every instance has it."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One leaf of a tree: generates its route, its line in the listing and its documentation.

    `path` is below the version, e.g. "meta-data/public-keys/{index}/openssh-key". It is served
    from version `since` on where `present` holds, and listed from `listed_since` (else `since`).
    What is random in it `finish` adds to what `extract` gave: it is no part of the entity tag.
    `structured`: it is JSON, whatever its content type. `needs` names what the shell must have
    fetched before `extract` is called, "" for nothing.
    """

    path: str
    since: str
    about: str
    extract: Callable[[Asked], bytes]
    present: Callable[[Asked], bool] = always
    content_type: bytes = TEXT
    listed_since: str = ""
    finish: Callable[[Asked, bytes], bytes] | None = None
    structured: bool = False
    needs: str = ""

    @property
    def is_json(self) -> bool:
        """Whether its body is one JSON value."""
        return self.structured or self.content_type == JSON

    @property
    def is_certain(self) -> bool:
        """Whether every instance has it, wherever it is in the table, and lists it."""
        return self.present is always and not self.listed_since and "{" not in self.path

    def is_listed(self, asked: Asked) -> bool:
        """Whether the listing shows it; then it is served as well."""
        return (self.listed_since or self.since) <= asked.version and self.present(asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placeholder:
    """A path segment that stands for several names: `keys`, each listed as `line` says."""

    keys: Callable[[Asked], tuple[str, ...]]
    line: Callable[[Asked, str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A tree: its versions, oldest first, and its entries.

    `canonical` gives the version of `versions` or LATEST that a requested one is served as, None
    if it is not served. Listings are sorted where `sort` says so, else in the table's order.
    `beside` are entries whose paths stand beside the versions and are listed nowhere.
    """

    name: str
    versions: tuple[str, ...]
    entries: tuple[Entry, ...]
    canonical: Callable[[str], str | None]
    sort: bool
    placeholders: Mapping[str, Placeholder] = field(default_factory=dict)
    beside: tuple[Entry, ...] = ()
