"""The shape of the table: entries, and the context that their functions get."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from a9fe.metadata.instance_view import InstanceView
from a9fe.metadata.rendered import JSON, TEXT

LATEST = "latest"  # greater than every date as a string, so versions compare as strings


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryContext:
    """The argument of an entry's functions: the instance's view, the version, the path's keys.

    `version` is in the family's list. `keys` are the names in the requested path for the
    placeholders of the entry's path, in order.
    """

    view: InstanceView
    version: str
    keys: tuple[str, ...] = ()


def always(_: EntryContext) -> bool:
    """Return True: every instance has the entry."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One leaf of a tree, from which its route, its line in listings and its docs are generated.

    `path` is below the version, e.g. "meta-data/public-keys/{index}/openssh-key". The entry is
    served from version `since` on if `present` holds, and listed from `listed_since` (else
    `since`). `finish` adds random parts to the result of `extract`; they are not in the entity
    tag. `structured`: the content is JSON, whatever its content type. `needs` names what must be
    fetched before `extract` is called, "" for nothing. `is_volatile`: it depends on more than the
    view, such as whether a key is there to sign with.
    """

    path: str
    since: str
    about: str
    extract: Callable[[EntryContext], bytes]
    present: Callable[[EntryContext], bool] = always
    content_type: bytes = TEXT
    listed_since: str = ""
    finish: Callable[[EntryContext, bytes], bytes] | None = None
    structured: bool = False
    needs: str = ""
    is_volatile: bool = False

    @property
    def is_json(self) -> bool:
        """Whether the content is one JSON value."""
        return self.structured or self.content_type == JSON

    @property
    def is_always_listed(self) -> bool:
        """Whether the entry is served and listed for every instance."""
        return self.present is always and not self.listed_since and "{" not in self.path

    def is_listed(self, context: EntryContext) -> bool:
        """Return whether the listing has the entry; then it is also served."""
        return (self.listed_since or self.since) <= context.version and self.present(context)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placeholder:
    """A path segment that stands for several names: `keys`. `line` is a key's line in listings."""

    keys: Callable[[EntryContext], tuple[str, ...]]
    line: Callable[[EntryContext, str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A tree: its versions, oldest first, and its entries.

    `canonical` returns the version of `versions`, or LATEST, that a requested version is served
    as, None if it is not served. `sort`: listings are sorted, else in the table's order.
    `unversioned` are entries beside the versions; they are not listed.
    """

    name: str
    versions: tuple[str, ...]
    entries: tuple[Entry, ...]
    canonical: Callable[[str], str | None]
    sort: bool
    placeholders: Mapping[str, Placeholder] = field(default_factory=dict)
    unversioned: tuple[Entry, ...] = ()
