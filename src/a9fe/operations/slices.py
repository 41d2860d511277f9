"""Pages of Nova's and Glance's lists: limit and marker from the query, rows from SQL."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from a9fe.model.errors import InvalidInput, NotFound
from a9fe.model.pages import NOTHING, Filter, How, Page, Slice
from a9fe.model.resources import Resource
from a9fe.operations.transaction import Transaction
from a9fe.store.lookups.slices import Choose, every_row

R = TypeVar("R", bound=Resource)

LIMIT_MAX = 1000
"""Rows of one page (Nova's max_limit, Glance's api_limit_max)."""
LIMIT_DIGITS = 9


def read_slice(
    tx: Transaction,
    cls: type[R],
    wanted: Page,
    query: Mapping[str, str],
    *,
    default: int = LIMIT_MAX,
    choose: Choose[R] = every_row,
) -> Slice[R]:
    """Read the page that `limit` and `marker` of a query ask for.

    The marker is the last row of the page before, and must itself be in the list. Raises
    InvalidInput.
    """
    marker = query.get("marker", "")
    page = replace(wanted, limit=read_limit(query, default), marker=marker)
    try:
        return tx.session.slice(cls, page, choose)
    except NotFound as error:
        raise unknown_marker(marker) from error


def unknown_marker(marker: str) -> InvalidInput:
    """Return the error for a marker that is not in the list (400 in both APIs)."""
    return InvalidInput("marker", marker, "one of this list, such as the last of a page")


def read_limit(query: Mapping[str, str], default: int = LIMIT_MAX) -> int:
    """Return the rows of a page: what the query asks for, at most LIMIT_MAX."""
    text = query.get("limit", str(default))
    if not text.isascii() or not text.isdigit() or len(text) > LIMIT_DIGITS:
        raise InvalidInput("limit", text, "a whole number")
    return min(int(text), LIMIT_MAX)


def filter_by(field: str, value: str, how: How = "exact") -> Filter:
    """Compare a field with a query's text. Text with a NUL matches nothing; PostgreSQL does not
    take it."""
    return NOTHING if "\0" in value else Filter(field=field, values=(value,), how=how)
