"""Scheduling: bindings of networks to DHCP agents and of routers to L3 agents.

A binding changes in one transaction with what depends on it: the agent's DHCP port, or the host
of the router's ports.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import replace

from a9fe.api_tables.requests import AddressRequest
from a9fe.model.errors import Conflict
from a9fe.model.resources import (
    DHCP_OWNER,
    RESERVED_DHCP_DEVICE_ID,
    ROUTER_GATEWAY_OWNER,
    ROUTER_INTERFACE_OWNERS,
    Agent,
    Binding,
    Network,
    Port,
    Router,
    Subnet,
)
from a9fe.model.rules import addresses as rules
from a9fe.model.rules import scheduling as rules_scheduling
from a9fe.operations.ports import ports
from a9fe.operations.ports.ports import NewPort
from a9fe.operations.transaction import Transaction
from a9fe.plan.names import dhcp_device_id

DHCP, L3 = "dhcp", "l3"
DISABLED = ""  # the host of bindings of a disabled agent


def bindings_of(tx: Transaction, kind: str, resource_id: str) -> list[Binding]:
    """Return the bindings of a network (kind "dhcp") or of a router ("l3")."""
    return tx.session.find(Binding, kind=kind, resource_id=resource_id)


def schedule_network(tx: Transaction, network_id: str) -> None:
    """Bind a network that is up and has DHCP subnets to as many agents as configured.

    Its DHCP ports then follow its subnets.
    """
    network = tx.session.require(Network, network_id)
    if network.admin_state_up and _dhcp_subnets(tx, network_id):
        serving = {b.agent_id for b in bindings_of(tx, DHCP, network_id)}
        missing = tx.config.dhcp_agents_per_network - len(serving)
        for agent in _choose(tx, DHCP, max(missing, 0), serving):
            bind(tx, DHCP, network_id, agent)
    follow_subnets(tx, network)


def schedule_router(tx: Transaction, router: Router) -> None:
    """Bind a router without an agent to one."""
    if not bindings_of(tx, L3, router.id):
        for agent in _choose(tx, L3, 1):
            bind_router(tx, router, agent)


def _choose(
    tx: Transaction, kind: str, count: int, besides: Collection[str] = ()
) -> tuple[Agent, ...]:
    """Return the agents with the fewest bindings, without the agents of the ids `besides`."""
    if not count:
        return ()
    found = tx.session.find(Agent, agent_type=rules_scheduling.AGENT_TYPE[kind])
    agents = [agent for agent in found if agent.id not in besides]
    load = tx.session.load(kind)
    down_time = tx.config.agent_down_time
    return rules_scheduling.choose(agents, load, count, now=tx.now, down_time=down_time)


def schedule_unserved(tx: Transaction, agent: Agent) -> None:
    """After an agent has appeared, bind what has too few agents."""
    if agent.agent_type == rules_scheduling.DHCP_AGENT:
        serving = Counter(b.resource_id for b in tx.session.find(Binding, kind=DHCP))
        with_dhcp = {s.network_id for s in tx.session.find(Subnet, enable_dhcp=True)}
        for network_id in sorted(with_dhcp):
            if serving[network_id] < tx.config.dhcp_agents_per_network:
                schedule_network(tx, network_id)
    if agent.agent_type == rules_scheduling.L3_AGENT:
        served = {b.resource_id for b in tx.session.find(Binding, kind=L3)}
        for router in tx.session.find(Router):
            if router.id not in served:
                schedule_router(tx, router)


def follow_admin_state(tx: Transaction, agent: Agent) -> None:
    """Follow a change of admin_state_up: a disabled agent keeps its bindings and serves nothing.

    An enabled agent serves its bindings again, and is bound to what has no agent.
    """
    host = agent.host if agent.admin_state_up else DISABLED
    for binding in tx.session.find(Binding, agent_id=agent.id):
        tx.session.update(replace(binding, host=host))
        if binding.kind == DHCP:
            follow_subnets(tx, tx.session.require(Network, binding.resource_id))
    if agent.admin_state_up:
        schedule_unserved(tx, agent)


def bind(tx: Transaction, kind: str, resource_id: str, agent: Agent) -> None:
    """Add a binding of a resource to an agent."""
    binding = Binding(
        id=f"{kind}:{agent.id}:{resource_id}",
        kind=kind,
        agent_id=agent.id,
        host=agent.host,
        resource_id=resource_id,
    )
    tx.session.insert(binding)


def bind_network(tx: Transaction, network: Network, agent: Agent) -> None:
    """Bind a network to a DHCP agent. Raises Conflict, of Neutron's error types."""
    _require_usable(agent, rules_scheduling.DHCP_AGENT, "InvalidDHCPAgent")
    if any(b.agent_id == agent.id for b in bindings_of(tx, DHCP, network.id)):
        message = f"Network {network.id} is already served by DHCP agent {agent.id}"
        raise Conflict("NetworkHostedByDHCPAgent", message)
    bind(tx, DHCP, network.id, agent)
    follow_subnets(tx, network)


def unbind_network(tx: Transaction, network: Network, agent: Agent) -> None:
    """Unbind a network from a DHCP agent; the DHCP port stays reserved, with its addresses."""
    message = f"Network {network.id} is not served by DHCP agent {agent.id}"
    _unbind(tx, DHCP, network.id, agent, Conflict("NetworkNotHostedByDhcpAgent", message))
    for port in _dhcp_ports(tx, network.id):
        if port.device_id == dhcp_device_id(agent.host, network.id):
            freed = replace(port, device_id=RESERVED_DHCP_DEVICE_ID, host="")
            ports.rebind(tx, port, freed)


def bind_router(tx: Transaction, router: Router, agent: Agent) -> None:
    """Bind a router to an L3 agent. Raises Conflict, of Neutron's error types."""
    _require_usable(agent, rules_scheduling.L3_AGENT, "InvalidL3Agent")
    present = bindings_of(tx, L3, router.id)
    if present:
        message = f"Router {router.id} is already served by L3 agent {present[0].agent_id}"
        raise Conflict("RouterHostedByL3Agent", message)
    bind(tx, L3, router.id, agent)
    _move_router_ports(tx, router, agent.host)


def unbind_router(tx: Transaction, router: Router, agent: Agent) -> None:
    """Unbind a router from an L3 agent; its ports lose their host."""
    message = f"Router {router.id} is not served by L3 agent {agent.id}"
    _unbind(tx, L3, router.id, agent, Conflict("RouterNotHostedByL3Agent", message))
    _move_router_ports(tx, router, "")


def _unbind(tx: Transaction, kind: str, resource_id: str, agent: Agent, missing: Conflict) -> None:
    """Delete the binding of a resource to an agent; raise `missing` if there is none."""
    found = [b for b in bindings_of(tx, kind, resource_id) if b.agent_id == agent.id]
    if not found:
        raise missing
    tx.session.delete(Binding, found[0].id)
    tx.session.problems.forget(agent.id, resource_id)


def _require_usable(agent: Agent, agent_type: str, error: str) -> None:
    if agent.agent_type != agent_type or not agent.admin_state_up:
        raise Conflict(error, f"Agent {agent.id} is not a {agent_type} or is disabled")


def _move_router_ports(tx: Transaction, router: Router, host: str) -> None:
    owners = sorted(ROUTER_INTERFACE_OWNERS | {ROUTER_GATEWAY_OWNER})
    for port in tx.session.find(Port, device_id=router.id, device_owner=owners):
        ports.rebind(tx, port, replace(port, host=host))


def router_ports(tx: Transaction, router_id: str) -> list[Port]:
    """Return the ports that are a router's interfaces."""
    owners = sorted(ROUTER_INTERFACE_OWNERS)
    return tx.session.find(Port, device_id=router_id, device_owner=owners)


def router_host(tx: Transaction, router_id: str) -> str:
    """Return the host of the router's agent, or ""."""
    bindings = bindings_of(tx, L3, router_id)
    return tx.session.require(Agent, bindings[0].agent_id).host if bindings else ""


def _dhcp_ports(tx: Transaction, network_id: str) -> list[Port]:
    return tx.session.find(Port, network_id=network_id, device_owner=DHCP_OWNER)


def _dhcp_subnets(tx: Transaction, network_id: str) -> list[Subnet]:
    return tx.session.find(Subnet, network_id=network_id, enable_dhcp=True)


def follow_subnets(tx: Transaction, network: Network) -> None:
    """Give each agent of a network a DHCP port with an address on each DHCP subnet.

    A network without DHCP subnets has no DHCP ports. A subnet without a free address is left out.
    """
    subnets = _dhcp_subnets(tx, network.id)
    present = _dhcp_ports(tx, network.id)
    if not subnets:
        for port in present:
            tx.session.delete(Port, port.id)
        return
    for port in present:
        _readdress(tx, port, subnets)
    for binding in bindings_of(tx, DHCP, network.id):
        if binding.host != DISABLED:
            _ensure_port(tx, network, binding.host, subnets)


def _readdress(tx: Transaction, port: Port, subnets: list[Subnet]) -> None:
    kept = tuple(AddressRequest(subnet_id=s.id) for s in subnets if _has_room(tx, s, port))
    fixed_ips = ports.readdress(tx, port, kept)
    if frozenset(fixed_ips) != frozenset(port.fixed_ips):
        tx.session.update(replace(port, fixed_ips=fixed_ips))


def _has_room(tx: Transaction, subnet: Subnet, port: Port | None) -> bool:
    if rules.uses_eui64(subnet):
        return True
    if port and any(fixed.subnet_id == subnet.id for fixed in port.fixed_ips):
        return True
    return tx.session.free_address(subnet.id) is not None


def _ensure_port(tx: Transaction, network: Network, host: str, subnets: list[Subnet]) -> None:
    device_id = dhcp_device_id(host, network.id)
    present = _dhcp_ports(tx, network.id)
    if any(port.device_id == device_id for port in present):
        return
    reserved = next((p for p in present if p.device_id == RESERVED_DHCP_DEVICE_ID), None)
    if reserved is not None:
        ports.rebind(tx, reserved, replace(reserved, device_id=device_id, host=host))
        return
    wanted = NewPort(
        network_id=network.id,
        project_id=network.project_id,
        device_id=device_id,
        device_owner=DHCP_OWNER,
        host=host,
        port_security_enabled=False,
        fixed_ips=tuple(AddressRequest(subnet_id=s.id) for s in subnets if _has_room(tx, s, None)),
    )
    ports.make(tx, wanted)


def delete_port(tx: Transaction, port: Port) -> None:
    """Delete a port; a DHCP port is made again while its network has an agent."""
    ports.delete(tx, port)
    if port.device_owner == DHCP_OWNER:
        follow_subnets(tx, tx.session.require(Network, port.network_id))
