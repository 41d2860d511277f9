"""One page of a list as Nova and Glance page: the rows, and whether more follow."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain, islice
from typing import TypeVar

from a9fe.model.errors import NotFound
from a9fe.model.pages import Filter, Page, Slice
from a9fe.model.resources import Resource

R = TypeVar("R", bound=Resource)
Read = Callable[[Page], list[R]]
Choose = Callable[[list[R]], list[R]]

SCAN_ROWS = 100
"""The least number of candidates that one query reads when the last condition is not SQL."""


def every_row(rows: list[R]) -> list[R]:
    """Choose all rows."""
    return rows


def read_slice(read: Read[R], kind: str, wanted: Page, choose: Choose[R]) -> Slice[R]:
    """Read up to `wanted.limit` rows (0: none) among those that `choose` keeps. Raises NotFound
    for a marker that is not in the list.

    `choose` is a condition that SQL cannot express, over some rows at a time; rows are read until
    the page is full or the list ends.
    """
    if wanted.marker:
        _check_marker(read, kind, wanted, choose)
    least = 0 if choose is every_row else SCAN_ROWS
    candidates = _scan(read, replace(wanted, limit=max(wanted.limit + 1, least)))
    chosen = chain.from_iterable(map(choose, candidates))
    found = list(islice(chosen, wanted.limit + 1))
    return Slice(rows=found[: wanted.limit], more=len(found) > wanted.limit)


def _check_marker(read: Read[R], kind: str, wanted: Page, choose: Choose[R]) -> None:
    has_id = Filter(field="id", values=(wanted.marker,))
    found = [] if "\0" in wanted.marker else read(Page(filters=(*wanted.filters, has_id), limit=1))
    if not choose(found):
        raise NotFound(kind, wanted.marker)


def _scan(read: Read[R], wanted: Page) -> Iterator[list[R]]:
    """Yield the pages of a list, each of `wanted.limit` rows."""
    while True:
        rows = read(wanted)
        yield rows
        if len(rows) < wanted.limit:
            return
        wanted = replace(wanted, marker=rows[-1].id)
