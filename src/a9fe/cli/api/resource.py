"""The commands list, show and delete of every resource of the API."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from a9fe.api_client import ApiClient
from a9fe.api_client.client import Document, Documents
from a9fe.cli.flags import client_flags, settings
from a9fe.cli.output import print_fields, print_json, print_table
from a9fe.runtime.state import local_tokens

F = TypeVar("F", bound=Callable[..., Any])

json_flag = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of resource: its word in commands, its API collection, the columns of its list.

    `noun` is its word in help texts, if that differs; `example` is a name in examples.
    `rows` returns the cells of each listed resource in the order of `columns`. `brief` shortens
    a resource for the table of `show`; JSON has everything. `more` adds fields from other API
    calls. `has_problems`: agents report problems of it, which `show` adds.
    """

    word: str
    noun: str = ""
    example: str
    collection: str
    columns: tuple[str, ...]
    rows: Callable[[ApiClient, Documents], list[tuple[object, ...]]]
    find: Callable[[ApiClient, str], Document]
    brief: Callable[[Document], Document] = dict
    more: Callable[[ApiClient, Documents], Documents] = lambda _, found: found
    has_problems: bool = False


def by_name(collection: str) -> Callable[[ApiClient, str], Document]:
    """Return a function that finds a resource of the collection by name or id."""
    return lambda api, name: api.find(collection, name)


def columns(*attributes: str) -> Callable[[ApiClient, Documents], list[tuple[object, ...]]]:
    """Return a function that makes rows of these attributes."""
    return lambda _, found: [tuple(d.get(name) for name in attributes) for d in found]


def connect() -> ApiClient:
    """Return a client of the configured server."""
    config = settings()
    return ApiClient(config.server_url, token=local_tokens.for_command(config))


def print_one(document: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one resource, as JSON or as a table of fields."""
    if as_json:
        print_json(document)
    else:
        print_fields(document)


def pairs(context: click.Context, parameter: click.Parameter, given: Any) -> dict[str, str]:  # noqa: ANN401 - click's signature
    """Convert a repeated NAME=VALUE option to a dictionary (click callback)."""
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"{text!r} is not valid, expected NAME=VALUE")
        found[name] = value
    return found


def add_list(group: click.Group, kind: Kind) -> None:
    """Add the command `list`."""

    @group.command(
        "list", help=f"List {kind.noun or kind.word}s.\n\n\b\na9fe {kind.word} list --json"
    )
    @click.option(
        "--filter",
        "filters",
        multiple=True,
        metavar="NAME=VALUE",
        callback=pairs,
        help="Only resources whose attribute NAME is VALUE; may be repeated.",
    )
    @json_flag
    @client_flags
    def list_(*, filters: dict[str, str], as_json: bool) -> None:
        with connect() as api:
            found = kind.more(api, api.list(kind.collection, **filters))
            if as_json:
                print_json(found)
            else:
                print_table(kind.columns, kind.rows(api, found))


def add_show(group: click.Group, kind: Kind) -> None:
    """Add the command `show`."""

    noun, word = kind.noun or kind.word, kind.word

    @group.command("show", help=f"Show the {noun} NAME.\n\n\b\na9fe {word} show {kind.example}")
    @click.argument("name")
    @json_flag
    @client_flags
    def show(name: str, *, as_json: bool) -> None:
        with connect() as api:
            (found,) = kind.more(api, [kind.find(api, name)])
            if kind.has_problems:
                found = {**found, **_status(api, kind, found)}
            print_one(found if as_json else kind.brief(found), as_json=as_json)


def _status(api: ApiClient, kind: Kind, found: Document) -> Document:
    """Return the status that agents report, and why it is not as wanted ("" if it is)."""
    status = api.status(kind.collection, found["id"])
    return {"status": status["status"], "status_reason": status["status_reason"]}


def add_delete(group: click.Group, kind: Kind) -> None:
    """Add the command `delete`."""

    noun, word = kind.noun or kind.word, kind.word

    @group.command(
        "delete", help=f"Delete the {noun}s NAMES.\n\n\b\na9fe {word} delete {kind.example}"
    )
    @click.argument("names", nargs=-1, required=True)
    @client_flags
    def delete(names: tuple[str, ...]) -> None:
        with connect() as api:
            ids = [kind.find(api, name)["id"] for name in names]
            for name, id in zip(names, ids, strict=True):
                api.delete(kind.collection, id)
                click.echo(f"{kind.word} {name}: deleted")
