"""`a9fe flavor`, `a9fe image` and `a9fe keypair`: records that Nova's and Glance's clients use."""

from pathlib import Path
from typing import Any

import click

from a9fe.api_client.client import Document
from a9fe.cli.api import resource
from a9fe.cli.api.named_files import read_keypair
from a9fe.cli.flags import client_flags


@click.group()
def flavor() -> None:
    """Flavors: named sizes of VMs. They are records: a9fe boots nothing with them.

    \b
    a9fe flavor create web.small --vcpus 2 --ram 2048 --disk 20
    a9fe flavor list
    """


@click.group()
def image() -> None:
    """Images: named disk images of VMs. They are records: a9fe stores no image data.

    \b
    a9fe image create debian-12
    a9fe image list
    """


@click.group()
def keypair() -> None:
    """Key pairs: named public keys, for `openstack server create --key-name`.

    \b
    a9fe keypair create desk ~/.ssh/id_ed25519.pub
    a9fe keypair list
    """


FLAVOR = resource.Kind(
    word="flavor",
    example="web.small",
    collection="flavors",
    columns=("ID", "Name", "VCPUs", "RAM MiB", "Disk GiB"),
    rows=resource.columns("id", "name", "vcpus", "ram", "disk"),
    find=resource.by_name("flavors"),
)
IMAGE = resource.Kind(
    word="image",
    example="debian-12",
    collection="images",
    columns=("ID", "Name", "Project"),
    rows=resource.columns("id", "name", "project_id"),
    find=resource.by_name("images"),
)
KEYPAIR = resource.Kind(
    word="keypair",
    example="desk",
    noun="key pair",
    collection="keypairs",
    columns=("ID", "Name", "Fingerprint", "Project"),
    rows=resource.columns("id", "name", "fingerprint", "project_id"),
    find=resource.by_name("keypairs"),
)
for _group, _kind in ((flavor, FLAVOR), (image, IMAGE), (keypair, KEYPAIR)):
    resource.add_list(_group, _kind)
    resource.add_show(_group, _kind)
    resource.add_delete(_group, _kind)


def _create(collection: str, given: dict[str, Any], *, as_json: bool) -> None:
    attributes: Document = {name: value for name, value in given.items() if value is not None}
    with resource.connect() as api:
        resource.print_one(api.create(collection, attributes), as_json=as_json)


@flavor.command("create")
@click.argument("name")
@click.option("--id", metavar="ID", help="Id of the flavor.  [generated]")
@click.option("--vcpus", type=int, metavar="N", help="Virtual CPUs.  [1]")
@click.option("--ram", type=int, metavar="MIB", help="Memory in MiB.  [512]")
@click.option("--disk", type=int, metavar="GIB", help="Root disk in GiB.  [0]")
@resource.json_flag
@client_flags
def create_flavor(*, as_json: bool, **given: Any) -> None:  # noqa: ANN401 - click's options
    """Create the flavor NAME.

    \b
    a9fe flavor create web.small --vcpus 2 --ram 2048 --disk 20
    """
    _create("flavors", given, as_json=as_json)


@image.command("create")
@click.argument("name")
@click.option("--id", metavar="UUID", help="Id of the image.  [generated]")
@click.option(
    "--visibility",
    type=click.Choice(["public", "private", "shared", "community"]),
    help="Projects that see it.  [shared]",
)
@click.option("--project", "project_id", metavar="ID", help="Project that owns it.")
@resource.json_flag
@client_flags
def create_image(*, as_json: bool, **given: Any) -> None:  # noqa: ANN401 - click's options
    """Create the image NAME, without data.

    \b
    a9fe image create debian-12
    """
    _create("images", given, as_json=as_json)


@keypair.command("create")
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--project", "project_id", metavar="ID", help="Project that owns it.")
@resource.json_flag
@client_flags
def create_keypair(name: str, file: Path, project_id: str | None, *, as_json: bool) -> None:
    """Create the key pair NAME with the OpenSSH public key in FILE.

    \b
    a9fe keypair create desk ~/.ssh/id_ed25519.pub
    """
    key = read_keypair("FILE", file)
    given = {"name": name, "public_key": key["public_key"], "project_id": project_id}
    _create("keypairs", given, as_json=as_json)
