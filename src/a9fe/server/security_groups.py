"""Security groups and their rules: recorded, and named in metadata; a9fe filters nothing by them.

Every project has a group `default`, made when it is first needed. Ports of VMs are in it unless
they are given others.
"""

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_network

from a9fe.model.errors import Conflict, InvalidInput
from a9fe.model.resources import Port, SecurityGroup, SecurityGroupRule
from a9fe.server.attributes import Values
from a9fe.server.call import Call, new_id
from a9fe.store import Filter, Page

DEFAULT = "default"
ETHERTYPES = ("IPv4", "IPv6")
WITH_PORTS = frozenset({"tcp", "udp", "udplite", "sctp", "dccp", "6", "17", "33", "132", "136"})
ICMP = frozenset({"icmp", "icmpv6", "ipv6-icmp", "1", "58"})
ICMP_MAX = 255


def ensure_default(call: Call, project_id: str) -> SecurityGroup:
    """The project's default group: out with all, in from its own members."""
    found = default_of(call, project_id)
    if found is not None:
        return found
    group = SecurityGroup(
        id=new_id(),
        project_id=project_id,
        name=DEFAULT,
        description="Default security group",
        is_default=True,
    )
    made = call.session.insert(group)
    for ethertype in ETHERTYPES:
        _add_rule(call, made, "ingress", ethertype, remote_group_id=made.id)
        _add_rule(call, made, "egress", ethertype)
    return made


def prepare(call: Call) -> None:
    """Let the caller's project have its default group."""
    ensure_default(call, call.project_id)


def default_of(call: Call, project_id: str) -> SecurityGroup | None:
    """The project's default group if it has been made."""
    found = call.session.find(SecurityGroup, project_id=project_id, is_default=True)
    return next(iter(found), None)


def _add_rule(
    call: Call,
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
    call.session.insert(rule)


def create(call: Call, values: Values) -> SecurityGroup:
    """A new group, whose members may send to anywhere."""
    values.setdefault("project_id", call.project_id)
    _refuse_default_name(values["name"])
    ensure_default(call, values["project_id"])
    group = call.session.insert(SecurityGroup(id=new_id(), **values))
    for ethertype in ETHERTYPES:
        _add_rule(call, group, "egress", ethertype)
    return group


def _refuse_default_name(name: str) -> None:
    if name.lower() == DEFAULT:
        message = "Every project has one group named default; choose another name"
        raise Conflict("SecurityGroupDefaultAlreadyExists", message)


def update(call: Call, old: SecurityGroup, values: Values) -> SecurityGroup:
    """Change a group; the default one keeps its name."""
    name = values.get("name", old.name)
    if name != old.name:
        if old.is_default:
            message = "The default security group keeps its name"
            raise Conflict("SecurityGroupCannotUpdateDefault", message)
        _refuse_default_name(name)
    return call.session.update(replace(old, **values))


def delete(call: Call, group: SecurityGroup) -> None:
    """Remove a group that no port is in, with its rules and those that name it."""
    if group.is_default and not call.caller.is_admin:
        message = "The default security group is for admins to delete"
        raise Conflict("SecurityGroupCannotRemoveDefault", message)
    users = Filter(field="security_group_id", values=(group.id,))
    if call.session.page(Port, Page(filters=(users,), limit=1)):
        message = f"Security group {group.id} is in use by ports; take them out first"
        raise Conflict("SecurityGroupInUse", message)
    own = call.session.find(SecurityGroupRule, security_group_id=group.id)
    naming = call.session.find(SecurityGroupRule, remote_group_id=group.id)
    for id in dict.fromkeys(rule.id for rule in (*own, *naming)):
        call.session.delete(SecurityGroupRule, id)
    call.session.delete(SecurityGroup, group.id)


def create_rule(call: Call, values: Values) -> SecurityGroupRule:
    """A new rule of a group."""
    group = call.session.require(SecurityGroup, values["security_group_id"])
    values["project_id"] = group.project_id
    rule = SecurityGroupRule(id=new_id(), **values)
    if rule.remote_group_id is not None:
        call.session.require(SecurityGroup, rule.remote_group_id)
    _check(rule)
    for other in call.session.find(SecurityGroupRule, security_group_id=group.id):
        if _meaning(other) == _meaning(rule):
            message = f"Security group rule already exists: its id is {other.id}"
            raise Conflict("SecurityGroupRuleExists", message)
    return call.session.insert(rule)


def _meaning(rule: SecurityGroupRule) -> SecurityGroupRule:
    """The rule without what does not matter to packets."""
    return replace(rule, id="", description="", revision_number=0, created_at="", updated_at="")


def _check(rule: SecurityGroupRule) -> None:
    if rule.remote_ip_prefix is not None and rule.remote_group_id is not None:
        expected = "either remote_ip_prefix or remote_group_id"
        raise InvalidInput("remote_group_id", rule.remote_group_id, expected)
    if rule.remote_ip_prefix is not None:
        version = ip_network(rule.remote_ip_prefix, strict=False).version
        if rule.ethertype != f"IPv{version}":
            expected = f"a CIDR of ethertype {rule.ethertype}"
            raise InvalidInput("remote_ip_prefix", rule.remote_ip_prefix, expected)
    low, high = rule.port_range_min, rule.port_range_max
    if low is None and high is None:
        return
    _check_ports(rule.protocol, low, high)


def _check_ports(protocol: str | None, low: int | None, high: int | None) -> None:
    if protocol in ICMP:  # type and code
        if low is None or low > ICMP_MAX or (high or 0) > ICMP_MAX:
            raise InvalidInput("port_range_min", low, f"an ICMP type from 0 to {ICMP_MAX}")
        return
    if protocol not in WITH_PORTS:
        raise InvalidInput("protocol", protocol, "a protocol that has ports, such as tcp or udp")
    if low is None or high is None or low > high:
        expected = f"a port not above port_range_max, which is {high}"
        raise InvalidInput("port_range_min", low, expected)


def update_rule(call: Call, old: SecurityGroupRule, values: Values) -> SecurityGroupRule:
    """Describe a rule."""
    return call.session.update(replace(old, **values))


def delete_rule(call: Call, rule: SecurityGroupRule) -> None:
    """Remove a rule."""
    call.session.delete(SecurityGroupRule, rule.id)


def groups_for(
    call: Call, project_id: str, device_owner: str, wanted: Iterable[str] | None
) -> tuple[str, ...]:
    """The groups of a new port. None wanted: the default one, but for ports of the network's own.

    Raises NotFound.
    """
    if wanted is not None:
        return checked(call, wanted)
    if device_owner.startswith("network:"):
        return ()
    return (ensure_default(call, project_id).id,)


def checked(call: Call, wanted: Iterable[str]) -> tuple[str, ...]:
    """The groups, each once. Raises NotFound for one that does not exist."""
    ids = tuple(dict.fromkeys(wanted))
    for id in ids:
        call.session.require(SecurityGroup, id)
    return ids
