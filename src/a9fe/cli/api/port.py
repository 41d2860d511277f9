"""`a9fe port`: the ports of networks."""

from typing import Any

import click

from a9fe.api_client import ApiClient
from a9fe.api_client.client import Document, Documents
from a9fe.cli.api import resource
from a9fe.cli.api.port_wait import wait_ready
from a9fe.cli.flags import client_flags


@click.group()
def port() -> None:
    """Ports: connections of VMs, routers and DHCP agents to networks.

    \b
    a9fe port list --filter device_owner=network:dhcp
    a9fe port wait-ready 6d4b3a1e-8c52-4f0b-9d9a-2b1c7e5f4a33 --timeout 60
    a9fe port show 6d4b3a1e-8c52-4f0b-9d9a-2b1c7e5f4a33
    """


def addresses(document: Document) -> list[str]:
    """Return the fixed IPs of a port."""
    return [str(ip["ip_address"]) for ip in document["fixed_ips"]]


def _rows(api: ApiClient, found: Documents) -> list[tuple[object, ...]]:
    names = {n["id"]: n["name"] or n["id"] for n in api.list("networks")}
    return [
        (
            p["id"],
            p["name"],
            names.get(p["network_id"], p["network_id"]),
            p["mac_address"],
            addresses(p),
            p["device_owner"],
            p["status"],
        )
        for p in found
    ]


PORT = resource.Kind(
    word="port",
    example="probe",
    collection="ports",
    columns=("ID", "Name", "Network", "MAC", "Addresses", "Owner", "Status"),
    rows=_rows,
    find=resource.by_name("ports"),
    has_problems=True,
)
resource.add_list(port, PORT)
resource.add_show(port, PORT)
resource.add_delete(port, PORT)
port.add_command(wait_ready)


@port.command("create")
@click.argument("network")
@click.option("--name", help="Name of the port.")
@click.option("--mac", "mac_address", metavar="MAC", help="MAC address.  [generated]")
@click.option(
    "--fixed-ip", multiple=True, metavar="IP", help="Address; may be repeated.  [a free one]"
)
@click.option("--device-id", metavar="ID", help="Device that has the port, such as a VM's id.")
@click.option("--device-owner", metavar="OWNER", help="Kind of the device, such as compute:nova.")
@click.option("--project", "project_id", metavar="ID", help="Project that owns it.")
@resource.json_flag
@client_flags
def create(*, network: str, fixed_ip: tuple[str, ...], as_json: bool, **more: Any) -> None:  # noqa: ANN401 - click's options
    """Create a port on NETWORK.

    \b
    a9fe port create lab --fixed-ip 10.1.0.77 --name probe
    """
    attributes = {name: value for name, value in more.items() if value is not None}
    if fixed_ip:
        attributes["fixed_ips"] = [{"ip_address": ip} for ip in fixed_ip]
    with resource.connect() as api:
        network_id = api.find("networks", network)["id"]
        made = api.create("ports", {"network_id": network_id, **attributes})
    resource.print_one(made, as_json=as_json)
