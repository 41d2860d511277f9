"""The attribute tables of subnet pools, address scopes, floating IPs, RBAC
policies and address groups."""

from typing import Any

from a9fe.api_tables import converters as to
from a9fe.api_tables.attributes import (
    AnswerContext,
    Attribute,
    AttributeTable,
    computed,
    constant,
    filtered,
    read_only,
    stored,
    write_only,
)
from a9fe.api_tables.neutron_tables import (
    leading_attributes,
    revision_attributes,
    trailing_attributes,
)
from a9fe.model.rbac import ACCESS_AS_EXTERNAL, ACCESS_AS_SHARED
from a9fe.model.rules import addresses as rules

PREFIXLEN = to.integer(0, 128)
QUOTA = to.nullable(to.integer(0, 2**31 - 1))


def _length(name: str) -> Attribute:
    """Return an attribute for a prefix length, which Neutron shows as text."""
    attribute = filtered(stored(name, PREFIXLEN), "integer")
    return as_text(attribute)


def as_text(attribute: Attribute) -> Attribute:
    """Return the attribute, with its number shown as text."""

    def show(resource: Any, _: AnswerContext) -> str:  # noqa: ANN401 - any resource
        return str(getattr(resource, attribute.field))

    return Attribute(
        name=attribute.name,
        show=show,
        field=attribute.field,
        convert=attribute.convert,
        create="member",
        update="member",
        filter=attribute.filter,
        sortable=True,
    )


SUBNETPOOL = AttributeTable(
    kind="subnetpool",
    plural="subnetpools",
    attributes=(
        *(a for a in leading_attributes() if a.name != "name"),
        stored("name", to.string(minimum=1), "CUR", default=""),
        stored("prefixes", to.list_of(rules.cidr, unique=True), "CUR"),
        filtered(read_only("ip_version"), "integer"),
        _length("min_prefixlen"),
        _length("max_prefixlen"),
        _length("default_prefixlen"),
        filtered(stored("default_quota", QUOTA, default=None), "integer"),
        stored("is_default", to.boolean, "cu", default=False),
        stored("shared", to.boolean, "c", default=False),
        stored("address_scope_id", to.nullable(to.identifier), default=None),
        *trailing_attributes(),
    ),
    tagged=True,
)

ADDRESS_SCOPE = AttributeTable(
    kind="address_scope",
    plural="address_scopes",
    attributes=(
        *(a for a in leading_attributes() if a.name != "description"),
        filtered(stored("ip_version", to.ip_version, "CR"), "integer"),
        stored("shared", to.boolean, "cu", default=False),
        *revision_attributes(),
    ),
)

FLOATINGIP = AttributeTable(
    kind="floatingip",
    plural="floatingips",
    attributes=(
        *(a for a in leading_attributes() if a.name != "name"),
        stored("floating_network_id", to.identifier, "CR"),
        filtered(stored("floating_ip_address", to.nullable(rules.address), "c"), "address"),
        write_only("subnet_id", to.nullable(to.identifier), default=None),
        stored("port_id", to.nullable(to.identifier)),
        filtered(stored("fixed_ip_address", to.nullable(rules.address)), "address"),
        filtered(read_only("router_id", text=True), "exact"),
        read_only("status", text=True),
        stored("dns_name", to.dns_name, "C", default=""),
        stored("dns_domain", to.dns_domain, "C", default=""),
        constant("qos_policy_id", None),
        computed("port_details", lambda floating, context: context.port_details.get(floating.id)),
        computed("port_forwardings", lambda *_: []),
        *trailing_attributes(),
    ),
    tagged=True,
)

RBAC_POLICY = AttributeTable(
    kind="rbac_policy",
    plural="rbac_policies",
    attributes=(
        read_only("id", text=True),
        stored("project_id", to.string(minimum=1), "C"),
        computed("tenant_id", lambda policy, _: policy.project_id),
        filtered(stored("object_type", to.choice("network"), "CR"), "exact"),
        stored("object_id", to.identifier, "CR"),
        filtered(stored("action", to.choice(ACCESS_AS_SHARED, ACCESS_AS_EXTERNAL), "CR"), "exact"),
        filtered(
            stored("target_tenant", to.string(minimum=1), "CUR", at="target_project"), "exact"
        ),
    ),
)

GROUP_ADDRESSES_MAX = 1000  # CIDRs of one address group
ADDRESSES_TO_ADD = to.list_of(rules.cidr, GROUP_ADDRESSES_MAX, unique=True)
ADDRESSES_TO_REMOVE = to.list_of(to.address_or_cidr, GROUP_ADDRESSES_MAX)

ADDRESS_GROUP = AttributeTable(
    kind="address_group",
    plural="address_groups",
    attributes=(
        *leading_attributes(),
        stored("addresses", to.clearable(to.list_of(rules.cidr, unique=True)), "C", default=()),
        *revision_attributes(),
    ),
)
