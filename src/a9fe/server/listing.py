"""Lists: filters, the choice of fields, limit and marker, from the query of a request."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from a9fe.model.errors import InvalidInput
from a9fe.server.attributes import AttributeTable

IGNORED = frozenset(
    {
        "fields",
        "limit",
        "marker",
        "page_reverse",
        "sort_key",
        "sort_dir",
        "not-tags",
        "not-tags-any",
    }
)
"""Not filters, or filters that everything passes, as nothing has tags."""
FIXED_IP_KEYS = ("ip_address", "subnet_id")
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A list's query: `where` for the database, `others` to compare with what is shown."""

    where: dict[str, list[str]]
    others: dict[str, list[str]]
    fields: frozenset[str]
    limit: int
    marker: str


def read_query(table: AttributeTable, given: Mapping[str, list[str]]) -> Query:
    """The query of a list. Raises InvalidInput for a filter that no attribute has."""
    where: dict[str, list[str]] = {}
    others: dict[str, list[str]] = {}
    for name, values in given.items():
        attribute = table.find("project_id" if name == "tenant_id" else name)
        if table.kind == "port" and name == "fixed_ips":
            where.update(_fixed_ips(values))
        elif attribute is not None and attribute.text:
            where[attribute.field] = values
        elif attribute is not None or name == "tags-any":
            others[name] = values
        elif name not in IGNORED:
            raise InvalidInput(name, values[0], f"a filter by an attribute of a {table.kind}")
    return Query(
        where=where,
        others=others,
        fields=_fields(given),
        limit=_limit(given.get("limit", ["0"])[-1]),
        marker=given.get("marker", [""])[-1],
    )


def _fields(given: Mapping[str, list[str]]) -> frozenset[str]:
    """fields=a&fields=b, and fields=a,b as some clients write it."""
    return frozenset(n for text in given.get("fields", []) for n in text.split(",") if n)


def _limit(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise InvalidInput("limit", text, "a whole number")
    return int(text)


def _fixed_ips(values: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for text in values:
        key, _, value = text.partition("=")
        if key not in FIXED_IP_KEYS:
            raise InvalidInput("fixed_ips", text, "ip_address=<address> or subnet_id=<id>")
        found.setdefault(key, []).append(value)
    return found


def matches(query: Query, shown: Mapping[str, Any]) -> bool:
    """Whether an answer has, for every other filter, one of its values."""
    return all(_equals_any(shown.get(n, []), values) for n, values in query.others.items())


def _equals_any(value: object, wanted: list[str]) -> bool:
    if isinstance(value, bool):
        return any(_BOOLEANS.get(text.lower()) is value for text in wanted)
    if value is None:
        return any(text in {"", "None", "null"} for text in wanted)
    if isinstance(value, list):
        return any(text in value for text in wanted)
    return str(value) in wanted


def page(query: Query, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The items after the marker, at most `limit` of them (0: all)."""
    if query.marker:
        at = next((i for i, item in enumerate(items) if item.get("id") == query.marker), None)
        items = items[at + 1 :] if at is not None else []
    return items[: query.limit] if query.limit else items
