"""Pages of lists as SQL: filters, order and marker.

If an index covers the filter or the order, a page costs the same in a small and a large table: it
begins at the marker's row and counts no rows before it.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    JSON,
    Connection,
    Select,
    Text,
    and_,
    cast,
    exists,
    false,
    func,
    or_,
    select,
    tuple_,
)
from sqlalchemy.sql.elements import ColumnElement

from a9fe.model.errors import NotFound
from a9fe.model.pages import Filter, Page, Value
from a9fe.model.resources import Instance, Network, Port, Router, Subnet
from a9fe.store.engine import CASEFOLD
from a9fe.store.schema.columns import BORN
from a9fe.store.schema.problem_tables import problems
from a9fe.store.schema.rows import columns_of, kind_of, table_of
from a9fe.store.schema.tables import (
    instances,
    ip_allocations,
    networks,
    port_security_groups,
    ports,
    subnets,
    tags,
)
from a9fe.store.schema.visibility import VISIBLE_TO, visible_to

FEW = 1000
"""The largest number of matching rows that is looked up first and then sorted."""
_LIKE_SPECIAL = re.compile("[/%_]")


def select_page(connection: Connection, cls: type[Any], page: Page) -> Select[Any]:
    """Return the query of a page. If it is backwards, the rows come in reverse order.

    Raises NotFound for a marker that does not exist.
    """
    query = select(*columns_of(kind_of(cls))).where(
        *(condition(connection, cls, f) for f in page.filters)
    )
    order = _order(cls, page)
    if page.marker:
        query = query.where(_behind(order, _marker_row(connection, cls, page.marker, order)))
    query = query.order_by(*(c.desc() if descends else c.asc() for c, descends in order))
    return query.limit(page.limit) if page.limit else query


Order = list[tuple[ColumnElement[Any], bool]]


def _order(cls: type[Any], page: Page) -> Order:
    columns = table_of(cls).c
    keys = [(_sortable(columns[field]), descends) for field, descends in page.order]
    keys.append((columns[BORN], keys[-1][1] if keys else page.newest_first))
    return [(column, descends != page.backwards) for column, descends in keys]


def _sortable(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Sort NULL as the least value, as SQL cannot compare it with a marker's value."""
    if not getattr(column, "nullable", False):
        return column
    least: Any = -1 if column.type.python_type is int else ""
    return func.coalesce(column, least)


def _marker_row(
    connection: Connection, cls: type[Any], marker: str, order: Order
) -> Sequence[Any]:
    if "\0" in marker:  # PostgreSQL rejects such text, even in a comparison
        raise NotFound(kind_of(cls), marker)
    of_marker = table_of(cls).c.id == marker
    row = connection.execute(select(*(column for column, _ in order)).where(of_marker)).first()
    if row is None:
        raise NotFound(kind_of(cls), marker)
    return tuple(row)


def _behind(order: Order, row: Sequence[Any]) -> ColumnElement[bool]:
    columns = [column for column, _ in order]
    directions = {descends for _, descends in order}
    if len(directions) == 1:  # one row comparison, for which an index is used
        left, right = tuple_(*columns), tuple_(*row)
        return left < right if directions == {True} else left > right
    alternatives = []
    for position, (column, descends) in enumerate(order):
        same = [c == v for c, v in zip(columns[:position], row[:position], strict=True)]
        value = row[position]
        alternatives.append(and_(*same, column < value if descends else column > value))
    return or_(*alternatives)


def condition(connection: Connection, cls: type[Any], wanted: Filter) -> ColumnElement[bool]:
    """Return a filter as SQL; its values are parameters, never text of the query."""
    if wanted.field == VISIBLE_TO:
        return visible_to(cls, str(wanted.values[0]))
    if wanted.field == "tags":
        return _tagged(table_of(cls).c.id, wanted)
    special = _SPECIAL.get((cls, wanted.field))
    if special is not None:
        return special(connection, wanted)
    return _compare(connection, table_of(cls).c[wanted.field], wanted)


def _in_group(connection: Connection, wanted: Filter) -> ColumnElement[bool]:
    link = port_security_groups.c
    return _held(connection, link.port_id, link.security_group_id.in_(wanted.values))


def _fixed_ip(connection: Connection, wanted: Filter) -> ColumnElement[bool]:
    link = ip_allocations.c
    holds = _compare(connection, link[wanted.field], wanted)
    return _held(connection, link.port_id, holds)


def _network_shared(_connection: Connection, wanted: Filter) -> ColumnElement[bool]:
    shared = select(networks.c.id).where(networks.c.shared.in_(wanted.values))
    return subnets.c.network_id.in_(shared)


def _port_host(connection: Connection, wanted: Filter) -> ColumnElement[bool]:
    there = select(ports.c.device_id).where(_compare(connection, ports.c.host, wanted))
    return instances.c.id.in_(there)


def _port_address(connection: Connection, wanted: Filter) -> ColumnElement[bool]:
    """Match instances by a fixed IP of one IP version of a port of the instance's project."""
    address = ip_allocations.c.ip_address
    is_ipv6 = address.contains(":")
    version = is_ipv6 if wanted.field == "port_ipv6" else ~is_ipv6
    query = select(ports.c.device_id, ports.c.project_id).join_from(ports, ip_allocations)
    holders = query.where(version, _compare(connection, address, wanted)).cte(
        f"holders_of_{wanted.field}"
    )
    once = holders.prefix_with(
        "MATERIALIZED", dialect="postgresql"
    )  # run it once, not for each instance
    found = select(once.c.device_id, once.c.project_id)
    return tuple_(instances.c.id, instances.c.project_id).in_(found)


def _in_error(cls: type[Any]) -> Callable[[Connection, Filter], ColumnElement[bool]]:
    found = table_of(cls).c.id.in_(select(problems.c.resource_id))

    def matches(_connection: Connection, wanted: Filter) -> ColumnElement[bool]:
        return or_(false(), *(found if value else ~found for value in wanted.values))

    return matches


_SPECIAL: dict[tuple[type[Any], str], Callable[[Connection, Filter], ColumnElement[bool]]] = {
    (Port, "security_group_id"): _in_group,
    (Port, "ip_address"): _fixed_ip,
    (Port, "subnet_id"): _fixed_ip,
    (Subnet, "network_shared"): _network_shared,
    (Network, "in_error"): _in_error(Network),
    (Router, "in_error"): _in_error(Router),
    (Instance, "port_host"): _port_host,
    (Instance, "port_ipv4"): _port_address,
    (Instance, "port_ipv6"): _port_address,
}
"""Filters by fields that are not columns of the kind's own table."""


def _folded(
    connection: Connection, column: ColumnElement[Any], wanted: Filter
) -> ColumnElement[bool]:
    """Compare without regard to the case of letters, as far as the database folds it."""
    is_sqlite = connection.dialect.name == "sqlite"
    fold = getattr(func, CASEFOLD) if is_sqlite else func.lower
    start = "" if wanted.how in {"folded", "folded-starts"} else "%"
    end = "" if wanted.how in {"folded", "folded-ends"} else "%"
    texts = (_LIKE_SPECIAL.sub(r"/\g<0>", str(value)) for value in wanted.values)
    patterns = (f"{start}{text}{end}" for text in texts)
    return or_(false(), *(fold(column).like(fold(p), escape="/") for p in patterns))


def _held(
    connection: Connection, port_id: ColumnElement[Any], holds: ColumnElement[bool]
) -> ColumnElement[bool]:
    """Match the ports that a link table names. Few ports are looked up first; of many, each row of
    the page is tested, so that a page does not begin by collecting all of them.
    """
    holders = select(port_id).where(holds)
    some = holders.limit(FEW + 1).subquery()
    count = connection.execute(select(func.count()).select_from(some)).scalar_one()
    if count <= FEW:
        return ports.c.id.in_(holders)
    return exists().where(port_id == ports.c.id, holds)


def _compare(
    connection: Connection, column: ColumnElement[Any], wanted: Filter
) -> ColumnElement[bool]:
    if wanted.how.startswith("folded"):
        return _folded(connection, column, wanted)
    if isinstance(column.type, JSON):
        column = cast(column, Text)
    one_by_one: dict[str, Callable[[Value], ColumnElement[bool]]] = {
        "contains": lambda value: column.contains(value, autoescape=True),
        "unequal": lambda value: column != value,
        "since": lambda value: column >= value,
        "before": lambda value: column < value,
    }
    if wanted.how in one_by_one:
        return or_(*(one_by_one[wanted.how](value) for value in wanted.values))
    values = [value for value in wanted.values if value is not None]
    if wanted.how == "nocase":
        found = func.lower(column).in_([func.lower(value) for value in values])
    else:
        found = column.in_(values)
    return or_(found, column.is_(None)) if None in wanted.values else found


def _tagged(id: ColumnElement[Any], wanted: Filter) -> ColumnElement[bool]:
    holders = [id.in_(select(tags.c.object_id).where(tags.c.tag == t)) for t in wanted.values]
    found = or_(*holders) if wanted.how in {"any", "not-any"} else and_(*holders)
    return ~found if wanted.how.startswith("not-") else found
