"""`a9fe router`: routers and their interfaces."""

import click

from a9fe.api_client import ApiClient
from a9fe.api_client.client import Document, Documents
from a9fe.cli.api import resource
from a9fe.cli.api.network import find_subnet
from a9fe.cli.api.port import addresses
from a9fe.cli.flags import client_flags
from a9fe.model.resources import ROUTER_INTERFACE_OWNERS


@click.group()
def router() -> None:
    """Routers between networks.

    \b
    a9fe router create r1
    a9fe router add-interface r1 lab
    """


def _with_interfaces(api: ApiClient, routers: Documents) -> Documents:
    """Return the routers with their ports in `interfaces`."""
    at: dict[str, Documents] = {}
    for owner in sorted(ROUTER_INTERFACE_OWNERS):
        for port in api.list("ports", device_owner=owner):
            at.setdefault(port["device_id"], []).append(port)
    return [{**router, "interfaces": _briefly(at.get(router["id"], []))} for router in routers]


def _briefly(ports: Documents) -> Documents:
    names = ("id", "network_id", "fixed_ips", "mac_address", "status")
    found = [{name: port[name] for name in names} for port in ports]
    return sorted(found, key=lambda port: str(port["id"]))


def _brief(router: Document) -> Document:
    """Shorten each interface of a router to one line, for a table."""
    lines = [
        f"{port['id']} {' '.join(addresses(port))} {port['status']}"
        for port in router["interfaces"]
    ]
    return {**router, "interfaces": lines}


ROUTER = resource.Kind(
    word="router",
    example="r1",
    collection="routers",
    columns=("ID", "Name", "Status", "Up"),
    rows=resource.columns("id", "name", "status", "admin_state_up"),
    find=resource.by_name("routers"),
    brief=_brief,
    more=_with_interfaces,
    has_problems=True,
)
resource.add_list(router, ROUTER)
resource.add_show(router, ROUTER)
resource.add_delete(router, ROUTER)


@router.command("create")
@click.argument("name")
@click.option("--project", metavar="ID", help="Project that owns it.")
@resource.json_flag
@client_flags
def create(*, name: str, project: str | None, as_json: bool) -> None:
    """Create the router NAME.

    \b
    a9fe router create r1
    """
    attributes = {"name": name} | ({"project_id": project} if project else {})
    with resource.connect() as api:
        made = api.create("routers", attributes)
    resource.print_one(made, as_json=as_json)


def _interface(function: resource.F) -> resource.F:
    for decorate in (
        client_flags,
        resource.json_flag,
        click.option("--port", help="Name or id of a port, instead of SUBNET."),
        click.argument("subnet", required=False),
        click.argument("router_name", metavar="ROUTER"),
    ):
        function = decorate(function)
    return function


@router.command("add-interface")
@_interface
def add_interface(
    *, router_name: str, subnet: str | None, port: str | None, as_json: bool
) -> None:
    """Connect ROUTER to SUBNET; it takes the subnet's gateway address.

    SUBNET is a subnet's name, id or CIDR, or the name of a network with one subnet.

    \b
    a9fe router add-interface r1 lab
    """
    _act("add_router_interface", router_name, subnet, port, as_json=as_json)


@router.command("remove-interface")
@_interface
def remove_interface(
    *, router_name: str, subnet: str | None, port: str | None, as_json: bool
) -> None:
    """Disconnect ROUTER from SUBNET.

    \b
    a9fe router remove-interface r1 lab
    """
    _act("remove_router_interface", router_name, subnet, port, as_json=as_json)


def _act(
    action: str, router_name: str, subnet: str | None, port: str | None, *, as_json: bool
) -> None:
    if (subnet is None) == (port is None):
        raise click.UsageError("expected either SUBNET or --port")
    with resource.connect() as api:
        id = api.find("routers", router_name)["id"]
        answer = api.action("routers", id, action, _body(api, subnet, port))
    resource.print_one(answer, as_json=as_json)


def _body(api: ApiClient, subnet: str | None, port: str | None) -> Document:
    if port is not None:
        return {"port_id": api.find("ports", port)["id"]}
    return {"subnet_id": find_subnet(api, subnet or "")["id"]}
