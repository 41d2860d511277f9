"""Alembic as a library: read a database's schema version, and upgrade it."""

from functools import cache
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from a9fe.store.engine import StoreError
from a9fe.store.schema.columns import METADATA

MIGRATIONS = Path(__file__).parents[1] / "migrations"
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(43518)")  # 0xa9fe


@cache
def scripts() -> ScriptDirectory:
    """Load the migrations from their files."""
    found = ScriptDirectory(str(MIGRATIONS))
    found.get_heads()
    return found


def head() -> str:
    """Return the schema that this version of a9fe needs."""
    return str(scripts().get_current_head())


def found_schema(connection: Connection) -> str | None:
    """Return the schema of a database, or None."""
    return MigrationContext.configure(connection).get_current_revision()


def check_usable(connection: Connection, shown: str) -> None:
    """Raise StoreError for a damaged file or a schema of a newer version."""
    if connection.dialect.name == "sqlite":
        verdict = connection.execute(text("PRAGMA quick_check(1)")).scalar()
        if verdict != "ok":
            reason = ", ".join(str(verdict).splitlines())
            raise StoreError(f"database {shown} is damaged: {reason}")
    found = found_schema(connection)
    known = {script.revision for script in scripts().walk_revisions()}
    if found is not None and found not in known:
        message = f"has schema {found} of a newer a9fe; use that version"
        raise StoreError(f"database {shown} {message}")


def upgrade(connection: Connection, now: float) -> None:
    """Create or upgrade the schema; one process at a time."""

    def steps(revision: Any, _context: object) -> Any:  # noqa: ANN401 - alembic's own
        return scripts()._upgrade_revs("head", revision)  # noqa: SLF001 - alembic's recipe

    if connection.dialect.name == "postgresql":
        connection.execute(_ONE_AT_A_TIME)
    config = Config(attributes={"now": now})
    with EnvironmentContext(config, scripts(), fn=steps) as environment:
        environment.configure(connection=connection, target_metadata=METADATA)
        environment.run_migrations()
