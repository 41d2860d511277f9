"""`a9fe vm config-drive`: a VM's metadata as an ISO image."""

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
    help="File of the image.",
)
@click.option(
    "--format",
    "layout",
    type=click.Choice(["openstack", "nocloud"]),
    default="openstack",
    help="Layout of files: Nova's, or cloud-init's NoCloud.  [openstack]",
)
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@client_flags
def config_drive(*, name: str, output: Path, layout: str, force: bool) -> None:
    """Write a config drive: an ISO image with the metadata of the VM NAME.

    It has the present metadata; later changes can be read only over the network.

    \b
    a9fe vm config-drive web1 -o web1.iso
    a9fe vm config-drive web1 -o seed.iso --format nocloud
    """
    with resource.connect() as api:
        id = api.find("instances", name)["id"]
        path = f"/a9fe/v1/instances/{id}/config-drive"
        found = api.call("GET", path, params={"format": layout})
    files = {f["path"]: base64.b64decode(f["content"]) for f in found["files"]}
    iso = importlib.import_module("a9fe.cli.host.iso_image")  # loads a large library
    write(output, iso.image(found["label"], files), force=force)
    click.echo(f"vm {name}: {output} has {len(files)} files, label {found['label']}")


def write(path: Path, content: bytes, *, force: bool) -> None:
    """Write a file that only its owner may read, as user data may hold passwords.

    Raises A9feError, also if the file exists and `force` is false.
    """
    try:
        (whole_files.replace if force else whole_files.create)(path, content)
    except FileExistsError as error:
        raise A9feError(f"--output: {path} exists already; --force overwrites it") from error
    except OSError as error:
        raise A9feError(f"--output: cannot write {path}: {error.strerror}") from error
