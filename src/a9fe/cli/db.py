"""`a9fe db`: the database's schema, and the whole model as a file."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import click

from a9fe.cli.flags import settings, settings_flags
from a9fe.cli.processes.process import prepare
from a9fe.cli.processes.table import BY_NAME
from a9fe.linux.processes import privileges
from a9fe.model.errors import A9feError
from a9fe.runtime import logging
from a9fe.runtime.clock import SystemClock
from a9fe.store import Store

STANDARD = "-"
MODE = 0o600  # an export has user data and hashes of tokens
UMASK = 0o077  # as the server's


@click.group()
def db() -> None:
    """Upgrade, check, accept, export and import the database of database_connection.

    \b
    a9fe db check
    a9fe db export model.jsonl
    A9FE_DATABASE_CONNECTION=postgresql://a9fe@db1/a9fe a9fe db import model.jsonl
    """


@contextmanager
def opened(*, make: bool = False) -> Iterator[Store]:
    """The database, opened as the server's user, who shall own its file.

    `make`: it may be made. Else nothing is, and it must be there: raises StoreError.
    """
    config, store = settings(), _store()
    os.umask(UMASK)
    if make:
        prepare(BY_NAME["server"], config)
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
    """Its schema. Raises A9feError unless that is the one of this version."""
    found, needed = store.schema()
    if found == needed:
        return needed
    has = f"has schema {found}" if found else "has no schema"
    message = f"database {store.shown} {has}, this version needs {needed}: run a9fe db upgrade"
    raise A9feError(message)


@db.command()
@settings_flags
def upgrade() -> None:
    """Bring the database to this version's schema, making it if need be.

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
    """Say which schema the database has; exit 1 if there is none, or it needs `a9fe db upgrade`.

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
    """Make agents follow this database instead of the one that they followed.

    Agents refuse a database with another id or a lower revision than the one they followed, such
    as an empty database or a restored backup. They keep serving from their replicas and log the id
    that they followed: FORMER. Without FORMER, followers of this database's own id accept it, as
    after restoring a backup. Agents then take down what is not in this database.

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
    """Write the whole model, of one moment, as JSON lines to FILE, or to standard output for -.

    It has user data and hashes of tokens, so FILE is readable by its owner alone.

    \b
    a9fe db export model.jsonl
    a9fe db export - | gzip > model.jsonl.gz
    """
    _store().check_there()  # before there is a file to write it to
    with _output(file) as output, opened() as store:
        check_schema(store)
        for line in store.export():
            output.write(line)


@contextmanager
def _output(file: str) -> Iterator[TextIO]:
    """A new file, which is not left behind half-written."""
    if file == STANDARD:
        yield sys.stdout
        return
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
    except OSError as error:
        raise A9feError(f"cannot make {file!r}: {error.strerror}") from error
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
    """Fill an empty database from FILE (-: standard input): all of it, or nothing.

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
