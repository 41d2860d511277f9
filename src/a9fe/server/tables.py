"""The attribute tables of Neutron's resources (Network API v2.0) and of instances."""

import base64

from a9fe.model import rules
from a9fe.model.resources import Agent, FixedIp, Instance, Network, Port
from a9fe.model.rules_scheduling import alive
from a9fe.plan import names
from a9fe.server import converters as to
from a9fe.server.attributes import (
    Attribute,
    AttributeTable,
    Extra,
    computed,
    constant,
    read_only,
    stored,
)
from a9fe.server.requests import address_request, instance_network

MTU = to.integer(68, 65535)  # RFC 791's least; 0 means the default
IPV6_MODES = to.nullable(to.choice("slaac", "dhcpv6-stateful", "dhcpv6-stateless"))


def _head(name_allow: str = "CU") -> tuple[Attribute, ...]:
    return (
        read_only("id", text=True),
        stored("name", to.string(), name_allow, default=""),
        stored("project_id", to.string(minimum=1), "C"),
        computed("tenant_id", lambda resource, _: resource.project_id),
        stored("description", to.string(), default=""),
    )


def _tail() -> tuple[Attribute, ...]:
    return (
        constant("tags", []),
        read_only("revision_number"),
        read_only("created_at"),
        read_only("updated_at"),
    )


def _subnets(network: Network, extra: Extra) -> list[str]:
    return extra.subnet_ids.get(network.id, [])


NETWORK = AttributeTable(
    kind="network",
    plural="networks",
    attributes=(
        *_head(),
        stored("admin_state_up", to.boolean, default=True),
        computed("status", lambda *_: "ACTIVE"),
        computed("subnets", _subnets),
        stored("shared", to.boolean, default=False),
        stored("router:external", to.boolean, default=False, at="external"),
        stored("mtu", lambda f, v: 0 if v in (0, "0") else MTU(f, v)),
        stored("port_security_enabled", to.boolean, default=True),
        constant("provider:network_type", "local"),
        constant("provider:physical_network", None),
        constant("provider:segmentation_id", None),
        constant("availability_zone_hints", []),
        computed("availability_zones", lambda *_: []),
        computed("ipv4_address_scope", lambda *_: None),
        computed("ipv6_address_scope", lambda *_: None),
        constant("dns_domain", ""),
        constant("is_default", False),  # noqa: FBT003 - the value
        constant("vlan_transparent", None),
        constant("qos_policy_id", None),
        *_tail(),
    ),
)

SUBNET = AttributeTable(
    kind="subnet",
    plural="subnets",
    attributes=(
        *_head(),
        stored("network_id", to.identifier, "CR"),
        stored("ip_version", lambda f, v: int(to.choice("4", "6")(f, str(v))), "CR"),
        stored("cidr", to.string(), "CR", default=""),  # read once ip_version is known
        stored("gateway_ip", to.nullable(rules.address)),
        stored("allocation_pools", to.list_of(to.allocation_pool)),
        stored("dns_nameservers", to.list_of(rules.address), default=()),
        stored("host_routes", to.list_of(to.host_route), default=()),
        stored("enable_dhcp", to.boolean, default=True),
        stored("ipv6_ra_mode", IPV6_MODES, "C", default=None),
        stored("ipv6_address_mode", IPV6_MODES, "C", default=None),
        constant("subnetpool_id", None),
        constant("segment_id", None),
        constant("service_types", []),
        constant("dns_publish_fixed_ip", False),  # noqa: FBT003 - the value
        *_tail(),
    ),
)


def _vif_details(port: Port, _: Extra) -> dict[str, str | bool]:
    if not port.host:
        return {}
    return {"port_filter": True, "bridge_name": names.bridge(port.network_id)}


def _dns_assignment(port: Port, extra: Extra) -> list[dict[str, str]]:
    return [_dns_name(fixed, extra.dns_domain) for fixed in port.fixed_ips]


def _dns_name(fixed: FixedIp, domain: str) -> dict[str, str]:
    hostname = "host-" + fixed.ip_address.replace(".", "-").replace(":", "-")
    fqdn = f"{hostname}.{domain.strip('.')}."
    return {"ip_address": fixed.ip_address, "hostname": hostname, "fqdn": fqdn}


VNIC_TYPES = to.choice(
    "normal", "direct", "macvtap", "baremetal", "direct-physical", "virtio-forwarder"
)

PORT = AttributeTable(
    kind="port",
    plural="ports",
    attributes=(
        *_head(),
        stored("network_id", to.identifier, "CR"),
        stored("admin_state_up", to.boolean, default=True),
        stored("mac_address", rules.mac),
        stored("fixed_ips", to.list_of(address_request)),
        stored("device_id", to.string(), default=""),
        stored("device_owner", to.string(), default=""),
        read_only("status", text=True),
        stored("security_groups", to.list_of(to.identifier), default=()),
        stored("port_security_enabled", to.boolean),
        stored("allowed_address_pairs", to.list_of(to.address_pair), default=()),
        stored("extra_dhcp_opts", to.list_of(to.dhcp_option), default=()),
        stored("binding:host_id", to.nullable(to.string()), default="", at="host"),
        constant("binding:profile", {}),
        stored("binding:vnic_type", VNIC_TYPES, default="normal", at="vnic_type"),
        computed("binding:vif_type", lambda port, _: "bridge" if port.host else "unbound"),
        computed("binding:vif_details", _vif_details),
        constant("dns_name", ""),
        constant("dns_domain", ""),
        computed("dns_assignment", _dns_assignment),
        computed("ip_allocation", lambda port, _: "immediate" if port.fixed_ips else "none"),
        constant("qos_policy_id", None),
        *_tail(),
    ),
)

ROUTER = AttributeTable(
    kind="router",
    plural="routers",
    attributes=(
        *_head(),
        stored("admin_state_up", to.boolean, default=True),
        read_only("status", text=True),
        Attribute(
            name="external_gateway_info",
            show=lambda *_: None,
            convert=lambda f, v: None if v in (None, {}) else to.only(None)(f, v),
            create=True,
            update=True,
        ),
        stored("routes", to.list_of(to.host_route), "U", default=()),
        constant("distributed", False),  # noqa: FBT003 - the value
        constant("ha", False),  # noqa: FBT003 - the value
        constant("availability_zone_hints", []),
        computed("availability_zones", lambda *_: []),
        constant("flavor_id", None),
        constant("service_type_id", None),
        *_tail(),
    ),
)


def _alive(agent: Agent, extra: Extra) -> bool:
    return alive(agent, extra.now, extra.agent_down_time)


AGENT = AttributeTable(
    kind="agent",
    plural="agents",
    attributes=(
        read_only("id", text=True),
        read_only("agent_type", text=True),
        read_only("binary", text=True),
        read_only("topic", text=True),
        read_only("host", text=True),
        read_only("availability_zone", text=True),
        stored("admin_state_up", to.boolean, "U"),
        stored("description", to.nullable(to.string()), "U"),
        computed("alive", _alive),
        read_only("configurations"),
        computed("resources_synced", lambda *_: None),
        read_only("created_at"),
        read_only("started_at"),
        read_only("heartbeat_timestamp"),
    ),
)


def _user_data(instance: Instance, _: Extra) -> str | None:
    if instance.user_data is None:
        return None
    return base64.b64encode(instance.user_data).decode("ascii")


INSTANCE = AttributeTable(
    kind="instance",
    plural="instances",
    attributes=(
        read_only("id", text=True),
        read_only("number"),
        stored("name", to.string(minimum=1), "CUR", default=""),
        stored("project_id", to.string(minimum=1), "C"),
        computed("tenant_id", lambda instance, _: instance.project_id),
        Attribute(
            name="user_data",
            show=_user_data,
            field="user_data",
            convert=to.nullable(to.user_data),
            create=True,
            update=True,
            default=None,
        ),
        stored("keypairs", to.list_of(to.keypair), default=()),
        stored("metadata", to.string_map, default={}),
        stored("availability_zone", to.string(minimum=1)),
        stored("flavor", to.string(), default=""),
        stored("image", to.string(), default=""),
        stored("launch_index", to.integer(0, 1_000_000), "C", default=0),
        read_only("revision_number"),
        read_only("created_at"),
        read_only("updated_at"),
    ),
)

INSTANCE_REQUEST = AttributeTable(
    kind="instance",
    plural="instances",
    attributes=(
        *(a for a in INSTANCE.attributes if a.create),
        stored("host", to.string(minimum=1), "C"),
        stored("network", to.string(minimum=1), "C"),
        stored("port_id", to.identifier, "C"),
        stored("networks", to.list_of(instance_network, maximum=64), "C", default=()),
    ),
)
"""What a new instance may be made with: its attributes, and its ports."""
