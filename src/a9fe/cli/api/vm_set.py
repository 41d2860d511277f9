"""`a9fe vm set`: how a VM's guest may ask for its metadata."""

from typing import Any

import click

from a9fe.cli.api import resource
from a9fe.cli.flags import client_flags
from a9fe.model.guest import GUEST_ATTRIBUTES, HTTP_TOKENS

DEFAULT = "default"


def seconds(
    context: click.Context, parameter: click.Parameter, given: str | None
) -> str | int | None:
    """A number of seconds, or `default`; which numbers may be is the server's to say."""
    if given is None or given == DEFAULT:
        return given
    if not given.isascii() or not given.isdigit():
        raise click.BadParameter(f"{given!r} is not valid, expected seconds or {DEFAULT}")
    return int(given)


@click.command("set")
@click.argument("name")
@click.option("--http-tokens", type=click.Choice([*HTTP_TOKENS, DEFAULT]), help="Tokens (IMDSv2).")
@click.option(
    "--http-tokens-required-after",
    callback=seconds,
    metavar="SECONDS",
    help="Need tokens from so long after the VM was made.",
)
@click.option(
    "--hop-limit",
    "http_put_response_hop_limit",
    type=click.IntRange(0, 64),
    metavar="N",
    help="IP hops that a token's packets live; 0: as the cloud has it.",
)
@click.option(
    "--guest-attributes",
    type=click.Choice([*GUEST_ATTRIBUTES, DEFAULT]),
    help="Whether the guest may write attributes.",
)
@resource.json_flag
@client_flags
def set_(*, name: str, as_json: bool, **given: Any) -> None:  # noqa: ANN401 - click's options
    """Say how the guest of NAME may ask for its metadata; `default` is as the cloud says.

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
    """A value as the API has it: "" or null where the cloud's counts."""
    if value != DEFAULT:
        return value
    return None if option == "http_tokens_required_after" else ""
