"""One page of a list as Nova and Glance page: the rows, and whether more follow."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import TypeVar

from a9fe.model.errors import NotFound
from a9fe.model.pages import Filter, Page, Slice
from a9fe.model.resources import Resource

R = TypeVar("R", bound=Resource)
Read = Callable[[Page], list[R]]
Accepts = Callable[[R], bool]

SCAN_ROWS = 500
"""Candidates that one query reads when the last condition of a list is not SQL."""


def any_row(_resource: Resource) -> bool:
    """Accept every row."""
    return True


def read_slice(read: Read[R], kind: str, wanted: Page, accepts: Accepts[R]) -> Slice[R]:
    """Read up to `wanted.limit` rows (0: none) that `accepts` lets pass. Raises NotFound for a
    marker that is not in the list.

    `accepts` is for a condition that SQL cannot express; candidates are read SCAN_ROWS at a time.
    """
    if wanted.marker:
        _check_marker(read, kind, wanted, accepts)
    least = 0 if accepts is any_row else SCAN_ROWS
    candidates = _scan(read, replace(wanted, limit=max(wanted.limit + 1, least)))
    found = list(islice(filter(accepts, candidates), wanted.limit + 1))
    return Slice(rows=found[: wanted.limit], more=len(found) > wanted.limit)


def _check_marker(read: Read[R], kind: str, wanted: Page, accepts: Accepts[R]) -> None:
    has_id = Filter(field="id", values=(wanted.marker,))
    found = [] if "\0" in wanted.marker else read(Page(filters=(*wanted.filters, has_id), limit=1))
    if not any(map(accepts, found)):
        raise NotFound(kind, wanted.marker)


def _scan(read: Read[R], wanted: Page) -> Iterator[R]:
    """Yield all rows from a page on; each query reads `wanted.limit` rows."""
    while True:
        rows = read(wanted)
        yield from rows
        if len(rows) < wanted.limit:
            return
        wanted = replace(wanted, marker=rows[-1].id)
