"""`a9fe vm password` and `a9fe vm attributes`: what a guest wrote to its metadata."""

import importlib
from pathlib import Path

import click

from a9fe.cli.api import resource
from a9fe.cli.api.named_files import KEY_MAX, read_file
from a9fe.cli.flags import client_flags
from a9fe.cli.output import print_json, print_table
from a9fe.model.errors import A9feError

KEY = "an RSA private key without a passphrase"


@click.command("password")
@click.argument("name")
@click.option(
    "--clear", is_flag=True, help="Delete the password, so that the guest may post a new one."
)
@click.option(
    "--decrypt",
    "key_file",
    type=click.Path(path_type=Path),
    metavar="KEYFILE",
    help="Private key of the VM's key pair, for which the guest encrypted the password.",
)
@resource.json_flag
@client_flags
def password(*, name: str, clear: bool, key_file: Path | None, as_json: bool) -> None:
    """Print the password that the guest of the VM NAME posted.

    \b
    a9fe vm password win1 --decrypt ~/.ssh/id_rsa
    a9fe vm password win1 --clear
    """
    if clear and key_file:
        raise click.UsageError("--clear and --decrypt exclude each other")
    with resource.connect() as api:
        path = f"/a9fe/v1/instances/{api.find('instances', name)['id']}/password"
        if clear:
            api.call("DELETE", path)
            click.echo(f"vm {name}: password cleared")
            return
        found = str(api.call("GET", path).get("password", ""))
    if key_file and found:
        key = read_file("--decrypt", key_file, KEY_MAX, KEY)
        # loads a large library
        decrypt = importlib.import_module("a9fe.cli.api.password_decryption")
        found = decrypt.decrypted(found, key)
    if as_json:
        print_json({"password": found})
    elif found:
        click.echo(found)
    else:
        raise A9feError(f"vm {name}: the guest has posted no password")


@click.command("attributes")
@click.argument("name")
@resource.json_flag
@client_flags
def attributes(*, name: str, as_json: bool) -> None:
    """List the guest attributes of the VM NAME.

    \b
    a9fe vm attributes web1
    a9fe vm attributes web1 --json
    """
    with resource.connect() as api:
        id = api.find("instances", name)["id"]
        found = api.call("GET", f"/a9fe/v1/instances/{id}/guest-attributes")["guest_attributes"]
    if as_json:
        print_json(found)
    else:
        rows = [(one["namespace"], one["key"], one["value"]) for one in found]
        print_table(("Namespace", "Key", "Value"), rows)
