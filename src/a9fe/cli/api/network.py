"""`a9fe network` and `a9fe subnet`: networks and their subnets."""

import ipaddress
from typing import Any

import click

from a9fe.api_client import ApiClient
from a9fe.api_client.client import Document, Documents
from a9fe.cli.api import resource
from a9fe.cli.flags import client_flags
from a9fe.model.errors import A9feError
from a9fe.model.rules import addresses as rules


@click.group()
def network() -> None:
    """Networks to which VMs and routers have ports.

    \b
    a9fe network create lab --subnet 10.1.0.0/24
    a9fe network list
    """


@click.group()
def subnet() -> None:
    """Subnets: blocks of addresses of networks.

    \b
    a9fe subnet create lab 10.2.0.0/24 --no-gateway
    a9fe subnet show 10.2.0.0/24 --json
    """


def _network_rows(api: ApiClient, found: Documents) -> list[tuple[object, ...]]:
    cidrs = {s["id"]: f"{s['id']} {s['cidr']}" for s in api.list("subnets")}
    return [
        (n["id"], n["name"], [cidrs.get(s, s) for s in n["subnets"]], n["status"]) for n in found
    ]


def find_subnet(api: ApiClient, name: str) -> Document:
    """Find a subnet by name, id or CIDR, or by the name of a network with one subnet."""
    try:
        return api.find("subnets", name)
    except A9feError as unknown:
        found = api.list("subnets", cidr=name) if "/" in name else _of_network(api, name)
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(f"{s['id']} ({s['cidr']})" for s in found)
            message = f"subnet: {name!r} means several subnets, expected one of {ids}"
            raise A9feError(message) from unknown
        raise


def _of_network(api: ApiClient, name: str) -> Documents:
    try:
        return api.list("subnets", network_id=api.find("networks", name)["id"])
    except A9feError:
        return []


NETWORK = resource.Kind(
    word="network",
    example="lab",
    collection="networks",
    columns=("ID", "Name", "Subnets", "Status"),
    rows=_network_rows,
    find=resource.by_name("networks"),
    has_problems=True,
)
SUBNET = resource.Kind(
    word="subnet",
    example="10.1.0.0/24",
    collection="subnets",
    columns=("ID", "Name", "Network", "CIDR", "Gateway", "DHCP"),
    rows=resource.columns("id", "name", "network_id", "cidr", "gateway_ip", "enable_dhcp"),
    find=find_subnet,
)
for _group, _kind in ((network, NETWORK), (subnet, SUBNET)):
    resource.add_list(_group, _kind)
    resource.add_show(_group, _kind)
    resource.add_delete(_group, _kind)


def _subnet_options(function: resource.F) -> resource.F:
    for option in (
        click.option("--gateway", metavar="IP", help="Gateway address.  [the first address]"),
        click.option("--no-gateway", is_flag=True, help="Make no gateway."),
        click.option("--no-dhcp", is_flag=True, help="Serve no DHCP."),
        click.option(
            "--ipv6-mode",
            type=click.Choice([rules.SLAAC, rules.STATELESS, rules.STATEFUL]),
            help="How VMs get IPv6 addresses: ipv6_ra_mode and ipv6_address_mode.",
        ),
        click.option("--dns", multiple=True, metavar="IP", help="Name server; may be repeated."),
        click.option(
            "--pool", multiple=True, metavar="FIRST,LAST", help="Range of addresses for ports."
        ),
        click.option(
            "--route", multiple=True, metavar="CIDR,NEXTHOP", help="Static route of hosts."
        ),
    ):
        function = option(function)
    return function


@network.command("create")
@click.argument("name")
@click.option("--subnet", "cidr", metavar="CIDR", help="Also create a subnet with this CIDR.")
@click.option("--mtu", type=int, help="MTU in bytes.")
@click.option("--project", metavar="ID", help="Project that owns it.")
@_subnet_options
@resource.json_flag
@client_flags
def create_network(
    *,
    name: str,
    cidr: str | None,
    mtu: int | None,
    project: str | None,
    as_json: bool,
    **more: Any,  # noqa: ANN401 - options as click hands them over
) -> None:
    """Create the network NAME.

    \b
    a9fe network create lab --subnet 10.1.0.0/24
    a9fe network create quiet --subnet 10.2.0.0/24 --no-gateway
    """
    subnet_attributes = _subnet_attributes(cidr, name, more) if cidr else None
    _refuse_without_subnet(cidr, more)
    attributes = _given(name=name, mtu=mtu, project_id=project)
    with resource.connect() as api:
        made = api.create("networks", attributes)
        if subnet_attributes:
            made = _with_subnet(api, made, subnet_attributes)
    resource.print_one(made, as_json=as_json)


def _with_subnet(api: ApiClient, made: Document, attributes: Document) -> Document:
    """Create the subnet and return the network; delete the network if that fails."""
    owner = _given(project_id=made.get("project_id"))
    try:
        api.create("subnets", {"network_id": made["id"], **owner, **attributes})
    except A9feError:
        api.delete("networks", made["id"])
        raise
    return api.show("networks", made["id"])


def _refuse_without_subnet(cidr: str | None, more: dict[str, Any]) -> None:
    given = [f"--{name.replace('_', '-')}" for name, value in more.items() if value]
    if given and not cidr:
        raise click.UsageError(f"{given[0]} describes a subnet, expected --subnet CIDR too")


@subnet.command("create")
@click.argument("network_name", metavar="NETWORK")
@click.argument("cidr")
@click.option("--name", default="", help="Name of the subnet.")
@_subnet_options
@resource.json_flag
@client_flags
def create_subnet(*, network_name: str, cidr: str, name: str, as_json: bool, **more: Any) -> None:  # noqa: ANN401 - click's options
    """Create a subnet with the CIDR on NETWORK.

    \b
    a9fe subnet create lab fd00:1::/64 --ipv6-mode slaac
    a9fe subnet create lab 10.2.0.0/24 --dns 10.2.0.53 --pool 10.2.0.100,10.2.0.199
    """
    attributes = _subnet_attributes(cidr, name, more)
    with resource.connect() as api:
        network_id = api.find("networks", network_name)["id"]
        made = api.create("subnets", {"network_id": network_id, **attributes})
    resource.print_one(made, as_json=as_json)


def _subnet_attributes(cidr: str, name: str, more: dict[str, Any]) -> Document:
    if more["gateway"] and more["no_gateway"]:
        raise click.UsageError("--gateway and --no-gateway exclude each other")
    attributes = _given(
        gateway_ip=more["gateway"],
        dns_nameservers=list(more["dns"]) or None,
        ipv6_ra_mode=more["ipv6_mode"],
        ipv6_address_mode=more["ipv6_mode"],
        allocation_pools=_pairs(more["pool"], "pool", "start", "end"),
        host_routes=_pairs(more["route"], "route", "destination", "nexthop"),
    )
    if more["no_gateway"]:
        attributes["gateway_ip"] = None
    version = _ip_version(cidr)
    return {"cidr": cidr, "ip_version": version, "name": name} | attributes | _dhcp(more)


def _dhcp(more: dict[str, Any]) -> Document:
    return {"enable_dhcp": False} if more["no_dhcp"] else {}


def _ip_version(cidr: str) -> int:
    try:
        return ipaddress.ip_network(cidr, strict=False).version
    except ValueError:
        return 4  # the server reports the error


def _pairs(given: tuple[str, ...], option: str, first: str, second: str) -> Documents | None:
    found = []
    for text in given:
        left, comma, right = text.partition(",")
        if not comma:
            expected = f"{first},{second}".upper()
            raise click.UsageError(f"--{option}: {text!r} is not valid, expected {expected}")
        found.append({first: left.strip(), second: right.strip()})
    return found or None


def _given(**attributes: object) -> Document:
    """Return the attributes that are not None."""
    return {name: value for name, value in attributes.items() if value is not None}
