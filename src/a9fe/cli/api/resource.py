"""What list, show and delete have in common for every resource of the API."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from a9fe.api_client import ApiClient
from a9fe.api_client.client import Document, Documents
from a9fe.cli.flags import client_flags, settings
from a9fe.cli.output import print_fields, print_json, print_table
from a9fe.runtime import local_tokens

F = TypeVar("F", bound=Callable[..., Any])

json_flag = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A resource: its word in commands, its collection in the API, and the columns of its list.

    `rows` makes the cells of each row, in the order of `columns`, from all listed resources.
    `brief` is what `show` prints as a table; as JSON it prints everything. `more` adds fields
    from other API calls.
    """

    word: str
    collection: str
    columns: tuple[str, ...]
    rows: Callable[[ApiClient, Documents], list[tuple[object, ...]]]
    find: Callable[[ApiClient, str], Document]
    brief: Callable[[Document], Document] = dict
    more: Callable[[ApiClient, Documents], Documents] = lambda _, found: found


def by_name(collection: str) -> Callable[[ApiClient, str], Document]:
    """Find by name or id."""
    return lambda api, name: api.find(collection, name)


def columns(*attributes: str) -> Callable[[ApiClient, Documents], list[tuple[object, ...]]]:
    """Rows of plain attributes."""
    return lambda _, found: [tuple(d.get(name) for name in attributes) for d in found]


def connect() -> ApiClient:
    """A client of the configured server."""
    config = settings()
    return ApiClient(config.server_url, token=local_tokens.for_command(config))


def print_one(document: Mapping[str, Any], *, as_json: bool) -> None:
    """One resource."""
    if as_json:
        print_json(document)
    else:
        print_fields(document)


def pairs(context: click.Context, parameter: click.Parameter, given: Any) -> dict[str, str]:  # noqa: ANN401 - click's signature
    """A repeated NAME=VALUE as a dictionary."""
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"{text!r} is not valid, expected NAME=VALUE")
        found[name] = value
    return found


def add_list(group: click.Group, kind: Kind) -> None:
    """`list` of a resource."""

    @group.command("list", help=f"List {kind.word}s.\n\n\b\na9fe {kind.word} list --json")
    @click.option(
        "--filter",
        "filters",
        multiple=True,
        metavar="NAME=VALUE",
        callback=pairs,
        help="Only those whose attribute NAME is VALUE; may be repeated.",
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
    """`show` of a resource."""

    @group.command("show", help=f"Show the {kind.word} NAME.\n\n\b\na9fe {kind.word} show web1")
    @click.argument("name")
    @json_flag
    @client_flags
    def show(name: str, *, as_json: bool) -> None:
        with connect() as api:
            (found,) = kind.more(api, [kind.find(api, name)])
            print_one(found if as_json else kind.brief(found), as_json=as_json)


def add_delete(group: click.Group, kind: Kind) -> None:
    """`delete` of a resource."""

    @group.command(
        "delete", help=f"Delete the {kind.word}s NAMES.\n\n\b\na9fe {kind.word} delete web1 web2"
    )
    @click.argument("names", nargs=-1, required=True)
    @client_flags
    def delete(names: tuple[str, ...]) -> None:
        with connect() as api:
            ids = [kind.find(api, name)["id"] for name in names]
            for name, id in zip(names, ids, strict=True):
                api.delete(kind.collection, id)
                click.echo(f"{kind.word} {name}: deleted")
