"""Export and import of the database as JSON lines.

The first line is the header {"a9fe_export": 1, "schema", "revision"}; every other line is
{"table", "row"}, parents before children; bytes are {"base64"}. The change log is not
exported: followers of the new database get a snapshot.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from typing import Any

from sqlalchemy import Connection, LargeBinary, Table, delete, func, insert, select, update

from a9fe.model.errors import A9feError
from a9fe.store.change_log import ChangeLog
from a9fe.store.schema.columns import BORN, METADATA
from a9fe.store.schema.tables import change_log, counters

FORMAT = 1
SEEDED = frozenset({"counters", "flavors"})
"""Tables into which migrations insert rows."""
BATCH = 500  # rows of one INSERT
Row = dict[str, Any]


class TransferError(A9feError):
    """The lines cannot be imported, or not into this database; the text says why."""


def tables() -> list[Table]:
    """Return the exported tables, parents before children."""
    return [table for table in METADATA.sorted_tables if table is not change_log]


def export(connection: Connection, schema: str) -> Iterator[str]:
    """Yield the lines of a database."""
    revision = ChangeLog(connection).revision()
    yield _line({"a9fe_export": FORMAT, "schema": schema, "revision": revision})
    for table in tables():
        query = select(table)
        if BORN in table.c:
            query = query.order_by(table.c[BORN])
        for row in connection.execution_options(yield_per=BATCH).execute(query).mappings():
            yield _line({"table": table.name, "row": {k: _plain(v) for k, v in row.items()}})


def _line(document: Row) -> str:
    return json.dumps(document, separators=(",", ":")) + "\n"


def _plain(value: object) -> object:
    if isinstance(value, bytes | memoryview):
        return {"base64": base64.b64encode(bytes(value)).decode()}
    return value


def check_empty(connection: Connection, shown: str) -> None:
    """Raise TransferError if anything was ever written to this database."""
    for table in (*tables(), change_log):
        if table.name in SEEDED:
            continue
        if connection.execute(
            select(func.count()).select_from(select(table).limit(1).subquery())
        ).scalar():
            raise TransferError(
                f"database {shown} is not empty: it has {table.name}; import into a new one"
            )


def load(connection: Connection, lines: Iterable[str], schema: str, now: float) -> int:
    """Fill an empty database, and return the number of rows. Raises TransferError."""
    numbered = enumerate(lines, 1)
    revision = _header(next(numbered, (1, ""))[1], schema)
    for table in reversed(tables()):
        connection.execute(delete(table))
    count = 0
    by_name = {table.name: table for table in tables()}
    rows = (_row(number, line, by_name) for number, line in numbered if line.strip())
    for table, some in groupby(rows, key=lambda pair: pair[0]):
        found = (row for _, row in some)
        while batch := list(islice(found, BATCH)):
            connection.execute(insert(table), batch)
            count += len(batch)
    _advance(connection, max(revision, int(now * 1000)) + 1)
    return count


def _advance(connection: Connection, revision: int) -> None:
    """Skip revisions, so that followers of the old database do not match this one's log."""
    here = counters.c.name == "revision"
    connection.execute(update(counters).where(here).values(value=revision))


def _header(line: str, schema: str) -> int:
    header = _document(1, line)
    if header.get("a9fe_export") != FORMAT or not isinstance(header.get("revision"), int):
        raise TransferError("line 1: not an export of `a9fe db export`")
    if header.get("schema") != schema:
        message = f"the export has schema {header.get('schema')}, this version {schema}"
        raise TransferError(f"{message}; run `a9fe db upgrade` and export again with this version")
    return int(header["revision"])


def _row(number: int, line: str, by_name: dict[str, Table]) -> tuple[Table, Row]:
    document = _document(number, line)
    table, row = by_name.get(str(document.get("table"))), document.get("row")
    if table is None or not isinstance(row, dict) or set(row) != set(table.c.keys()):
        raise TransferError(f"line {number}: not a row of one of a9fe's tables")
    return table, {name: _value(number, table, name, value) for name, value in row.items()}


def _document(number: int, line: str) -> Row:
    try:
        document = json.loads(line)
    except ValueError as error:
        raise TransferError(f"line {number}: not JSON: {error}") from error
    if not isinstance(document, dict):
        raise TransferError(f"line {number}: not a JSON object")
    return document


def _value(number: int, table: Table, name: str, value: object) -> object:
    if value is None or not isinstance(table.c[name].type, LargeBinary):
        return value
    try:
        assert isinstance(value, dict)
        return base64.b64decode(value["base64"], validate=True)
    except (AssertionError, KeyError, TypeError, binascii.Error) as error:
        raise TransferError(f"line {number}: {name} is not base64") from error
