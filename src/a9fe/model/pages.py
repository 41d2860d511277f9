"""Pages of lists as values: filters, order and marker. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

T = TypeVar("T")
Value = str | int | bool | None
How = Literal[
    "exact",
    "unequal",
    "nocase",
    "contains",
    "folded",
    "folded-starts",
    "folded-ends",
    "folded-contains",
    "since",
    "before",
    "all",
    "any",
    "not-all",
    "not-any",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A condition on a field: a row passes if the field matches one of `values`.

    `how` is the comparison. "nocase" ignores the case of ASCII letters. "folded" and
    "folded-..." ignore the case of all letters: whole text, start, end, any part. "since" (at or
    after) and "before" compare texts in their order. "all", "any", "not-all" and "not-any" apply
    to the field "tags".

    Fields beside the kind's own: every kind has "visible_to" (rows that members of this project
    see); ports have "ip_address" and "subnet_id" (of one fixed IP) and "security_group_id";
    subnets have "network_shared"; networks and routers have "in_error" (an agent reported a
    problem); instances have "port_ipv4" and "port_ipv6" (a fixed IP of a
    port that the instance's project owns) and "port_host" (the host of any port with the
    instance's device_id). A list or dictionary is compared as its JSON text.
    """

    field: str
    values: tuple[Value, ...]
    how: How = "exact"


NOTHING = Filter(field="id", values=())
"""A filter that no row passes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A request for one page of a list.

    Rows pass all of `filters`. `order` is a sequence of (field, descending); ties, and a list
    without an order, are in order of creation, oldest first unless `newest_first`. `marker` is
    the id of the row right before the page, or right behind it if `backwards`. `limit` is the
    maximum number of rows; 0 means all.
    """

    filters: tuple[Filter, ...] = ()
    order: tuple[tuple[str, bool], ...] = ()
    marker: str = ""
    limit: int = 0
    backwards: bool = False
    newest_first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice(Generic[T]):
    """One page of a list: its rows, and whether more rows follow."""

    rows: Sequence[T]
    more: bool
