"""Notifications of commits by other servers on the same PostgreSQL (LISTEN)."""

from collections.abc import Callable

import psycopg
from sqlalchemy import Engine

from a9fe.store.change_log import CHANNEL
from a9fe.store.engine import LINK, StoreError, shown

_REVISION = "SELECT value FROM counters WHERE name = 'revision'"


async def listen(engine: Engine, tell: Callable[[int], None]) -> None:
    """Call `tell` with the present revision, then with the revision of each commit.

    Raises StoreError if the connection fails or is lost.
    """
    _, link = engine.dialect.create_connect_args(engine.url)
    where = shown(engine.url.render_as_string())
    try:
        async with await psycopg.AsyncConnection.connect(
            **{**LINK, **link}, autocommit=True
        ) as connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            row = await (await connection.execute(_REVISION)).fetchone()
            if row:
                tell(int(row[0]))
            async for notice in connection.notifies():
                tell(int(notice.payload))
    except psycopg.Error as error:
        raise StoreError(f"database {where}: {' '.join(str(error).split())}") from error
