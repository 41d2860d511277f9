"""`a9fe vm`: instances, the records of VMs."""

import base64
from pathlib import Path
from typing import Any

import click

from a9fe.api_client import ApiClient
from a9fe.api_client.client import Document, Documents
from a9fe.cli.api import resource
from a9fe.cli.api.named_files import read_file, read_keypair
from a9fe.cli.api.port import addresses
from a9fe.cli.api.vm_guest_data import attributes, password
from a9fe.cli.api.vm_options import set_
from a9fe.cli.flags import client_flags
from a9fe.cli.host.boot import boot
from a9fe.cli.host.config_drive import config_drive
from a9fe.cli.host.vm_taps import boot_lines, delete, nics_of, print_lines, print_nics
from a9fe.cli.host.wait_ready import wait_ready
from a9fe.cli.output import print_json

ACTIVE = "ACTIVE"
USER_DATA_MAX = 65535  # bytes of base64 (Nova)


@click.group()
def vm() -> None:
    """VMs: their metadata, their ports, and how to boot them.

    \b
    a9fe vm create web1 --network lab --ssh-key ~/.ssh/id_ed25519.pub --user-data cloud.yaml
    a9fe vm boot web1
    """


vm.add_command(boot)
vm.add_command(boot_lines)
vm.add_command(delete)
vm.add_command(config_drive)
vm.add_command(password)
vm.add_command(attributes)
vm.add_command(set_)
vm.add_command(wait_ready)


def _with_state(api: ApiClient, found: Documents) -> Documents:
    """Add `addresses`, and `state`: ACTIVE if a port of the instance is ACTIVE, else DOWN."""
    at: dict[str, Documents] = {}
    for port in api.list("ports"):
        at.setdefault(port["device_id"], []).append(port)
    return [{**vm, **_seen(at.get(vm["id"], []))} for vm in found]


def _seen(ports: Documents) -> Document:
    active = any(port["status"] == ACTIVE for port in ports)
    return {
        "addresses": [address for port in ports for address in addresses(port)],
        "state": ACTIVE if active else "DOWN",
    }


def _brief(vm: Document) -> Document:
    """Shorten an instance for a table: a line for each port and key, the size of user data."""
    data = base64.b64decode(vm.get("user_data") or "")
    return {
        **vm,
        "ports": [f"{p['id']} {p['mac_address']} {' '.join(addresses(p))}" for p in vm["ports"]],
        "keypairs": [f"{k['name']} ({k['type']})" for k in vm["keypairs"]],
        "user_data": f"{len(data)} bytes" if data else "",
    }


VM = resource.Kind(
    word="vm",
    example="web1",
    noun="VM",
    collection="instances",
    columns=("ID", "Name", "State", "Addresses", "Project"),
    rows=resource.columns("id", "name", "state", "addresses", "project_id"),
    more=_with_state,
    find=resource.by_name("instances"),
    brief=_brief,
)
resource.add_list(vm, VM)
resource.add_show(vm, VM)


@vm.command("create")
@click.argument("name")
@click.option(
    "--network", "networks", multiple=True, help="Network to create a port on; may be repeated."
)
@click.option("--port", "ports", multiple=True, help="Existing port; may be repeated.")
@click.option(
    "--fixed-ip",
    "fixed_ips",
    multiple=True,
    metavar="IP",
    help="Address on the first --network; repeat it for the second, and so on.  [a free one]",
)
@click.option(
    "--ssh-key",
    "ssh_keys",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="SSH public key; may be repeated.",
)
@click.option(
    "--user-data", type=click.Path(path_type=Path), metavar="FILE", help="File of user data."
)
@click.option(
    "--meta",
    "metadata",
    multiple=True,
    metavar="NAME=VALUE",
    callback=resource.pairs,
    help="Metadata item; may be repeated.",
)
@click.option("--flavor", default="", help="Instance type in the EC2 metadata.")
@click.option("--image", default="", help="Image name, from which EC2's AMI id is made.")
@click.option("--availability-zone", metavar="ZONE", help="Availability zone.")
@click.option("--project", "project_id", metavar="ID", help="Project that owns it.")
@resource.json_flag
@client_flags
def create(*, as_json: bool, **given: Any) -> None:  # noqa: ANN401 - click's options
    """Create the VM NAME with a port on each network, and print how to boot it.

    \b
    a9fe vm create web1 --network lab --ssh-key ~/.ssh/id_ed25519.pub --user-data cloud.yaml
    a9fe vm create db1 --network lab --fixed-ip 10.1.0.20 --meta role=db
    """
    if not (given["networks"] or given["ports"]):
        raise click.UsageError("expected --network or --port")
    if len(given["fixed_ips"]) > len(given["networks"]):
        raise click.UsageError("--fixed-ip: expected at most one for each --network")
    attributes = _attributes(given)
    with resource.connect() as api:
        attributes["networks"] = _wanted(api, given)
        made = api.create("instances", attributes)
        nics = nics_of(api, made)
    if as_json:
        print_json(made)
        return
    click.echo(f"vm {made['name']}: {made['id']}")
    print_nics(nics)
    print_lines(made["id"], nics)


def _attributes(given: dict[str, Any]) -> Document:
    attributes: Document = {name: given[name] for name in ("name", "metadata", "flavor", "image")}
    attributes["keypairs"] = [read_keypair("--ssh-key", path) for path in given["ssh_keys"]]
    if given["user_data"] is not None:
        attributes["user_data"] = _user_data(given["user_data"])
    for name in ("availability_zone", "project_id"):
        if given[name] is not None:
            attributes[name] = given[name]
    return attributes


def _wanted(api: ApiClient, given: dict[str, Any]) -> Documents:
    wanted: Documents = [{"uuid": api.find("networks", n)["id"]} for n in given["networks"]]
    for network, ip in zip(wanted, given["fixed_ips"], strict=False):
        network["fixed_ip"] = ip
    return wanted + [{"port": api.find("ports", p)["id"]} for p in given["ports"]]


def _user_data(path: Path) -> str:
    limit = USER_DATA_MAX // 4 * 3
    content = read_file("--user-data", path, limit, "a file")
    return base64.b64encode(content).decode("ascii")
