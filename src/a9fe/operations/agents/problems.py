"""Problems that agents report: recorded when they change, and shown with their resource."""

from a9fe.model.problems import AGENT, NETWORK, ROUTER, Problem
from a9fe.model.resources import Agent, Port, is_network_owner
from a9fe.operations.agents.scheduling import DHCP, L3
from a9fe.operations.transaction import Transaction


def record(tx: Transaction, agent: Agent, reported: tuple[Problem, ...]) -> None:
    """Replace what the agent reported before; what stays the same is not written. A problem
    whose reason changes keeps its `since`.

    Problems of resources that are not on the agent's host are left out, as they may have moved. A
    VM's port is, wherever it is bound, if its network is: its tap may be on the wrong host.
    """
    old, new = tx.session.problems.of_agent(agent.id), frozenset(reported)
    since = {(one.kind, one.id): at for one, at in old.items()}
    added = {
        one: since.get((one.kind, one.id), tx.at)
        for one in sorted(new - old.keys())
        if _is_of_host(tx, agent, one)
    }
    gone = sorted(old.keys() - new)
    if added or gone:
        tx.session.problems.replace(agent.id, gone, added)


def _is_of_host(tx: Transaction, agent: Agent, problem: Problem) -> bool:
    if problem.kind == AGENT:
        return True
    if problem.kind == ROUTER:
        return agent.host in tx.session.locations.bound_hosts(L3, problem.id)
    if problem.kind == NETWORK:
        return _has_network(tx, agent.host, problem.id)
    port = tx.session.get(Port, problem.id)
    if port is None or port.host == agent.host:
        return port is not None
    is_vms = not is_network_owner(port.device_owner)
    return is_vms and _has_network(tx, agent.host, port.network_id)


def _has_network(tx: Transaction, host: str, network_id: str) -> bool:
    parts = tx.session.locations
    return host in parts.bound_hosts(DHCP, network_id) or parts.has_port(network_id, host)
