"""Agents: their reports, and what operators change."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from a9fe.api_tables.agent_reports import AgentReport
from a9fe.api_tables.typed_requests import UNSET, Unset, applied
from a9fe.model.errors import Forbidden
from a9fe.model.resources import (
    Agent,
    Binding,
    Network,
    Port,
    Router,
    is_network_owner,
)
from a9fe.model.rules.ports import ROUTER_OWNERS
from a9fe.model.rules.scheduling import AGENT_TYPES, DHCP_AGENT, L3_AGENT, alive
from a9fe.operations.agents import problems
from a9fe.operations.agents.scheduling import (
    DHCP,
    follow_admin_state,
    schedule_unserved,
    unbind_network,
    unbind_router,
)
from a9fe.operations.ports.floating_ip_links import follow_gateway
from a9fe.operations.transaction import Transaction, new_id
from a9fe.plan.names import dhcp_device_id

DOWN = "DOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentChange:
    """What an operator may change of an agent."""

    admin_state_up: bool | Unset = UNSET
    description: str | Unset = UNSET


def update(tx: Transaction, old: Agent, change: AgentChange) -> Agent:
    """Enable, disable or describe an agent."""
    agent = tx.session.update(applied(old, change))
    if agent.admin_state_up != old.admin_state_up:
        follow_admin_state(tx, agent)
    return agent


def delete(tx: Transaction, agent: Agent) -> None:
    """Delete an agent and its bindings."""
    for binding in tx.session.find(Binding, agent_id=agent.id):
        if binding.kind == DHCP:
            unbind_network(tx, tx.session.require(Network, binding.resource_id), agent)
        else:
            unbind_router(tx, tx.session.require(Router, binding.resource_id), agent)
    tx.session.delete(Agent, agent.id)


def report(tx: Transaction, received: AgentReport) -> Agent:
    """Record an agent's heartbeat, the status of its ports, and its problems.

    An agent that starts, or was not alive, is bound to what has too few agents. Raises Forbidden
    for what a token that is bound to a host may not report.
    """
    _check_type(tx, received.agent_type)
    found = tx.session.find(Agent, agent_type=received.agent_type, host=received.host)
    old = found[0] if found else None
    agent = _recorded(tx, old, received)
    _set_status(tx, agent, "ports_up", received.ports_up, "ACTIVE")
    _set_status(tx, agent, "ports_down", received.ports_down, DOWN)
    if received.problems is not None:
        problems.record(tx, agent, received.problems)
    if received.start or old is None or not alive(old, tx.now, tx.config.agent_down_time):
        schedule_unserved(tx, agent)
    return agent


def _check_type(tx: Transaction, agent_type: str) -> None:
    """Let only admins report agents of other types, as the tools of other systems do."""
    if not tx.caller.is_admin and agent_type not in AGENT_TYPES:
        known = ", ".join(sorted(AGENT_TYPES))
        raise Forbidden(f"agent_type: {agent_type[:64]!r} is not one of {known}")


def wires(agent: Agent, port: Port) -> bool:
    """Whether the agent connects the port to its network, and so may report its status. Pure.

    A DHCP agent connects its own DHCP ports and the ports of VMs on its host; an L3 agent
    connects the interfaces and gateways of routers on its host. A VM's port without a host may be
    on any.
    """
    is_unbound = not port.host and not is_network_owner(port.device_owner)
    if port.host != agent.host and not is_unbound:
        return False
    if agent.agent_type == L3_AGENT:
        return port.device_owner in ROUTER_OWNERS
    if agent.agent_type != DHCP_AGENT:
        return False
    own = dhcp_device_id(agent.host, port.network_id)
    return not is_network_owner(port.device_owner) or port.device_id == own


def _recorded(tx: Transaction, old: Agent | None, received: AgentReport) -> Agent:
    if old is None:
        return tx.session.insert(_new(tx, received))
    agent = replace(
        old,
        binary=received.binary,
        configurations=received.configurations,
        started_at=tx.at if received.start else old.started_at,
    )
    if agent != old:
        agent = tx.session.update(agent)
    agent = replace(agent, heartbeat_timestamp=tx.at)
    tx.session.touch(agent)
    return agent


def _new(tx: Transaction, received: AgentReport) -> Agent:
    return Agent(
        id=new_id(),
        agent_type=received.agent_type,
        binary=received.binary,
        host=received.host,
        topic="N/A",
        availability_zone=tx.config.default_availability_zone,
        configurations=received.configurations,
        created_at=tx.at,
        started_at=tx.at,
        heartbeat_timestamp=tx.at,
    )


def _set_status(
    tx: Transaction, agent: Agent, field: str, ids: tuple[str, ...], status: str
) -> None:
    if not ids:
        return
    found = tx.session.find(Port, id=list(ids))
    unbound = [port.id for port in found if not port.host]
    wired_on = tx.session.problems.wired_on(unbound) if unbound else {}
    for port in found:
        if not tx.caller.is_admin and not _may_report(tx, agent, port):
            reason = f"port {port.id} is not wired by the {agent.agent_type} of this host"
            raise Forbidden(f"{field}: {reason}")
        if status == DOWN and wired_on.get(port.id, agent.host) != agent.host:
            continue  # the VM runs on another host
        wanted = status if port.admin_state_up else DOWN  # a port that is switched off stays DOWN
        if port.status != wanted:
            follow_gateway(tx, tx.session.update(replace(port, status=wanted)))
        if port.id in unbound:
            _note_host(tx, port, agent.host if wanted != DOWN else "", wired_on)


def _note_host(tx: Transaction, port: Port, host: str, wired_on: Mapping[str, str]) -> None:
    """Record on which host a port without binding:host_id is; only that host sets it DOWN."""
    if wired_on.get(port.id, "") != host and not is_network_owner(port.device_owner):
        tx.session.problems.set_wired_on(port.id, host)


def _may_report(tx: Transaction, agent: Agent, port: Port) -> bool:
    """Whether the agent wires the port; a port without a host, if its network is of the host."""
    if not wires(agent, port):
        return False
    if port.host:
        return True
    parts, network_id = tx.session.locations, port.network_id
    is_bound = agent.host in parts.bound_hosts(DHCP, network_id)
    return is_bound or parts.has_port(network_id, agent.host)
