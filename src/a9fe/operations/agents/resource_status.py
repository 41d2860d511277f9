"""The status of a network, router, port or agent, with what is missing and why."""

from collections.abc import Iterator
from dataclasses import dataclass

from a9fe.model.problems import ReportedProblem
from a9fe.model.resources import (
    ROUTER_GATEWAY_OWNER,
    Agent,
    Network,
    Port,
    Resource,
    Router,
    Subnet,
    is_network_owner,
)
from a9fe.model.rules.scheduling import AGENT_TYPE, L3_AGENT, alive
from a9fe.operations.agents.scheduling import DHCP, L3, bindings_of
from a9fe.operations.transaction import Transaction
from a9fe.plan import names

ACTIVE, DOWN, ERROR = "ACTIVE", "DOWN", "ERROR"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceStatus:
    """`status`: ERROR while an agent reports a problem, else as Neutron's API shows it.

    `ready`: an agent has put it into effect. `reason`: what is missing, "" if nothing is.
    """

    status: str
    ready: bool
    reason: str
    problems: tuple[ReportedProblem, ...] = ()


def status_of(tx: Transaction, resource: Resource) -> ResourceStatus:
    """Return the status of a network, router, port or agent. O(its agents and problems)."""
    ids = {resource.id}
    if isinstance(resource, Port):
        ids |= {resource.network_id}
        ids |= {resource.device_id} if is_network_owner(resource.device_owner) else set()
    problems = tuple(tx.session.problems.of(ids))
    if isinstance(resource, Router):
        problems += _of_way_out(tx, resource)
    missing = [*(one.text for one in problems), *_missing(tx, resource)]
    status = _own_status(tx, resource)
    return ResourceStatus(
        status=ERROR if problems else status,
        ready=status == ACTIVE and (isinstance(resource, Port) or not missing),
        reason="; ".join(missing),
        problems=problems,
    )


def _of_way_out(tx: Transaction, router: Router) -> tuple[ReportedProblem, ...]:
    """What the L3 agent reports of the router's external network, such as a missing uplink."""
    owner = {"device_id": router.id, "device_owner": ROUTER_GATEWAY_OWNER}
    networks = {port.network_id for port in tx.session.find(Port, **owner)}
    found = tx.session.problems.of(networks) if networks else ()
    return tuple(one for one in found if one.agent_type == L3_AGENT)


def _own_status(tx: Transaction, resource: Resource) -> str:
    if isinstance(resource, Port):
        return resource.status
    if isinstance(resource, Agent):
        return ACTIVE if _is_alive(tx, resource) else DOWN
    return ACTIVE


def _missing(tx: Transaction, resource: Resource) -> Iterator[str]:
    if isinstance(resource, Network | Router):
        yield from _agents(tx, resource)
    elif isinstance(resource, Agent) and not _is_alive(tx, resource):
        yield f"no heartbeat since {resource.heartbeat_timestamp}"
    elif isinstance(resource, Port) and resource.status != ACTIVE:
        yield from _missing_of_port(tx, resource)


def _missing_of_port(tx: Transaction, port: Port) -> Iterator[str]:
    network = tx.session.require(Network, port.network_id)
    if not port.admin_state_up:
        yield "admin_state_up of the port is false"
        return
    agents = list(_agents(tx, network))
    yield from agents
    if is_network_owner(port.device_owner):
        router = tx.session.get(Router, port.device_id)
        yield from _agents(tx, router) if router else ()
    elif not agents:
        where = f"host {port.host}" if port.host else "any host of the network"
        tap, bridge = names.outer_device(port.id), names.bridge(network.id)
        yield f"waiting for {tap} on bridge {bridge} of {where}, and for the network's agents"


def _agents(tx: Transaction, resource: Network | Router) -> Iterator[str]:
    """Yield which agents of a network with DHCP, or of a router, are missing or not alive."""
    is_network = isinstance(resource, Network)
    if not resource.admin_state_up:
        yield f"admin_state_up of {'network' if is_network else 'router'} {resource.id} is false"
        return
    if is_network and not tx.session.find(Subnet, network_id=resource.id, enable_dhcp=True):
        return
    kind = DHCP if is_network else L3
    bindings = bindings_of(tx, kind, resource.id)
    if not bindings:
        yield f"no {AGENT_TYPE[kind]} serves {'network' if is_network else 'router'} {resource.id}"
    for agent in tx.session.find(Agent, id=[binding.agent_id for binding in bindings]):
        if not agent.admin_state_up:
            yield f"the {agent.agent_type} on {agent.host} is disabled"
        elif not _is_alive(tx, agent):
            since = agent.heartbeat_timestamp
            yield f"the {agent.agent_type} on {agent.host} has sent no heartbeat since {since}"


def _is_alive(tx: Transaction, agent: Agent) -> bool:
    return alive(agent, tx.now, tx.config.agent_down_time)
