"""Cached SQL statements: building one costs more than running it."""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any, Literal

from sqlalchemy import Delete, Insert, Select, Update, bindparam, delete, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from a9fe.model.resources import KINDS
from a9fe.store.schema.columns import BORN
from a9fe.store.schema.rows import columns_of
from a9fe.store.schema.tables import TABLES, ip_allocations, ports
from a9fe.store.schema.visibility import VISIBLE_TO, visible_to

Where = str | bool | int | Collection[str | bool | int] | None
How = Literal["one", "several", "null"]
Shape = tuple[tuple[str, How], ...]
"""Fields and how each is compared. A value is the parameter with its field's name."""

IN_CHUNK = 500
"""Values of one IN(): old builds of SQLite allow 999 parameters."""

OF = "of_id"
"""The parameter for the id of the row; no column has this name."""


ALLOCATE = insert(ip_allocations)
DEALLOCATE = delete(ip_allocations).where(ip_allocations.c.port_id == bindparam(OF))


def shaped(where: Mapping[str, Where]) -> tuple[Shape, dict[str, Any]]:
    """Return the shape of a search and its values.

    Text with a NUL matches nothing: PostgreSQL rejects it, even in a comparison. A collection
    with one value is compared with =, which is faster than IN.
    """
    shape: list[tuple[str, How]] = []
    values: dict[str, Any] = {}
    for name, wanted in where.items():
        if wanted is None:
            shape.append((name, "null"))
            continue
        given = [wanted] if isinstance(wanted, str | int) else wanted
        some = [value for value in given if not (isinstance(value, str) and "\0" in value)]
        one = len(some) == 1
        shape.append((name, "one" if one else "several"))
        values[name] = some[0] if one else some
    return tuple(shape), values


@cache
def found(kind: str, shape: Shape) -> Select[Any]:
    """SELECT the rows of a kind that match a shape, oldest first."""
    query = select(*columns_of(kind)).order_by(TABLES[kind].c[BORN])
    return query.where(*(_condition(kind, name, how) for name, how in shape))


def _condition(kind: str, name: str, how: How) -> ColumnElement[bool]:
    if name == VISIBLE_TO:
        return visible_to(KINDS[kind], bindparam(VISIBLE_TO))
    if kind == "port" and name in {"ip_address", "subnet_id"}:
        matching = _matches(ip_allocations.c[name], name, how)
        holders: Select[Any] = select(ip_allocations.c.port_id).where(matching)
        return ports.c.id.in_(holders)
    return _matches(TABLES[kind].c[name], name, how)


def _matches(column: ColumnElement[Any], name: str, how: How) -> ColumnElement[bool]:
    if how == "null":
        return column.is_(None)
    if how == "several":
        return column.in_(bindparam(name, expanding=True))
    return column == bindparam(name)


@cache
def addresses(how: How) -> Select[Any]:
    """SELECT the fixed IPs of ports in their order. The parameter is `port_id`."""
    columns = ip_allocations.c
    query = select(columns.port_id, columns.subnet_id, columns.ip_address)
    return query.where(_matches(columns.port_id, "port_id", how)).order_by(columns.position)


@cache
def inserted(kind: str) -> Insert:
    """INSERT one row."""
    return insert(TABLES[kind])


@cache
def replaced(kind: str) -> Update:
    """UPDATE the given columns of the row with the id OF."""
    table = TABLES[kind]
    return update(table).where(table.c.id == bindparam(OF))


@cache
def removed(kind: str) -> Delete:
    """DELETE the row with the id OF."""
    table = TABLES[kind]
    return delete(table).where(table.c.id == bindparam(OF))
