"""Answers for resources. What they need of other resources is read for a whole page at once."""

from collections.abc import Iterable, Sequence

from a9fe.api_tables import neutron_tables as tables
from a9fe.api_tables.attributes import AnswerContext, AttributeTable, show
from a9fe.api_tables.group_tables import SECURITY_GROUP_RULE
from a9fe.model.port_order import in_order
from a9fe.model.rbac import ACCESS_AS_SHARED, RbacPolicy
from a9fe.model.resources import (
    Agent,
    Binding,
    Instance,
    Port,
    Resource,
    SecurityGroupRule,
    Subnet,
)
from a9fe.model.subnet_pools import FloatingIp
from a9fe.operations import access
from a9fe.operations.networks import subnet_pools
from a9fe.operations.routers import floating_ips, gateways
from a9fe.operations.transaction import Json, Transaction

ALL: frozenset[str] = frozenset()
"""The choice of fields that shows every attribute."""
BINDING_KINDS = {"network": "dhcp", "router": "l3"}
IN_CHUNK = 500  # ids of one query


def context_of(tx: Transaction, table: AttributeTable, ids: Sequence[str]) -> AnswerContext:
    """Return what the answers for these resources need of other resources."""
    is_router, is_group = table.kind == "router", table.kind == "security_group"
    return AnswerContext(
        subnet_ids=_subnet_ids(tx, ids) if table.kind == "network" else {},
        zones=_zones(tx, BINDING_KINDS[table.kind], ids) if table.kind in BINDING_KINDS else {},
        gateways=gateways.gateways(tx, ids) if is_router else {},
        rules=_rules(tx, ids) if is_group else {},
        scopes=_scopes(tx, ids) if table.kind == "network" else {},
        granted=_granted(tx, ids) if table.kind == "network" else (),
        in_error=_in_error(tx, ids) if table.kind in BINDING_KINDS else (),
        port_details=_port_details(tx, ids) if table.kind == "floatingip" else {},
        tags=tx.session.tags.of(ids) if table.tagged else {},
        now=tx.now,
        agent_down_time=tx.config.agent_down_time,
        dns_domain=tx.config.dns_domain,
    )


def _chunks(ids: Sequence[str]) -> Iterable[list[str]]:
    return (list(ids[start : start + IN_CHUNK]) for start in range(0, len(ids), IN_CHUNK))


def _subnet_ids(tx: Transaction, ids: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for chunk in _chunks(ids):
        for subnet in tx.session.find(Subnet, network_id=chunk):
            found.setdefault(subnet.network_id, []).append(subnet.id)
    return found


def _scopes(tx: Transaction, ids: Sequence[str]) -> dict[tuple[str, int], str]:
    """Return the address scopes of networks, by network id and IP version."""
    pooled = [
        subnet
        for chunk in _chunks(ids)
        for subnet in tx.session.find(Subnet, network_id=chunk)
        if subnet.subnetpool_id
    ]
    scopes = subnet_pools.scopes_of(tx, [str(subnet.subnetpool_id) for subnet in pooled])
    return {
        (subnet.network_id, subnet.ip_version): scope
        for subnet in pooled
        if (scope := scopes.get(str(subnet.subnetpool_id)))
    }


def _granted(tx: Transaction, ids: Sequence[str]) -> frozenset[str]:
    """Return the networks among these that RBAC policies share with the caller's project."""
    if not tx.project_id:
        return frozenset()
    named = {"target_project": tx.project_id, "action": ACCESS_AS_SHARED}
    found = [p for c in _chunks(ids) for p in tx.session.find(RbacPolicy, object_id=c, **named)]
    return frozenset(policy.object_id for policy in found)


def _in_error(tx: Transaction, ids: Sequence[str]) -> frozenset[str]:
    """Return the resources among these of which an agent reported a problem."""
    return frozenset(one.problem.id for one in tx.session.problems.of(ids))


def _port_details(tx: Transaction, ids: Sequence[str]) -> dict[str, dict[str, object]]:
    found = [f for chunk in _chunks(ids) for f in tx.session.find(FloatingIp, id=chunk)]
    return floating_ips.port_details(tx, found)


def _zones(tx: Transaction, kind: str, ids: Sequence[str]) -> dict[str, list[str]]:
    bindings = [
        binding
        for chunk in _chunks(ids)
        for binding in tx.session.find(Binding, kind=kind, resource_id=chunk)
    ]
    agent_ids = sorted({binding.agent_id for binding in bindings})
    agents = [a for chunk in _chunks(agent_ids) for a in tx.session.find(Agent, id=chunk)]
    zone = {agent.id: agent.availability_zone for agent in agents}
    found: dict[str, list[str]] = {}
    for binding in bindings:
        zones = found.setdefault(binding.resource_id, [])
        if zone[binding.agent_id] not in zones:
            zones.append(zone[binding.agent_id])
    return found


def _rules(tx: Transaction, ids: Sequence[str]) -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = {}
    for chunk in _chunks(ids):
        for rule in tx.session.find(SecurityGroupRule, security_group_id=chunk):
            shown = show(SECURITY_GROUP_RULE, rule, AnswerContext(), frozenset())
            found.setdefault(rule.security_group_id, []).append(shown)
    return found


def shown(
    tx: Transaction, found: Iterable[Resource], table: AttributeTable, fields: frozenset[str]
) -> list[Json]:
    """Return the answers for resources, with only `fields` if there are any."""
    items = list(found)
    context = context_of(tx, table, [item.id for item in items])
    answers = [show(table, item, context, fields) for item in items]
    if table.kind == "instance" and (not fields or "ports" in fields):
        _add_ports(tx, [item for item in items if isinstance(item, Instance)], answers)
    return access.without_hidden(tx, table.kind, answers)


def _add_ports(tx: Transaction, found: list[Instance], answers: list[Json]) -> None:
    by_instance: dict[str, list[Port]] = {instance.id: [] for instance in found}
    ports = tx.session.find(Port, device_id=list(by_instance))
    shown_ports = {answer["id"]: answer for answer in shown(tx, ports, tables.PORT, ALL)}
    for port in ports:
        by_instance[port.device_id].append(port)
    for instance, answer in zip(found, answers, strict=True):
        answer["ports"] = [
            shown_ports[port.id] for port in in_order(instance, by_instance[instance.id])
        ]


def one_shown(tx: Transaction, resource: Resource, table: AttributeTable) -> Json:
    """Return the answer for a resource with all attributes."""
    return shown(tx, [resource], table, ALL)[0]
