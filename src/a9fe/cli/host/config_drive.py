"""`a9fe vm config-drive`: what a VM would read over the network, as a disk for it."""

import base64
import importlib
import os
from pathlib import Path

import click

from a9fe.cli.api import resource
from a9fe.cli.flags import client_flags
from a9fe.model.errors import A9feError

MODE = 0o600  # it has user data, and so perhaps secrets


@click.command("config-drive")
@click.argument("name")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="The image to write.",
)
@click.option(
    "--format",
    "layout",
    type=click.Choice(["openstack", "nocloud"]),
    default="openstack",
    help="Nova's layout, or cloud-init's NoCloud.  [openstack]",
)
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@client_flags
def config_drive(*, name: str, output: Path, layout: str, force: bool) -> None:
    """Write a config drive for the VM NAME: an ISO image, for VMs without a network.

    It is of now: what changes later is read over the network only.

    \b
    a9fe vm config-drive web1 -o web1.iso
    a9fe vm config-drive web1 -o seed.iso --format nocloud
    """
    with resource.connect() as api:
        id = api.find("instances", name)["id"]
        path = f"/a9fe/v1/instances/{id}/config-drive"
        found = api.call("GET", path, params={"format": layout})
    files = {f["path"]: base64.b64decode(f["content"]) for f in found["files"]}
    iso = importlib.import_module("a9fe.cli.host.iso")  # no other command needs its library
    write(output, iso.image(found["label"], files), force=force)
    click.echo(f"vm {name}: {output} has {len(files)} files, label {found['label']}")


def write(path: Path, content: bytes, *, force: bool) -> None:
    """A file for its owner alone, whole or not at all. Raises A9feError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if not force and os.path.lexists(path):
            raise A9feError(f"--output: {path} is there already; --force overwrites it")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE), "wb") as file:
            file.write(content)
        _place(beside, path, force=force)
    except OSError as error:
        raise A9feError(f"--output: cannot write {path}: {error.strerror}") from error
    finally:
        beside.unlink(missing_ok=True)


def _place(beside: Path, path: Path, *, force: bool) -> None:
    if force:
        beside.replace(path)
        return
    os.link(beside, path)  # fails where somebody made it meanwhile
