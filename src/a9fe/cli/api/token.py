"""`a9fe token`: API tokens of users (with auth_strategy token) and of agents."""

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
    help="Use the database instead of the API, as root; needs no admin token.",
)


@click.group()
def token() -> None:
    """API tokens, which callers of the server need if auth_strategy is token.

    The server stores only hashes, so a token is shown once. Commands send A9FE_AUTH_TOKEN; root on
    the server's host may leave it out and uses the token that `a9fe up` made.

    \b
    a9fe token create --project web
    a9fe token create --agent node2
    a9fe token list
    """


@token.command("create")
@click.option("--project", "project_id", metavar="ID", help="Project of the token's callers.")
@click.option("--role", type=click.Choice(ROLES), help=f"Role in the project.  [{MEMBER}]")
@click.option(
    "--agent",
    "host",
    metavar="HOST",
    help="Only for the agents of HOST; '*': for a metadata service that serves all hosts.",
)
@click.option("--description", default="", help="Purpose, shown in the list.")
@direct_flag
@resource.json_flag
@settings_flags
def create(*, direct: bool, as_json: bool, **more: Any) -> None:  # noqa: ANN401 - click's options
    """Create a token and print it. It cannot be shown again.

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
    """List tokens, without their secrets.

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
        print_table(("ID", "Project", "Role", "Host", "Description", "Created at"), _rows(found))


def _rows(found: Documents) -> list[tuple[object, ...]]:
    return [tuple(item[name] for name in COLUMNS) for item in found]


@token.command("revoke")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@direct_flag
@settings_flags
def revoke(ids: tuple[str, ...], *, direct: bool) -> None:
    """Revoke tokens. ID is an id from `a9fe token list`, or the token itself.

    A token that `a9fe up` made is valid again after the server's next start, unless you also
    remove its file in --state-path; `a9fe up` then makes a new one.

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
    """Open the database as the server's user, who must own its files."""
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
