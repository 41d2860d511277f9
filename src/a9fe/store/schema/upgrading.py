"""Alembic as a library: make or upgrade a database's schema.

Only this module and the migrations need alembic; `schema.versions` does without.
"""

from functools import cache
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from a9fe.store.schema.columns import METADATA
from a9fe.store.schema.versions import MIGRATIONS

_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(43518)")  # 0xa9fe


@cache
def scripts() -> ScriptDirectory:
    """Load the migrations from their files."""
    found = ScriptDirectory(str(MIGRATIONS))
    found.get_heads()
    return found


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
