"""`a9fe agent`: agents of all hosts, and the networks that each DHCP agent serves."""

import click

from a9fe.api_client import AmbiguousName, ApiClient, ApiError
from a9fe.api_client.client import Document, Documents
from a9fe.cli.api import resource
from a9fe.cli.flags import client_flags
from a9fe.cli.output import print_json, print_table

DHCP = "DHCP agent"
COUNTED = ("routers", "interfaces", "networks", "subnets", "ports", "instances")


@click.group()
def agent() -> None:
    """Agents: the processes that serve hosts. AGENT is an id, host, binary or type.

    \b
    a9fe agent list
    a9fe agent networks neutron-dhcp-agent
    """


def find_agent(api: ApiClient, name: str) -> Document:
    """Find the one agent with this id, host, binary or type. Raises ApiError, AmbiguousName."""
    return _choose(api.list("agents"), name)


def _choose(agents: Documents, name: str) -> Document:
    keys = ("id", "host", "binary", "agent_type")
    found = [a for a in agents if name in [a[key] for key in keys]]
    if not found:
        text = f"agent: none has the id, host, binary or type {name!r}; see `a9fe agent list`"
        raise ApiError(404, "AgentNotFound", text)
    if len(found) > 1:
        raise AmbiguousName("agent", name, [str(a["id"]) for a in found])
    return found[0]


def counts(agent: Document) -> str:
    """Return what an agent serves, from its configurations: "networks 3, ports 10"."""
    configurations = agent.get("configurations") or {}
    found = [(name, configurations.get(name)) for name in COUNTED]
    return ", ".join(f"{name} {count}" for name, count in found if count is not None)


def _rows(_: ApiClient, found: Documents) -> list[tuple[object, ...]]:
    names = ("id", "agent_type", "host", "alive", "admin_state_up", "binary")
    return [(*(one.get(name) for name in names), counts(one)) for one in found]


AGENT = resource.Kind(
    word="agent",
    example="neutron-dhcp-agent",
    collection="agents",
    columns=("ID", "Type", "Host", "Alive", "Up", "Binary", "Counts"),
    rows=_rows,
    find=find_agent,
    has_problems=True,
)
resource.add_list(agent, AGENT)
resource.add_show(agent, AGENT)
resource.add_delete(agent, AGENT)


@agent.command("enable")
@click.argument("name", metavar="AGENT")
@client_flags
def enable(name: str) -> None:
    """Enable an agent: it serves the networks and routers that are bound to it.

    \b
    a9fe agent enable neutron-dhcp-agent
    """
    _set_admin_state(name, up=True)
    click.echo(f"agent {name}: enabled")


@agent.command("disable")
@click.argument("name", metavar="AGENT")
@client_flags
def disable(name: str) -> None:
    """Disable an agent: it serves nothing and gets no new networks or routers.

    Its bindings stay. It removes its namespaces from its host until it is enabled again.

    \b
    a9fe agent disable neutron-dhcp-agent
    """
    _set_admin_state(name, up=False)
    click.echo(f"agent {name}: disabled")


def _set_admin_state(name: str, *, up: bool) -> None:
    with resource.connect() as api:
        found = find_agent(api, name)
        api.call("PUT", f"/v2.0/agents/{found['id']}", {"agent": {"admin_state_up": up}})


def _networks_path(api: ApiClient, name: str) -> str:
    """Return the path of a DHCP agent's networks. Raises ApiError for agents of other types."""
    agents = api.list("agents")
    of_dhcp = [a for a in agents if a["agent_type"] == DHCP]
    try:
        return f"/v2.0/agents/{_choose(of_dhcp, name)['id']}/dhcp-networks"
    except ApiError:
        other = _choose(agents, name)
        text = f"agent: {name!r} is of type {other['agent_type']}, expected {DHCP}"
        raise ApiError(400, "NotADhcpAgent", text) from None


@agent.command("networks")
@click.argument("name", metavar="AGENT")
@resource.json_flag
@client_flags
def networks(name: str, *, as_json: bool) -> None:
    """List the networks that a DHCP agent serves.

    \b
    a9fe agent networks node1
    """
    with resource.connect() as api:
        found = api.call("GET", _networks_path(api, name)).get("networks", [])
    if as_json:
        print_json(found)
    else:
        print_table(("ID", "Name"), [(n["id"], n["name"]) for n in found])


@agent.command("network-add")
@click.argument("name", metavar="AGENT")
@click.argument("network")
@client_flags
def network_add(name: str, network: str) -> None:
    """Bind NETWORK to a DHCP agent, which then serves it.

    \b
    a9fe agent network-add node1 lab
    """
    with resource.connect() as api:
        network_id = api.find("networks", network)["id"]
        api.call("POST", _networks_path(api, name), {"network_id": network_id})
    click.echo(f"network {network}: served by {name}")


@agent.command("network-remove")
@click.argument("name", metavar="AGENT")
@click.argument("network")
@client_flags
def network_remove(name: str, network: str) -> None:
    """Remove NETWORK from a DHCP agent.

    \b
    a9fe agent network-remove node1 lab
    """
    with resource.connect() as api:
        network_id = api.find("networks", network)["id"]
        api.call("DELETE", f"{_networks_path(api, name)}/{network_id}")
    click.echo(f"network {network}: no longer served by {name}")
