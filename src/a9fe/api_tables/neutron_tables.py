"""The attribute tables of networks, subnets, ports, routers and agents (Network API v2.0)."""

from dataclasses import replace

from a9fe.api_tables import converters as to
from a9fe.api_tables.attributes import (
    AnswerContext,
    Attribute,
    AttributeTable,
    computed,
    constant,
    filter_only,
    filtered,
    for_admins,
    read_only,
    stored,
    write_only,
)
from a9fe.api_tables.model_values import address_pair, allocation_pool, dhcp_option, host_route
from a9fe.api_tables.requests import address_request, gateway_request
from a9fe.model import codec
from a9fe.model.pages import NOTHING, Filter, How
from a9fe.model.resources import Agent, FixedIp, Network, Port, Router
from a9fe.model.rules import addresses as rules
from a9fe.model.rules.scheduling import alive, timestamp
from a9fe.plan import names

PAIRS = to.clearable(to.list_of(address_pair, unique=True))
MTU = to.integer(0, 65535)  # 0 means the default
IPV6_MODES = to.nullable(to.choice(rules.SLAAC, rules.STATEFUL, rules.STATELESS))


def leading_attributes() -> tuple[Attribute, ...]:
    """Return the attributes that most resources begin with."""
    return (
        read_only("id", text=True),
        stored("name", to.one_line(), default=""),
        stored("project_id", to.header_text(minimum=1), "C"),
        computed("tenant_id", lambda resource, _: resource.project_id),
        stored("description", to.string(), default=""),
    )


def trailing_attributes() -> tuple[Attribute, ...]:
    """Return the attributes that resources with tags end with."""
    return (
        computed("tags", lambda resource, context: list(context.tags.get(resource.id, ()))),
        *revision_attributes(),
    )


def revision_attributes() -> tuple[Attribute, ...]:
    """Return the revision number and the times of a resource."""
    times = (read_only("created_at", text=True), read_only("updated_at", text=True))
    return (filtered(read_only("revision_number"), "integer"), *times)


def zones(resource: Network | Router, context: AnswerContext) -> list[str]:
    """Return the availability zones of the agents that serve it."""
    return context.zones.get(resource.id, [])


def _subnets(network: Network, context: AnswerContext) -> list[str]:
    return context.subnet_ids.get(network.id, [])


NETWORK_TYPES = to.choice("local", "flat", "vlan", "vxlan", "gre", "geneve")


def _provider() -> tuple[Attribute, ...]:
    """Return the provider:* attributes. Of all types, hosts connect flat networks only."""
    kind = stored("provider:network_type", NETWORK_TYPES, "c", default="local", at="network_type")
    place = stored(
        "provider:physical_network",
        to.nullable(to.string(minimum=1)),
        "c",
        default=None,
        at="physical_network",
    )
    number = stored(
        "provider:segmentation_id",
        to.nullable(to.integer(0, 2**31 - 1)),
        "cu",
        default=None,
        at="segmentation_id",
    )
    return (
        for_admins(filtered(kind, "nocase")),
        for_admins(filtered(place, "nocase")),
        for_admins(filtered(number, "integer")),
    )


def _is_shared(network: Network, context: AnswerContext) -> bool:
    return network.shared or network.id in context.granted


def fixed(name: str, value: object) -> Attribute:
    """Return a read-only attribute that always has this value."""
    return replace(constant(name, value), convert=None, create="", update="")


def _status(resource: Network | Router, context: AnswerContext) -> str:
    return "ERROR" if resource.id in context.in_error else "ACTIVE"


def _has_status(values: list[str], _: AnswerContext) -> tuple[Filter, ...]:
    wanted = {value.upper() for value in values} & {"ACTIVE", "ERROR"}
    if not wanted:
        return (NOTHING,)
    return (Filter(field="in_error", values=tuple(value == "ERROR" for value in wanted)),)


NETWORK = AttributeTable(
    kind="network",
    plural="networks",
    attributes=(
        *leading_attributes(),
        stored("admin_state_up", to.boolean, default=True),
        computed("status", _status, _has_status),
        computed("subnets", _subnets),
        replace(stored("shared", to.boolean, "cu", default=False), show=_is_shared),
        stored("router:external", to.boolean, "cu", default=False, at="external"),
        filtered(stored("mtu", MTU), "integer"),
        stored("port_security_enabled", to.boolean, default=True),
        *_provider(),
        stored("availability_zone_hints", to.list_of(to.one_line(minimum=1)), "C", default=()),
        computed("availability_zones", zones),
        computed("ipv4_address_scope", lambda n, context: context.scopes.get((n.id, 4))),
        computed("ipv6_address_scope", lambda n, context: context.scopes.get((n.id, 6))),
        stored("dns_domain", to.dns_domain, default=""),
        stored("is_default", to.boolean, "cu", default=False),
        constant("vlan_transparent", None),
        constant("qos_policy_id", None),
        *trailing_attributes(),
    ),
    tagged=True,
)


SERVICE_TYPES = to.clearable(to.list_of(to.service_type, unique=True))


def _on_shared_network(values: list[str], _: AnswerContext) -> tuple[Filter, ...]:
    wanted = tuple(to.boolean("shared", value) for value in values)
    return (Filter(field="network_shared", values=wanted),)


SUBNET = AttributeTable(
    kind="subnet",
    plural="subnets",
    attributes=(
        *leading_attributes(),
        stored("network_id", to.identifier, "CR"),
        filtered(stored("ip_version", to.ip_version, "CR"), "integer"),
        stored("cidr", to.blankable(to.string()), "C", default=""),  # checked with ip_version
        filtered(stored("gateway_ip", to.nullable(rules.address)), "address"),
        stored("allocation_pools", to.list_of(allocation_pool)),
        stored(
            "dns_nameservers", to.clearable(to.list_of(rules.address, unique=True)), default=()
        ),
        stored("host_routes", to.clearable(to.list_of(host_route, unique=True)), default=()),
        stored("enable_dhcp", to.boolean, default=True),
        filtered(stored("ipv6_ra_mode", IPV6_MODES, "C", default=None), "exact"),
        filtered(stored("ipv6_address_mode", IPV6_MODES, "C", default=None), "exact"),
        stored("subnetpool_id", to.nullable(to.identifier), "C", default=None),
        write_only("prefixlen", to.nullable(to.integer(0, 128)), default=None),
        write_only("use_default_subnetpool", to.boolean, default=False),
        constant("segment_id", None),
        stored("service_types", SERVICE_TYPES, default=()),
        constant("dns_publish_fixed_ip", False),  # noqa: FBT003 - the value
        filter_only("shared", _on_shared_network),
        *trailing_attributes(),
    ),
    tagged=True,
)


def _vif_details(port: Port, _: AnswerContext) -> dict[str, str | bool]:
    if not port.host:
        return {}
    return {"port_filter": True, "bridge_name": names.bridge(port.network_id)}


def _dns_assignment(port: Port, context: AnswerContext) -> list[dict[str, str]]:
    return [_dns_name(port, fixed, context.dns_domain) for fixed in port.fixed_ips]


def _dns_name(port: Port, fixed: FixedIp, domain: str) -> dict[str, str]:
    hostname = port.dns_name or "host-" + fixed.ip_address.replace(".", "-").replace(":", "-")
    fqdn = f"{hostname}.{domain.strip('.')}."
    return {"ip_address": fixed.ip_address, "hostname": hostname, "fqdn": fqdn}


VNIC_TYPES = to.choice(
    "normal", "direct", "macvtap", "baremetal", "direct-physical", "virtio-forwarder"
)


def _in_groups(values: list[str], _: AnswerContext) -> tuple[Filter, ...]:
    return (Filter(field="security_group_id", values=tuple(values)),)


def _vif_type(values: list[str], _: AnswerContext) -> tuple[Filter, ...]:
    wanted = {value.lower() for value in values} & {"bridge", "unbound"}
    if len(wanted) == 1:
        how: How = "exact" if wanted == {"unbound"} else "unequal"
        return (Filter(field="host", values=("",), how=how),)
    return () if wanted else (NOTHING,)


def _binding() -> tuple[Attribute, ...]:
    host = stored("binding:host_id", to.blankable(to.header_text()), "cu", default="", at="host")
    profile = stored("binding:profile", to.profile, "cu", default={}, at="profile")
    vnic = stored("binding:vnic_type", VNIC_TYPES, default="normal", at="vnic_type")

    def vif_type(port: Port, _: AnswerContext) -> str:
        return "bridge" if port.host else "unbound"

    return (
        for_admins(filtered(host, "exact")),
        for_admins(profile),
        filtered(vnic, "nocase"),
        for_admins(computed("binding:vif_type", vif_type, _vif_type)),
        for_admins(computed("binding:vif_details", _vif_details)),
    )


DHCP_OPTIONS_MAX = 64  # options of one port

PORT = AttributeTable(
    kind="port",
    plural="ports",
    attributes=(
        *leading_attributes(),
        stored("network_id", to.identifier, "CR"),
        stored("admin_state_up", to.boolean, default=True),
        filtered(replace(stored("mac_address", rules.mac), update="admin"), "mac"),
        stored("fixed_ips", to.list_of(address_request)),
        stored("device_id", to.header_text(), default=""),
        stored("device_owner", to.one_line(), default=""),
        read_only("status", text=True),
        replace(
            stored(
                "security_groups",
                to.nullable(to.list_of(to.identifier, unique=True)),
                default=None,
            ),
            conditions=_in_groups,
        ),
        stored("port_security_enabled", to.boolean),
        stored("allowed_address_pairs", PAIRS, default=()),
        stored(
            "extra_dhcp_opts",
            to.clearable(to.list_of(dhcp_option, DHCP_OPTIONS_MAX)),
            default=(),
        ),
        *_binding(),
        stored("dns_name", to.dns_name, default=""),
        constant("dns_domain", ""),
        computed("dns_assignment", _dns_assignment),
        computed("ip_allocation", lambda port, _: "immediate" if port.fixed_ips else "none"),
        constant("qos_policy_id", None),
        *trailing_attributes(),
    ),
    tagged=True,
)


def _gateway(router: Router, context: AnswerContext) -> dict[str, object] | None:
    port = context.gateways.get(router.id)
    if port is None:
        return None
    return {
        "network_id": port.network_id,
        "enable_snat": router.enable_snat,
        "external_fixed_ips": [codec.encode(fixed) for fixed in port.fixed_ips],
    }


ROUTER = AttributeTable(
    kind="router",
    plural="routers",
    attributes=(
        *leading_attributes(),
        stored("admin_state_up", to.boolean, default=True),
        computed("status", _status, _has_status),
        Attribute(
            name="external_gateway_info",
            show=_gateway,
            field="gateway",
            convert=gateway_request,
            create="member",
            update="member",
        ),
        stored("routes", to.clearable(to.list_of(host_route)), "U", default=()),
        *(
            for_admins(replace(constant(name, value=False), create="admin", update="admin"))
            for name in ("distributed", "ha")
        ),
        stored("availability_zone_hints", to.list_of(to.one_line(minimum=1)), "C", default=()),
        computed("availability_zones", zones),
        constant("flavor_id", None),
        constant("service_type_id", None),
        *trailing_attributes(),
    ),
    tagged=True,
)


def _alive(agent: Agent, context: AnswerContext) -> bool:
    return alive(agent, context.now, context.agent_down_time)


def _alive_since(values: list[str], context: AnswerContext) -> tuple[Filter, ...]:
    since = (timestamp(context.now - context.agent_down_time),)
    wanted = {to.boolean("alive", value) for value in values}
    hows: tuple[How, ...] = tuple("since" if value else "before" for value in wanted)
    if len(hows) != 1:
        return ()
    return (Filter(field="heartbeat_timestamp", values=since, how=hows[0]),)


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
        stored("admin_state_up", to.boolean, "u"),
        filtered(stored("description", to.blankable(to.string()), "u"), "nocase"),
        computed("alive", _alive, _alive_since),
        read_only("configurations"),
        computed("resources_synced", lambda *_: None),
        read_only("created_at", text=True),
        read_only("started_at", text=True),
        read_only("heartbeat_timestamp", text=True),
    ),
)
