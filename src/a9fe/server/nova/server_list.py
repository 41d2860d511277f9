"""Nova's list of servers: turn a query into filters, order and page."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from a9fe.api_tables import converters as to
from a9fe.model.errors import Forbidden, InvalidInput
from a9fe.model.pages import NOTHING, Filter, How, Page, Slice
from a9fe.model.resources import Instance
from a9fe.model.rules.scheduling import timestamp
from a9fe.operations.instances import instances
from a9fe.operations.slices import filter_by, read_slice
from a9fe.operations.transaction import Transaction
from a9fe.store.lookups.slices import Choose, every_row

_EXACT = {
    "uuid": "id",
    "image": "image_id",
    "flavor": "flavor_id",
    "availability_zone": "availability_zone",
    "project_id": "project_id",
    "tenant_id": "project_id",
    "description": "description",
}
"""Filters by equality: parameter and field. Unknown filters are ignored, as by Nova."""
_PATTERNS = {"name": "name", "ip": "port_ipv4", "ip6": "port_ipv6"}
_TEXT_MAX = 3 * to.NAME_MAX
"""The longest casefolded text that a pattern can match."""


def list_servers(tx: Transaction, query: Mapping[str, str]) -> Slice[Instance]:
    """Return the page of servers that a query selects, newest first.

    Raises InvalidInput, Forbidden.
    """
    wanted = Page(filters=tuple(_filters(tx, query)), newest_first=True)
    return read_slice(tx, Instance, wanted, query, choose=_condition(tx, query))


def _filters(tx: Transaction, query: Mapping[str, str]) -> Iterator[Filter]:
    exact = {_EXACT[name]: value for name, value in query.items() if name in _EXACT}
    if not _all_projects(tx, query):
        exact["project_id"] = tx.project_id
    yield from (filter_by(field, value) for field, value in exact.items())
    yield from (_match(_PATTERNS[name], query[name]) for name in _PATTERNS if query.get(name))
    if to.boolean("deleted", query.get("deleted", "false")):
        yield NOTHING
    if query.get("status", "ACTIVE").upper() != "ACTIVE":
        yield NOTHING
    if "key_name" in query:  # matches within the JSON text; _condition compares exactly
        yield filter_by("keypairs", json.dumps(query["key_name"]), "contains")
    if host := _host(tx, query):
        yield filter_by("port_host", host)
    if "changes-since" in query:
        yield filter_by("updated_at", _since(query["changes-since"]), "since")


def _all_projects(tx: Transaction, query: Mapping[str, str]) -> bool:
    """Return all_tenants; without a value it is true.

    Raises Forbidden if it is true and the caller is not admin.
    """
    if "all_tenants" not in query:
        return False
    wanted = to.boolean("all_tenants", query["all_tenants"] or "true")
    if wanted and not tx.caller.is_admin:
        raise Forbidden("all_tenants: only admins may list the servers of all projects")
    return wanted


def _match(field: str, pattern: str) -> Filter:
    r"""Return a filter for a part of a text; ^ and $ anchor it, and \ escapes a character.

    Nova instead matches regular expressions in the syntax of its database.
    """
    text = re.sub(r"\\(.)", r"\1", pattern.removeprefix("^").removesuffix("$")).casefold()
    if len(text) > _TEXT_MAX:
        return NOTHING
    at_start, at_end = pattern.startswith("^"), pattern.endswith("$")
    if at_start and at_end and field != "name":
        return filter_by(field, text)  # stored addresses are lower case: an index finds it
    return filter_by(field, text, _ANCHORED[at_start, at_end])


_ANCHORED: dict[tuple[bool, bool], How] = {
    (True, True): "folded",
    (True, False): "folded-starts",
    (False, True): "folded-ends",
    (False, False): "folded-contains",
}


def _host(tx: Transaction, query: Mapping[str, str]) -> str:
    return query.get("host", "") if tx.caller.is_admin else ""


def _condition(tx: Transaction, query: Mapping[str, str]) -> Choose[Instance]:
    """Return the exact test for filters that SQL only narrows: key_name, and first port's host."""
    key_name, host = query.get("key_name"), _host(tx, query)
    if key_name is None and not host:
        return every_row

    def choose(found: list[Instance]) -> list[Instance]:
        if key_name is not None:
            found = [i for i in found if key_name in {key.name for key in i.keypairs}]
        return _on_host(tx, found, host) if host else found

    return choose


def _on_host(tx: Transaction, found: list[Instance], host: str) -> list[Instance]:
    ports = instances.ports_by_instance(tx, found)
    return [i for i in found if instances.host_of(ports[i.id]) == host]


def _since(text: str) -> str:
    """Return a time in the format of updated_at: UTC, rounded up to seconds, at least 1970.

    Raises InvalidInput.
    """
    try:
        found = datetime.fromisoformat(text)
        aware = found if found.tzinfo else found.replace(tzinfo=UTC)
        return timestamp(max(0, math.ceil(aware.timestamp())))
    except (ValueError, OverflowError) as error:
        raise InvalidInput("changes-since", text, "a time such as 2026-11-22T15:00:00Z") from error
