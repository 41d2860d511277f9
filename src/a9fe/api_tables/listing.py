"""Lists: read filters, sort order, page and fields from a request's query; link the pages."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from a9fe.api_tables import converters as to
from a9fe.api_tables.attributes import AnswerContext, Attribute, AttributeTable
from a9fe.model.errors import InvalidInput
from a9fe.model.pages import NOTHING, Filter, How, Page, Value
from a9fe.model.rules import addresses as rules

PAGING = frozenset({"fields", "limit", "marker", "page_reverse", "sort_key", "sort_dir"})
PAGE_QUERY = frozenset({"limit", "marker", "page_reverse"})
TAG_FILTERS: dict[str, How] = {
    "tags": "all",
    "tags-any": "any",
    "not-tags": "not-all",
    "not-tags-any": "not-any",
}
FIXED_IP_KEYS: dict[str, tuple[str, How]] = {
    "ip_address": ("ip_address", "exact"),
    "ip_address_substr": ("ip_address", "contains"),
    "subnet_id": ("subnet_id", "exact"),
}
INTEGER_MAX = 2**31 - 1  # the largest integer in the API
LIMIT_DIGITS = 18
SORT_KEYS_MAX = 8
EXPRESSION_FILTERS = frozenset({*TAG_FILTERS.values(), "contains", "unequal", "since", "before"})
EXPRESSIONS_MAX = 50
"""Most values of such a filter: each is an expression, and databases bound their depth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """The query of a list. `limited`: the client or the server limits the page."""

    page: Page
    fields: frozenset[str]
    limited: bool


Given = Mapping[str, list[str]]


def read_query(
    table: AttributeTable, given: Given, context: AnswerContext, limit_max: int
) -> Query:
    """Read the query of a list; a page has at most `limit_max` items (0: any).

    Raises InvalidInput.
    """
    limit = _limit(given, limit_max)
    filters = [
        _bounded(name, f)
        for name in given
        if name not in PAGING
        for f in _filters(table, name, given, context)
    ]
    page = Page(
        filters=tuple(filters),
        order=_order(table, given),
        marker=given.get("marker", [""])[-1],
        limit=limit,
        backwards=_reverse(given),
    )
    return Query(page=page, fields=fields_of(given), limited=limit > 0)


def fields_of(given: Given) -> frozenset[str]:
    """Return the fields asked for: fields=a&fields=b, or fields=a,b as some clients write it."""
    return frozenset(n for text in given.get("fields", []) for n in text.split(",") if n)


def _limit(given: Given, limit_max: int) -> int:
    text = given.get("limit", ["0"])[-1]
    if not text.isascii() or not text.isdigit() or len(text) > LIMIT_DIGITS:
        raise InvalidInput("limit", text, "a whole number, 0 or more")
    asked = min(int(text), INTEGER_MAX)
    return min(asked, limit_max) if asked and limit_max > 0 else asked or max(limit_max, 0)


def _reverse(given: Given) -> bool:
    backwards: bool = to.boolean("page_reverse", given.get("page_reverse", ["false"])[-1])
    return backwards


def _order(table: AttributeTable, given: Given) -> tuple[tuple[str, bool], ...]:
    keys, directions = given.get("sort_key", []), given.get("sort_dir", [])
    if len(directions) > len(keys) or len(keys) > SORT_KEYS_MAX:
        expected = f"a sort_dir for each sort_key, of which {SORT_KEYS_MAX} are allowed"
        raise InvalidInput("sort_dir", ", ".join(directions), expected)
    directions = [*directions, *(["asc"] * (len(keys) - len(directions)))]
    return tuple(_ordered_by(table, *pair) for pair in zip(keys, directions, strict=True))


def _ordered_by(table: AttributeTable, key: str, direction: str) -> tuple[str, bool]:
    attribute = table.find(_real(key))
    if attribute is None or not attribute.sortable:
        names = ", ".join(a.name for a in table.attributes if a.sortable)
        raise InvalidInput("sort_key", key, f"one of {names}")
    descends: bool = to.choice("asc", "desc")("sort_dir", direction.lower()) == "desc"
    return attribute.field, descends


def _real(name: str) -> str:
    return "project_id" if name == "tenant_id" else name


def _filters(
    table: AttributeTable, name: str, given: Given, context: AnswerContext
) -> tuple[Filter, ...]:
    # No stored text has a NUL, and PostgreSQL refuses it; U+FFFD finds nothing either.
    values = [value.replace("\0", "\ufffd") for value in given[name]]
    if table.tagged and name in TAG_FILTERS:
        wanted = tuple(dict.fromkeys(tag for text in values for tag in text.split(",")))
        return (Filter(field="tags", values=wanted, how=TAG_FILTERS[name]),)
    if table.kind == "port" and name == "fixed_ips":
        return _fixed_ips(values)
    attribute = table.find(_real(name))
    if attribute is not None and attribute.conditions is not None:
        return attribute.conditions(values, context)
    if attribute is None or not attribute.filter:
        raise InvalidInput(name, given[name][0], f"a filter by an attribute of a {table.kind}")
    return _conditions(attribute, values)


def _bounded(name: str, wanted: Filter) -> Filter:
    if wanted.how in EXPRESSION_FILTERS and len(wanted.values) > EXPRESSIONS_MAX:
        given = f"{len(wanted.values)} values"
        raise InvalidInput(name, given, f"at most {EXPRESSIONS_MAX} distinct values")
    return wanted


def _conditions(attribute: Attribute, values: list[str]) -> tuple[Filter, ...]:
    match attribute.filter:
        case "constant":
            return () if _is_constant(attribute.default, values) else (NOTHING,)
        case "boolean":
            found: tuple[Value, ...] = tuple(to.boolean(attribute.name, v) for v in values)
        case "integer":
            found = tuple(n for v in values if (n := _integer(attribute.name, v)) is not None)
        case "address":
            found = tuple(_canonical(rules.address, v) for v in values)
        case "mac":
            found = tuple(_canonical(rules.mac, v) for v in values)
        case "nocase":
            return (Filter(field=attribute.field, values=tuple(values), how="nocase"),)
        case _:
            found = tuple(values)
    return (Filter(field=attribute.field, values=found),)


def _is_constant(constant: object, values: list[str]) -> bool:
    if constant is None:
        return any(text in {"", "None", "null"} for text in values)
    if isinstance(constant, bool):
        return any(to.boolean("filter", text) is constant for text in values)
    return isinstance(constant, str) and any(t.lower() == constant.lower() for t in values)


def _integer(name: str, text: str) -> int | None:
    """Return the number; None if it is larger than any that is stored."""
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdigit():
        raise InvalidInput(name, text, "a whole number")
    return int(text) if len(digits) <= LIMIT_DIGITS and int(digits) <= INTEGER_MAX else None


def _canonical(read: Any, text: str) -> Value:  # noqa: ANN401 - of model.rules.addresses
    """Return the value in the form that is stored.

    "" and "None" are None, an absent value; text that `read` refuses stays as it is.
    """
    if text in {"", "None"}:
        return None
    try:
        found: str = read("filter", text)
    except InvalidInput:
        return text
    return found


def _fixed_ips(values: list[str]) -> tuple[Filter, ...]:
    found: dict[str, list[str]] = {}
    for text in values:
        key, _, value = text.partition("=")
        if key not in FIXED_IP_KEYS:
            expected = "ip_address=<address>, ip_address_substr=<part> or subnet_id=<id>"
            raise InvalidInput("fixed_ips", text, expected)
        found.setdefault(key, []).append(value)
    return tuple(_fixed_ip(key, wanted) for key, wanted in found.items())


def _fixed_ip(key: str, wanted: list[str]) -> Filter:
    field, how = FIXED_IP_KEYS[key]
    exact = key == "ip_address"
    values = tuple(_canonical(rules.address, v) if exact else v for v in wanted)
    return Filter(field=field, values=values, how=how)


def links(query: Query, given: Given, url: str, ids: list[str]) -> list[dict[str, str]]:
    """Return the links to the next and the previous page, as Neutron does for a limited list.

    A page that is not full is the last one in its direction. An empty page has no marker: its
    link leads to the other end of the list. A client that did not ask for pages, and got one
    because the server limits them, gets only the link to the next one.
    """
    full = len(ids) >= query.page.limit
    backwards = query.page.backwards
    found = []
    if full or backwards:
        found.append({"rel": "next", "href": _link(given, url, ids[-1:], reverse=False)})
    if (full or not backwards) and not PAGE_QUERY.isdisjoint(given):
        found.append({"rel": "previous", "href": _link(given, url, ids[:1], reverse=True)})
    return found


def _link(given: Given, url: str, marker: list[str], *, reverse: bool) -> str:
    query = {
        name: values for name, values in given.items() if name not in {"marker", "page_reverse"}
    }
    if marker:
        query["marker"] = marker
    if reverse:
        query["page_reverse"] = ["True"]
    return f"{url}?{urlencode(query, doseq=True)}"


def scoped(query: Query, scope: Mapping[str, str]) -> Query:
    """Return the query, limited to what the caller sees (access.scope)."""
    more = tuple(Filter(field=field, values=(value,)) for field, value in scope.items())
    return replace(query, page=replace(query.page, filters=(*query.page.filters, *more)))
