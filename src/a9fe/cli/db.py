"""`a9fe db`: schema, export and import of the database, and its id."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import click

from a9fe.cli.flags import settings, settings_flags
from a9fe.cli.processes.process_table import BY_NAME
from a9fe.cli.processes.run_process import prepare
from a9fe.linux.processes import privileges
from a9fe.model.errors import A9feError
from a9fe.runtime import logging
from a9fe.runtime.clock import SystemClock
from a9fe.store import Store

STANDARD = "-"
MODE = 0o600  # an export contains user data and hashes of tokens
UMASK = 0o077  # as of the server


@click.group()
def db() -> None:
    """Upgrade, check, export and import the database of the option database_connection.

    \b
    a9fe db check
    a9fe db export model.jsonl
    A9FE_DATABASE_CONNECTION=postgresql://a9fe@db1/a9fe a9fe db import model.jsonl
    """


@contextmanager
def opened(*, make: bool = False) -> Iterator[Store]:
    """Open the database as the server's user, who must own its file.

    Without `make` the database must exist. Raises StoreError.
    """
    config, store = settings(), _store()
    os.umask(UMASK)
    if make:
        prepare(BY_NAME["server"], config)
        store.load_migrations()
    else:
        store.check_there()
    if privileges.is_root():
        privileges.drop(config.server_user)
    try:
        yield store
    finally:
        store.close()


def _store() -> Store:
    config = settings()
    logging.configure("db", debug=config.debug, json=config.log_format == "json", log_dir=None)
    return Store(config.database_connection, SystemClock().now)


def check_schema(store: Store) -> str:
    """Return the schema. Raises A9feError unless this version needs it."""
    found, needed = store.schema()
    if found == needed:
        return needed
    has = f"has schema {found}" if found else "has no schema"
    message = f"database {store.shown} {has}, this version needs {needed}: run a9fe db upgrade"
    raise A9feError(message)


@db.command()
@settings_flags
def upgrade() -> None:
    """Upgrade the database to this version's schema; create it if it does not exist.

    \b
    a9fe db upgrade
    """
    with opened(make=True) as store:
        store.migrate()
        found, _ = store.schema()
        click.echo(f"database {store.shown} has schema {found}")


@db.command()
@settings_flags
def check() -> None:
    """Print the database's schema; exit 1 if it has none or needs `a9fe db upgrade`.

    \b
    a9fe db check || a9fe db upgrade
    """
    with opened() as store:
        found = check_schema(store)
        click.echo(f"database {store.shown} has schema {found}, as this version needs")


@db.command()
@click.argument("former", default="")
@settings_flags
def accept(former: str) -> None:
    """Let agents follow this database instead of the one that they followed before.

    Agents refuse a database with another id or a lower revision than before, such as an empty
    database or a restored backup. They keep serving from their replicas and log the id that they
    followed: FORMER. Without FORMER, agents that followed this database's own id accept it, which
    is right after restoring a backup. Agents then remove what this database does not contain.

    \b
    a9fe db accept
    a9fe db accept 2f6c1d0a9b3e4f58
    """
    if former and not re.fullmatch(r"[0-9a-f]{16}", former):
        message = (
            f"FORMER: {former!r} is not valid, expected 16 hexadecimal digits from an agent's log"
        )
        raise A9feError(message)
    with opened() as store:
        check_schema(store)
        known = store.accept(former)
        click.echo(
            f"database {store.shown} now has the id {known.store}; followers of"
            f" {', '.join(known.accepts)} accept it"
        )


@db.command()
@click.argument("file")
@settings_flags
def export(file: str) -> None:
    """Write a consistent copy of the database as JSON lines to FILE (-: standard output).

    It contains user data and hashes of tokens, so only its owner may read FILE.

    \b
    a9fe db export model.jsonl
    a9fe db export - | gzip > model.jsonl.gz
    """
    _store().check_there()  # before FILE is created
    with _output(file) as output, opened() as store:
        check_schema(store)
        for line in store.export():
            output.write(line)


@contextmanager
def _output(file: str) -> Iterator[TextIO]:
    """Create a file, and empty it if the block raises."""
    if file == STANDARD:
        yield sys.stdout
        return
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
    except OSError as error:
        raise A9feError(f"cannot create {file!r}: {error.strerror}") from error
    with open(descriptor, "w", encoding="utf-8") as output:
        try:
            yield output
            output.flush()
            os.fsync(descriptor)
        except OSError as error:
            os.ftruncate(descriptor, 0)
            raise A9feError(f"cannot write {file!r}: {error.strerror}") from error
        except BaseException:
            os.ftruncate(descriptor, 0)
            raise


@db.command("import")
@click.argument("file")
@settings_flags
def import_(file: str) -> None:
    """Import FILE (-: standard input) into an empty database, all or nothing.

    \b
    A9FE_DATABASE_CONNECTION=postgresql://a9fe@db1/a9fe a9fe db import model.jsonl
    """
    with _input(file) as lines, opened(make=True) as store:
        store.migrate()
        count = store.load(lines)
        click.echo(f"database {store.shown} has {count} rows from {file}")


@contextmanager
def _input(file: str) -> Iterator[TextIO]:
    if file == STANDARD:
        yield sys.stdin
        return
    try:
        with open(file, encoding="utf-8") as lines:
            yield lines
    except OSError as error:
        raise A9feError(f"cannot read {file!r}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise A9feError(f"cannot read {file!r}: not UTF-8") from error
