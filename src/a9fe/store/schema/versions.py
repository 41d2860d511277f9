"""The version of a database's schema, read without alembic, which is large and seldom needed."""

from functools import cache
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from a9fe.store.engine import StoreError

MIGRATIONS = Path(__file__).parents[1] / "migrations"
_TABLE = "alembic_version"
_VERSION = text(f"SELECT version_num FROM {_TABLE}")  # noqa: S608 - a constant


@cache
def known() -> tuple[str, ...]:
    """Return the schemas of this version of a9fe, oldest first: v0001_first_schema.py is 0001."""
    names = (path.name for path in (MIGRATIONS / "versions").glob("v*_*.py"))
    return tuple(sorted(name.removeprefix("v").partition("_")[0] for name in names))


def head() -> str:
    """Return the schema that this version of a9fe needs."""
    return known()[-1]


def found_schema(connection: Connection) -> str | None:
    """Return the schema of a database, or None."""
    if not inspect(connection).has_table(_TABLE):
        return None
    found = connection.execute(_VERSION).scalar()
    return None if found is None else str(found)


def check_usable(connection: Connection, shown: str) -> None:
    """Raise StoreError for a damaged file or a schema of a newer version."""
    if connection.dialect.name == "sqlite":
        verdict = connection.execute(text("PRAGMA quick_check(1)")).scalar()
        if verdict != "ok":
            reason = ", ".join(str(verdict).splitlines())
            raise StoreError(f"database {shown} is damaged: {reason}")
    found = found_schema(connection)
    if found is not None and found not in known():
        message = f"has schema {found} of a newer a9fe; use that version"
        raise StoreError(f"database {shown} {message}")
