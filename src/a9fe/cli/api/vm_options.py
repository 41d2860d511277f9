"""`a9fe vm set`: the metadata options of a VM."""

from typing import Any

import click

from a9fe.cli.api import resource
from a9fe.cli.flags import client_flags
from a9fe.model.guest import GUEST_ATTRIBUTES, HTTP_TOKENS

DEFAULT = "default"


def seconds(
    context: click.Context, parameter: click.Parameter, given: str | None
) -> str | int | None:
    """Convert a number of seconds, or `default` (click callback). The server checks the range."""
    if given is None or given == DEFAULT:
        return given
    if not given.isascii() or not given.isdigit():
        raise click.BadParameter(f"{given!r} is not valid, expected seconds or {DEFAULT}")
    return int(given)


@click.command("set")
@click.argument("name")
@click.option("--http-tokens", type=click.Choice([*HTTP_TOKENS, DEFAULT]), help="Use of IMDSv2.")
@click.option(
    "--http-tokens-required-after",
    callback=seconds,
    metavar="SECONDS",
    help="Require tokens this long after the VM was created.",
)
@click.option(
    "--hop-limit",
    "http_put_response_hop_limit",
    type=click.IntRange(0, 64),
    metavar="N",
    help="Hop limit (TTL) of answers with a token; 0: the option's default.",
)
@click.option(
    "--guest-attributes",
    type=click.Choice([*GUEST_ATTRIBUTES, DEFAULT]),
    help="Whether the guest may write attributes.",
)
@resource.json_flag
@client_flags
def set_(*, name: str, as_json: bool, **given: Any) -> None:  # noqa: ANN401 - click's options
    """Set the metadata options of the VM NAME; `default` follows the server's options.

    \b
    a9fe vm set web1 --http-tokens observe
    a9fe vm set web1 --http-tokens required --hop-limit 1
    """
    wanted = {
        option: stored(option, value) for option, value in given.items() if value is not None
    }
    if not wanted:
        raise click.UsageError("nothing to set")
    with resource.connect() as api:
        found = api.find("instances", name)
        options = {**found["metadata_options"], **wanted}
        made = api.update("instances", found["id"], {"metadata_options": options})
    shown = made["metadata_options"]
    resource.print_one(made if as_json else {o: shown[o] for o in sorted(shown)}, as_json=as_json)


def stored(option: str, value: str | int) -> str | int | None:
    """Return an option's value in the API: "" or None for `default`."""
    if value != DEFAULT:
        return value
    return None if option == "http_tokens_required_after" else ""
