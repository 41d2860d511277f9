"""Pages of lists as values: filters, order and marker. Pure."""

from dataclasses import dataclass
from typing import Literal

Value = str | int | bool | None
How = Literal[
    "exact",
    "unequal",
    "nocase",
    "contains",
    "since",
    "before",
    "all",
    "any",
    "not-all",
    "not-any",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A condition on a field: one of `values`, compared so.

    "nocase" is without regard to ASCII case; "since" and "before" are of texts in order; all,
    any, not-all and not-any are of the field "tags". Ports have also ip_address and subnet_id
    (of one fixed IP), and security_group_id; subnets have network_shared. Every
    kind has the field "visible_to": what exists for members of a project.
    """

    field: str
    values: tuple[Value, ...]
    how: How = "exact"


NOTHING = Filter(field="id", values=())
"""What no row passes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of a list.

    Rows pass all of `filters`. `order` is fields and whether they descend; then comes the order
    of creation. `marker` is the id of the row before the page, or behind it if `backwards`.
    `limit` 0: all.
    """

    filters: tuple[Filter, ...] = ()
    order: tuple[tuple[str, bool], ...] = ()
    marker: str = ""
    limit: int = 0
    backwards: bool = False
