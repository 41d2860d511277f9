"""Security groups and their rules: recorded, and named in metadata. a9fe filters no packets.

Every project has a group `default`, created when it is first needed. A port of a VM is in it
unless the request names other groups.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import ip_network

from a9fe.api_tables.group_tables import ICMP, WITH_PORTS
from a9fe.api_tables.typed_requests import UNSET, Unset, applied, created, given
from a9fe.model.errors import Conflict, InvalidInput
from a9fe.model.pages import Filter, Page
from a9fe.model.resources import Port, SecurityGroup, SecurityGroupRule, is_network_owner
from a9fe.model.subnet_pools import AddressGroup
from a9fe.operations import quotas
from a9fe.operations.transaction import Transaction, new_id

DEFAULT = "default"
ETHERTYPES = ("IPv4", "IPv6")
IPV6_PROTOCOLS = frozenset({"icmpv6", "58", "41", "43", "44", "59", "60"})
IPV6_PROTOCOLS |= {f"ipv6-{name}" for name in ("encap", "frag", "icmp", "nonxt", "opts", "route")}
"""Protocols that IPv4 does not carry, by name and number (IANA)."""
ICMP_MAX = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSecurityGroup:
    """A security group to create."""

    name: str = ""
    project_id: str | Unset = UNSET
    description: str = ""
    stateful: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityGroupChange:
    """What may change of a security group."""

    name: str | Unset = UNSET
    description: str | Unset = UNSET
    stateful: bool | Unset = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSecurityGroupRule:
    """A rule to add to a group. None: any. The group's project replaces `project_id`."""

    security_group_id: str
    direction: str
    project_id: str | Unset = UNSET
    description: str = ""
    ethertype: str = "IPv4"
    protocol: str | None = None
    port_range_min: int | None = None
    port_range_max: int | None = None
    remote_ip_prefix: str | None = None
    remote_group_id: str | None = None
    remote_address_group_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityGroupRuleChange:
    """What may change of a rule."""

    description: str | Unset = UNSET


def ensure_default(tx: Transaction, project_id: str) -> SecurityGroup:
    """Return the project's default group, created if need be.

    Its rules let members send to any address, and receive from each other.
    """
    found = default_of(tx, project_id)
    if found is not None:
        return found
    group = SecurityGroup(
        id=new_id(),
        project_id=project_id,
        name=DEFAULT,
        description="Default security group",
        is_default=True,
    )
    made = tx.session.insert(group)
    for ethertype in ETHERTYPES:
        _add_rule(tx, made, "ingress", ethertype, remote_group_id=made.id)
        _add_rule(tx, made, "egress", ethertype)
    return made


def prepare(tx: Transaction) -> None:
    """Create the default group of the caller's project, if it does not exist."""
    ensure_default(tx, tx.project_id)


def default_of(tx: Transaction, project_id: str) -> SecurityGroup | None:
    """Return the project's default group, or None before it is created."""
    found = tx.session.find(SecurityGroup, project_id=project_id, is_default=True)
    return next(iter(found), None)


def _add_rule(
    tx: Transaction,
    group: SecurityGroup,
    direction: str,
    ethertype: str,
    remote_group_id: str | None = None,
) -> None:
    rule = SecurityGroupRule(
        id=new_id(),
        security_group_id=group.id,
        project_id=group.project_id,
        direction=direction,
        ethertype=ethertype,
        remote_group_id=remote_group_id,
    )
    tx.session.insert(rule)


def create(tx: Transaction, new: NewSecurityGroup) -> SecurityGroup:
    """Create a group with rules that let its members send to any address."""
    group = created(
        SecurityGroup, new, id=new_id(), project_id=given(new.project_id, tx.project_id)
    )
    _refuse_default_name(group.name)
    ensure_default(tx, group.project_id)
    quotas.check(tx, "security_group_rule", group.project_id, len(ETHERTYPES))
    group = tx.session.insert(group)
    for ethertype in ETHERTYPES:
        _add_rule(tx, group, "egress", ethertype)
    return group


def _refuse_default_name(name: str) -> None:
    if name.lower() == DEFAULT:
        message = "Default security group already exists: choose another name"
        raise Conflict("SecurityGroupDefaultAlreadyExists", message)


def update(tx: Transaction, old: SecurityGroup, change: SecurityGroupChange) -> SecurityGroup:
    """Change a group. The default group keeps its name."""
    new = applied(old, change)
    if new.name != old.name:
        if old.is_default:
            message = "Updating default security group not allowed: it keeps its name"
            raise Conflict("SecurityGroupCannotUpdateDefault", message)
        _refuse_default_name(new.name)
    if new.stateful != old.stateful:
        _refuse_used(tx, old)
    return tx.session.update(new)


def delete(tx: Transaction, group: SecurityGroup) -> None:
    """Delete a group that no port uses, with its rules and the rules that name it as remote."""
    if group.is_default and not tx.caller.is_admin:
        message = "Insufficient rights for removing default security group: only admins may"
        raise Conflict("SecurityGroupCannotRemoveDefault", message)
    _refuse_used(tx, group)
    own = tx.session.find(SecurityGroupRule, security_group_id=group.id)
    naming = tx.session.find(SecurityGroupRule, remote_group_id=group.id)
    for id in dict.fromkeys(rule.id for rule in (*own, *naming)):
        tx.session.delete(SecurityGroupRule, id)
    tx.session.delete(SecurityGroup, group.id)


def _refuse_used(tx: Transaction, group: SecurityGroup) -> None:
    users = Filter(field="security_group_id", values=(group.id,))
    if tx.session.page(Port, Page(filters=(users,), limit=1)):
        message = f"Security Group {group.id} in use: take its ports out first"
        raise Conflict("SecurityGroupInUse", message)


def create_rule(tx: Transaction, new: NewSecurityGroupRule) -> SecurityGroupRule:
    """Add a rule to a group; the rule belongs to the group's project."""
    group = tx.session.require(SecurityGroup, new.security_group_id)
    rule = created(SecurityGroupRule, new, id=new_id(), project_id=group.project_id)
    if rule.remote_group_id is not None:
        tx.session.require(SecurityGroup, rule.remote_group_id)
    if rule.remote_address_group_id is not None:
        tx.session.require(AddressGroup, rule.remote_address_group_id)
    _check(rule)
    for other in tx.session.find(SecurityGroupRule, security_group_id=group.id):
        if _meaning(other) == _meaning(rule):
            message = f"Security group rule already exists. Rule id is {other.id}."
            raise Conflict("SecurityGroupRuleExists", message)
    made = tx.session.insert(rule)
    tx.session.revise(group)
    return made


def _meaning(rule: SecurityGroupRule) -> SecurityGroupRule:
    """Return the rule with only the fields that select packets."""
    return replace(rule, id="", description="", revision_number=0, created_at="", updated_at="")


def _check(rule: SecurityGroupRule) -> None:
    remotes = (rule.remote_ip_prefix, rule.remote_group_id, rule.remote_address_group_id)
    if sum(remote is not None for remote in remotes) > 1:
        expected = "one of remote_ip_prefix, remote_group_id and remote_address_group_id"
        kind = "SecurityGroupMultipleRemoteEntites"  # Neutron spells it so
        raise InvalidInput("remote_group_id", rule.remote_group_id, expected, type=kind)
    if rule.ethertype == "IPv4" and rule.protocol in IPV6_PROTOCOLS:
        words = f"Invalid ethertype {rule.ethertype} for protocol {rule.protocol}"
        kind = "SecurityGroupEthertypeConflictWithProtocol"
        raise InvalidInput("ethertype", rule.ethertype, "IPv6", type=kind, words=words)
    if rule.remote_ip_prefix is not None:
        version = ip_network(rule.remote_ip_prefix, strict=False).version
        if rule.ethertype != f"IPv{version}":
            given, expected = rule.remote_ip_prefix, f"a CIDR of ethertype {rule.ethertype}"
            words = f"Conflicting value ethertype {rule.ethertype} for CIDR {given}"
            kind = "SecurityGroupRuleParameterConflict"
            raise InvalidInput("remote_ip_prefix", given, expected, type=kind, words=words)
    low, high = rule.port_range_min, rule.port_range_max
    if low is None and high is None:
        return
    _check_ports(rule.protocol, low, high)


def _check_ports(protocol: str | None, low: int | None, high: int | None) -> None:
    if protocol in ICMP:  # type and code
        _check_icmp(low, high)
        return
    if protocol is None:
        words, kind = (
            "Must also specify protocol if port range is given",
            "SecurityGroupProtocolRequiredWithPorts",
        )
        raise InvalidInput("protocol", None, "one that has ports", type=kind, words=words)
    if protocol not in WITH_PORTS:
        words = f"Ports cannot be specified for protocol {protocol}"
        kind, expected = "SecurityGroupInvalidProtocolForPort", "a protocol that has ports"
        raise InvalidInput("protocol", protocol, expected, type=kind, words=words)
    if low is None or high is None or low > high:
        expected = f"a port not above port_range_max, which is {high}"
        words = "For TCP/UDP protocols, port_range_min must be <= port_range_max"
        kind = "SecurityGroupInvalidPortRange"
        raise InvalidInput("port_range_min", low, expected, type=kind, words=words)


def _check_icmp(type: int | None, code: int | None) -> None:
    if type is None:
        words = f"ICMP code (port-range-max) {code} is provided"
        words = f"{words} but ICMP type (port-range-min) is missing"
        kind, expected = "SecurityGroupMissingIcmpType", "the ICMP type of the code"
        raise InvalidInput("port_range_min", None, expected, type=kind, words=words)
    for name, field, value in (("type", "port_range_min", type), ("code", "port_range_max", code)):
        if value is not None and value > ICMP_MAX:
            words = f"Invalid value for ICMP {name} ({field}) {value}. It must be 0 to {ICMP_MAX}."
            kind, expected = "SecurityGroupInvalidIcmpValue", f"from 0 to {ICMP_MAX}"
            raise InvalidInput(field, value, expected, type=kind, words=words)


def update_rule(
    tx: Transaction, old: SecurityGroupRule, change: SecurityGroupRuleChange
) -> SecurityGroupRule:
    """Change a rule's description."""
    changed = tx.session.update(applied(old, change))
    if changed != old:
        tx.session.revise(tx.session.require(SecurityGroup, old.security_group_id))
    return changed


def delete_rule(tx: Transaction, rule: SecurityGroupRule) -> None:
    """Delete a rule."""
    tx.session.delete(SecurityGroupRule, rule.id)
    tx.session.revise(tx.session.require(SecurityGroup, rule.security_group_id))


def default_groups(tx: Transaction, port: Port) -> tuple[str, ...]:
    """Return the groups of a port that asks for none: its project's default group.

    Ports of the network itself have none.
    """
    if is_network_owner(port.device_owner):
        return ()
    return (ensure_default(tx, port.project_id).id,)


def checked(tx: Transaction, wanted: Iterable[str]) -> tuple[str, ...]:
    """Return the groups, each once.

    Raises NotFound for a group that does not exist, and Conflict for stateful beside stateless
    groups.
    """
    ids = tuple(dict.fromkeys(wanted))
    groups = [tx.session.require(SecurityGroup, id) for id in ids]
    if len({group.stateful for group in groups}) > 1:
        message = "Error: stateful and stateless security groups cannot be on one port"
        raise Conflict("SecurityGroupConflict", message)
    return ids
