"""The database's random id, and the ids of the databases that it takes over from.

Followers store the id. They follow another database, or this one at a lower revision than they
have seen, only after the operator accepts it. Export and import keep both. They are rows of the
table of counters: `store`, and `accepts:<id>` for each other id.
"""

import secrets
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from a9fe.store.schema.tables import counters

STORE, ACCEPTS = "store", "accepts:"
BITS = 62  # of a signed 64-bit number
DIGITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """The id `store`, 16 hexadecimal digits, and the ids of databases that it replaces.

    `store` is "" before a migration has given the database its id.
    """

    store: str
    accepts: tuple[str, ...]


def ensure(connection: Connection) -> None:
    """Give a database an id, unless it has one."""
    if not lineage(connection).store:
        connection.execute(insert(counters).values(name=STORE, value=secrets.randbits(BITS)))


def lineage(connection: Connection) -> Lineage:
    """Read the database's id and the ids that it accepts."""
    names = counters.c.name
    here = (names == STORE) | names.startswith(ACCEPTS, autoescape=True)
    rows = connection.execute(select(names, counters.c.value).where(here)).all()
    ids = [format(value, f"0{DIGITS}x") for name, value in rows if name == STORE]
    accepts = sorted(name.removeprefix(ACCEPTS) for name, _ in rows if name != STORE)
    return Lineage(store=ids[0] if ids else "", accepts=tuple(accepts))


def accept(connection: Connection, former: str) -> Lineage:
    """Accept the followers of the database with the id `former`, which may be this one's own id.

    The database gets a new id, so that every follower loads a snapshot.
    """
    ensure(connection)
    known = lineage(connection)
    for id in {former, known.store} - set(known.accepts):
        connection.execute(insert(counters).values(name=f"{ACCEPTS}{id}", value=1))
    new = secrets.randbits(BITS)
    connection.execute(update(counters).where(counters.c.name == STORE).values(value=new))
    return lineage(connection)
