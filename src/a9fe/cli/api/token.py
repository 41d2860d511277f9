"""`a9fe token`: who may call the server, where auth_strategy is token; and its agents' tokens."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import click

from a9fe.api_client.client import Document, Documents
from a9fe.cli import db
from a9fe.cli.api import resource
from a9fe.cli.flags import settings_flags
from a9fe.cli.output import print_json, print_table
from a9fe.linux.processes import privileges
from a9fe.model import api_tokens as tokens
from a9fe.model.policy import MEMBER, ROLES
from a9fe.server.native.api_tokens import new, shown
from a9fe.store import Session, Store

COLUMNS = ("id", "project_id", "role", "host", "description", "created_at")

direct_flag = click.option(
    "--direct",
    is_flag=True,
    help="Use the database itself, as root: also before there is an admin's token.",
)


@click.group()
def token() -> None:
    """Tokens: who may call the server, when auth_strategy is token.

    The server keeps hashes only: a token is shown once. Commands send A9FE_AUTH_TOKEN, or, for
    root on the server's machine, what `a9fe up` has made.

    \b
    a9fe token create --project web
    a9fe token create --agent node2
    a9fe token list
    """


@token.command("create")
@click.option("--project", "project_id", metavar="ID", help="Project that it is of.")
@click.option("--role", type=click.Choice(ROLES), help=f"What it may do.  [{MEMBER}]")
@click.option(
    "--agent",
    "host",
    metavar="HOST",
    help="For the agents of HOST, nothing else; HOST '*': for a metadata service of all hosts.",
)
@click.option("--description", default="", help="What it is for.")
@direct_flag
@resource.json_flag
@settings_flags
def create(*, direct: bool, as_json: bool, **more: Any) -> None:  # noqa: ANN401 - click's options
    """Make a token and print it, once.

    \b
    a9fe token create --project web --role admin
    A9FE_AUTH_TOKEN=$(a9fe token create --agent node2) a9fe l3-agent
    """
    asked = {name: value for name, value in more.items() if value}
    if bool("host" in asked) == bool("project_id" in asked):
        raise click.UsageError("either --project or --agent is needed")
    if "host" in asked and "role" in asked:
        raise click.UsageError("--role goes with --project")
    made = _create_directly(asked) if direct else _create(asked)
    if as_json:
        print_json(made)
    else:
        click.echo(made["token"])


def _create(asked: Document) -> Document:
    with resource.connect() as api:
        found: Document = api.call("POST", "/a9fe/v1/tokens", {"token": asked})["token"]
        return found


@token.command("list")
@direct_flag
@resource.json_flag
@settings_flags
def list_(*, direct: bool, as_json: bool) -> None:
    """List tokens, without themselves.

    \b
    a9fe token list
    """
    if direct:
        found = _list_directly()
    else:
        with resource.connect() as api:
            found = api.call("GET", "/a9fe/v1/tokens").get("tokens", [])
    if as_json:
        print_json(found)
    else:
        print_table(("ID", "Project", "Role", "Host", "Description", "Made at"), _rows(found))


def _rows(found: Documents) -> list[tuple[object, ...]]:
    return [tuple(item[name] for name in COLUMNS) for item in found]


@token.command("revoke")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@direct_flag
@settings_flags
def revoke(ids: tuple[str, ...], *, direct: bool) -> None:
    """Make tokens worthless from now on. ID is the list's, or the token itself.

    A token of the server's own machine counts again after the server's next start, unless its file
    in --state-path is removed, too; `a9fe up` makes another.

    \b
    a9fe token revoke 0123456789abcdef
    """
    wanted = [tokens.id_of(text) or text for text in ids]
    if direct:
        _revoke_directly(wanted)
    else:
        with resource.connect() as api:
            for id in wanted:
                api.call("DELETE", f"/a9fe/v1/tokens/{quote(id, safe='')}")
                click.echo(f"token {id}: revoked")


@contextmanager
def _opened() -> Iterator[Store]:
    """The database, as the server's user, so that its files stay that one's."""
    privileges.require_root("a9fe token --direct")
    with db.opened() as store:
        db.check_schema(store)
        yield store


def _create_directly(asked: Document) -> Document:
    made, text = new(asked)
    with _opened() as store:
        store.transact(lambda session: session.api_tokens.add(made))
    return {**shown(made), "token": text}


def _list_directly() -> Documents:
    with _opened() as store, store.read() as session:
        return [{name: getattr(t, name) for name in COLUMNS} for t in session.api_tokens.all()]


def _revoke_directly(ids: list[str]) -> None:
    def work(session: Session) -> None:
        for id in ids:
            session.api_tokens.remove(id)

    with _opened() as store:
        store.transact(work)
    for id in ids:
        click.echo(f"token {id}: revoked")
