"""`a9fe vm config-drive`: what a VM would read over the network, as a disk for it."""

import base64
import importlib
from pathlib import Path

import click

from a9fe.cli.api import resource
from a9fe.cli.flags import client_flags
from a9fe.model.errors import A9feError
from a9fe.runtime import whole_files


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
    """Write a file that only its owner may read: it has user data, which may hold passwords.

    Raises A9feError, also if the file exists and `force` is false.
    """
    try:
        (whole_files.replace if force else whole_files.create)(path, content)
    except FileExistsError as error:
        raise A9feError(f"--output: {path} is there already; --force overwrites it") from error
    except OSError as error:
        raise A9feError(f"--output: cannot write {path}: {error.strerror}") from error
