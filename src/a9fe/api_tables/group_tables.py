"""The attribute tables of security groups and their rules."""

from a9fe.api_tables import converters as to
from a9fe.api_tables.attributes import AnswerContext, AttributeTable, computed, filtered, stored
from a9fe.api_tables.neutron_tables import (
    fixed,
    leading_attributes,
    revision_attributes,
    trailing_attributes,
)
from a9fe.api_tables.schemas import described
from a9fe.model.errors import InvalidInput
from a9fe.model.resources import SecurityGroup
from a9fe.model.rules import addresses as rules

WITH_PORTS = frozenset({"tcp", "udp", "udplite", "sctp", "dccp", "6", "17", "33", "132", "136"})
ICMP = frozenset({"icmp", "icmpv6", "ipv6-icmp", "1", "58"})
PROTOCOLS = WITH_PORTS | ICMP | {"ah", "egp", "esp", "gre", "igmp", "ipip", "ipv6-encap"}
PROTOCOLS |= {"ipv6-frag", "ipv6-nonxt", "ipv6-opts", "ipv6-route", "ospf", "pgm", "rsvp", "vrrp"}
PROTOCOL_MAX = 255


def protocol(field: str, value: object) -> str | None:
    """Read a protocol's name, or its number from 0 to 255; None is any."""
    text = str(value).lower() if isinstance(value, str | int) else ""
    if value is None or text in {"any", "none"}:
        return None
    number = text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= PROTOCOL_MAX
    if isinstance(value, bool) or (text not in PROTOCOLS and not number):
        raise InvalidInput(field, value, f"tcp, udp, icmp, or a number from 0 to {PROTOCOL_MAX}")
    return text


def ethertype(field: str, value: object) -> str:
    """Read IPv4 or IPv6, in upper or lower case."""
    names = {"ipv4": "IPv4", "ipv6": "IPv6"}
    found = names.get(value.lower()) if isinstance(value, str) else None
    if found is None:
        raise InvalidInput(field, value, "IPv4 or IPv6")
    return found


def prefix(field: str, value: object) -> str | None:
    """Read a CIDR, or an address as a CIDR of one address; None is any."""
    if value is None or value == "":
        return None
    if isinstance(value, str) and "/" not in value:
        value = f"{rules.address(field, value)}/{128 if ':' in value else 32}"
    return rules.cidr(field, value)


def _rules(group: SecurityGroup, context: AnswerContext) -> list[dict[str, object]]:
    return context.rules.get(group.id, [])


SECURITY_GROUP = AttributeTable(
    kind="security_group",
    plural="security_groups",
    attributes=(
        *leading_attributes(),
        stored("stateful", to.boolean, default=True),
        fixed("shared", False),  # noqa: FBT003 - the value
        computed("security_group_rules", _rules),
        *trailing_attributes(),
    ),
    tagged=True,
)

PORT_MAX = 65535


def port_number(field: str, value: object) -> int | None:
    """Read a port number, or an ICMP type or code; None is any."""
    if value is None:
        return None
    try:
        found: int = to.integer(0, PORT_MAX)(field, value)
    except InvalidInput as error:
        kind, words = "SecurityGroupInvalidPortValue", f"Invalid value for port {value}"
        raise InvalidInput(field, value, error.expected, type=kind, words=words) from error
    return found


described(port_number, {"type": ["integer", "null"], "minimum": 0, "maximum": PORT_MAX})

SECURITY_GROUP_RULE = AttributeTable(
    kind="security_group_rule",
    plural="security_group_rules",
    attributes=(
        *(a for a in leading_attributes() if a.name != "name"),
        stored("security_group_id", to.identifier, "CR"),
        filtered(stored("direction", to.choice("ingress", "egress"), "CR"), "nocase"),
        filtered(stored("ethertype", ethertype, "C", default="IPv4"), "nocase"),
        filtered(stored("protocol", protocol, "C", default=None), "nocase"),
        filtered(stored("port_range_min", port_number, "C", default=None), "integer"),
        filtered(stored("port_range_max", port_number, "C", default=None), "integer"),
        filtered(stored("remote_ip_prefix", prefix, "C", default=None), "exact"),
        stored("remote_group_id", to.nullable(to.string(minimum=1)), "C", default=None),
        stored("remote_address_group_id", to.nullable(to.identifier), "C", default=None),
        fixed("normalized_cidr", None),
        *revision_attributes(),
    ),
)
