"""Agents: their reports, what they serve, and what an operator sets."""

from dataclasses import replace

from a9fe.api_tables import converters as to
from a9fe.api_tables.attributes import Values
from a9fe.model.errors import Forbidden, InvalidInput
from a9fe.model.resources import (
    ROUTER_INTERFACE_OWNERS,
    Agent,
    Binding,
    Network,
    Port,
    Router,
)
from a9fe.model.rules.scheduling import AGENT_TYPES, DHCP_AGENT, L3_AGENT, alive
from a9fe.operations.agents.scheduling import (
    DHCP,
    follow_admin_state,
    schedule_unserved,
    unbind_network,
    unbind_router,
)
from a9fe.operations.transaction import Transaction, new_id
from a9fe.plan.names import dhcp_device_id

DOWN = "DOWN"
PORTS_MAX = 10_000  # of one report


def update(tx: Transaction, old: Agent, values: Values) -> Agent:
    """Enable, disable or describe an agent."""
    if values.get("description", "") is None:
        values["description"] = ""
    agent = tx.session.update(replace(old, **values))
    if agent.admin_state_up != old.admin_state_up:
        follow_admin_state(tx, agent)
    return agent


def delete(tx: Transaction, agent: Agent) -> None:
    """Forget an agent; what it served is free for others."""
    for binding in tx.session.find(Binding, agent_id=agent.id):
        if binding.kind == DHCP:
            unbind_network(tx, tx.session.require(Network, binding.resource_id), agent)
        else:
            unbind_router(tx, tx.session.require(Router, binding.resource_id), agent)
    tx.session.delete(Agent, agent.id)


def report(tx: Transaction, document: object) -> Agent:
    """Keep an agent's heartbeat and the status of its ports.

    An agent that starts, or that was thought dead, is given what nobody serves. Raises Forbidden,
    and keeps nothing, for what a token bound to a host may not say.
    """
    if not isinstance(document, dict):
        raise InvalidInput("body", document, "an object")
    start = to.boolean("start", document.get("start", False))
    reported = _read(tx, document, started=start)
    _check_type(tx, reported)
    found = tx.session.find(Agent, agent_type=reported.agent_type, host=reported.host)
    agent = _keep(tx, found[0] if found else None, reported, started=start)
    _set_status(tx, reported, document, "ports_up", "ACTIVE")
    _set_status(tx, reported, document, "ports_down", DOWN)
    if start or not found or not alive(found[0], tx.now, tx.config.agent_down_time):
        schedule_unserved(tx, agent)
    return agent


def _read(tx: Transaction, document: dict[str, object], *, started: bool) -> Agent:
    name = to.header_text(minimum=1)
    return Agent(
        id=new_id(),
        agent_type=name("agent_type", document.get("agent_type")),
        binary=name("binary", document.get("binary")),
        host=name("host", document.get("host")),
        topic="N/A",
        availability_zone=tx.config.default_availability_zone,
        configurations=to.simple_map("configurations", document.get("configurations", {})),
        created_at=tx.at,
        started_at=tx.at,
        heartbeat_timestamp=tx.at,
    )


def _check_type(tx: Transaction, agent: Agent) -> None:
    """An admin may report agents of any type, as the tools of other systems do."""
    if not tx.caller.is_admin and agent.agent_type not in AGENT_TYPES:
        known = ", ".join(sorted(AGENT_TYPES))
        raise Forbidden(f"agent_type: {agent.agent_type[:64]!r} is not one of {known}")


def wires(agent: Agent, port: Port) -> bool:
    """Whether the agent wires the port, and so knows its status. Pure.

    The DHCP agent of a host has its own DHCP ports and the ports of VMs that are bound to the
    host, the L3 agent the interfaces of the routers that are.
    """
    if port.host != agent.host:
        return False
    if agent.agent_type == L3_AGENT:
        return port.device_owner in ROUTER_INTERFACE_OWNERS
    if agent.agent_type != DHCP_AGENT:
        return False
    own = dhcp_device_id(agent.host, port.network_id)
    return not port.device_owner.startswith("network:") or port.device_id == own


def _keep(tx: Transaction, old: Agent | None, reported: Agent, *, started: bool) -> Agent:
    if old is None:
        return tx.session.insert(reported)
    agent = replace(
        old,
        binary=reported.binary,
        configurations=reported.configurations,
        started_at=reported.started_at if started else old.started_at,
    )
    if agent != old:
        agent = tx.session.update(agent)
    agent = replace(agent, heartbeat_timestamp=tx.at)
    tx.session.touch(agent)
    return agent


def _set_status(
    tx: Transaction, agent: Agent, document: dict[str, object], field: str, status: str
) -> None:
    ids = to.list_of(to.identifier, PORTS_MAX)(field, document.get(field) or [])
    if not ids:
        return
    for port in tx.session.find(Port, id=ids):
        if not tx.caller.is_admin and not wires(agent, port):
            reason = f"port {port.id} is not wired by the {agent.agent_type} of this host"
            raise Forbidden(f"{field}: {reason}")
        if status == DOWN and _may_be_elsewhere(tx, agent, port):
            continue
        wanted = status if port.admin_state_up else DOWN  # a switched off port carries nothing
        if port.status != wanted:
            tx.session.update(replace(port, status=wanted))


def _may_be_elsewhere(tx: Transaction, agent: Agent, port: Port) -> bool:
    """Whether the VM of a port without a host may run on another host than the agent's."""
    if port.host or port.device_owner.startswith("network:"):
        return False
    parts, network_id = tx.session.locations, port.network_id
    hosts = parts.bound_hosts(DHCP, network_id) | parts.port_hosts(network_id)
    return bool(hosts - {agent.host})
