"""The resources as frozen values. Field names, units and defaults are Neutron's API v2.0.

Ids are lower-case UUID strings; MACs lower-case with colons; addresses and CIDRs in the
canonical text form of `ipaddress`; times ISO 8601 UTC ("2026-11-22T15:00:00Z").
"""

from dataclasses import dataclass, field

from a9fe.model.compute import Flavor, Image, KeypairRecord
from a9fe.model.guest import InjectedFile, MetadataOptions, ScheduledEvent
from a9fe.model.rbac import RbacPolicy
from a9fe.model.subnet_pools import AddressGroup, AddressScope, FloatingIp, SubnetPool

# Device owners of ports (Neutron's constants) that the metadata path needs.
DHCP_OWNER = "network:dhcp"
ROUTER_INTERFACE_OWNER = "network:router_interface"
ROUTER_INTERFACE_OWNERS = frozenset(
    {
        ROUTER_INTERFACE_OWNER,
        "network:ha_router_replicated_interface",
        "network:router_interface_distributed",
    }
)
ROUTER_GATEWAY_OWNER = "network:router_gateway"
FLOATING_IP_OWNER = "network:floatingip"
COMPUTE_OWNER = "compute:nova"
RESERVED_DHCP_DEVICE_ID = "reserved_dhcp_port"


def is_network_owner(device_owner: str) -> bool:
    """Whether a port with this owner belongs to the network itself: a router's, a DHCP agent's."""
    return device_owner.startswith("network:")


METADATA_IPV4 = "169.254.169.254"
METADATA_IPV6 = "fe80::a9fe:a9fe"
METADATA_PORT = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A layer-2 network. `mtu` is in bytes; `external` is Neutron's router:external.

    `external_to_some`: it is external only for the projects in its RBAC policies. `network_type`,
    `physical_network` and `segmentation_id` are the provider:* attributes. A host connects a flat
    network with its physical network, if it has a mapping (plan.uplinks).
    """

    id: str
    project_id: str = ""
    name: str = ""
    description: str = ""
    admin_state_up: bool = True
    shared: bool = False
    external: bool = False
    external_to_some: bool = False
    mtu: int = 1500
    port_security_enabled: bool = True
    network_type: str = "local"
    physical_network: str | None = None
    segmentation_id: int | None = None
    is_default: bool = False
    dns_domain: str = ""
    availability_zone_hints: tuple[str, ...] = ()
    revision_number: int = 0
    created_at: str = ""
    updated_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationPool:
    """A range of addresses for ports: first and last, both included."""

    start: str
    end: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRoute:
    """A static route: `destination` CIDR, `nexthop` address."""

    destination: str
    nexthop: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """A block of addresses on a network. `gateway_ip` is None without a gateway.

    `service_types`: device owners of ports that may get its addresses; empty means all.
    """

    id: str
    network_id: str
    cidr: str
    project_id: str = ""
    name: str = ""
    description: str = ""
    ip_version: int = 4
    gateway_ip: str | None = None
    allocation_pools: tuple[AllocationPool, ...] = ()
    dns_nameservers: tuple[str, ...] = ()
    host_routes: tuple[HostRoute, ...] = ()
    enable_dhcp: bool = True
    ipv6_ra_mode: str | None = None
    ipv6_address_mode: str | None = None
    subnetpool_id: str | None = None
    service_types: tuple[str, ...] = ()
    revision_number: int = 0
    created_at: str = ""
    updated_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedIp:
    """An address of a port, on one subnet."""

    subnet_id: str
    ip_address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DhcpOption:
    """An extra DHCP option of one port (Neutron's extra_dhcp_opts)."""

    opt_name: str
    opt_value: str
    ip_version: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPair:
    """A further address that a port may use (Neutron's allowed_address_pairs)."""

    ip_address: str
    mac_address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A connection of a device to a network. `status` is ACTIVE, DOWN or BUILD.

    `host`, `vnic_type` and `profile` are its binding:* attributes (host: binding:host_id);
    `security_groups` are ids.
    """

    id: str
    network_id: str
    mac_address: str
    project_id: str = ""
    name: str = ""
    description: str = ""
    admin_state_up: bool = True
    status: str = "DOWN"
    fixed_ips: tuple[FixedIp, ...] = ()
    device_id: str = ""
    device_owner: str = ""
    security_groups: tuple[str, ...] = ()
    port_security_enabled: bool = True
    allowed_address_pairs: tuple[AddressPair, ...] = ()
    extra_dhcp_opts: tuple[DhcpOption, ...] = ()
    host: str = ""
    vnic_type: str = "normal"
    profile: dict[str, object] = field(default_factory=dict, hash=False)
    dns_name: str = ""
    revision_number: int = 0
    created_at: str = ""
    updated_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
    """A router between networks. Its interfaces are ports with device_id = the router's id.

    So is the port of its external gateway, to which `enable_snat` applies.
    """

    id: str
    project_id: str = ""
    name: str = ""
    description: str = ""
    admin_state_up: bool = True
    status: str = "ACTIVE"
    routes: tuple[HostRoute, ...] = ()
    enable_snat: bool = True
    availability_zone_hints: tuple[str, ...] = ()
    revision_number: int = 0
    created_at: str = ""
    updated_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityGroup:
    """A named set of rules. a9fe does not filter by it; guests read its name."""

    id: str
    project_id: str = ""
    name: str = ""
    description: str = ""
    stateful: bool = True
    is_default: bool = False
    revision_number: int = 0
    created_at: str = ""
    updated_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityGroupRule:
    """Traffic that a security group allows in ("ingress") or out ("egress"). None means any."""

    id: str
    security_group_id: str
    project_id: str = ""
    description: str = ""
    direction: str = "ingress"
    ethertype: str = "IPv4"
    protocol: str | None = None
    port_range_min: int | None = None
    port_range_max: int | None = None
    remote_ip_prefix: str | None = None
    remote_group_id: str | None = None
    remote_address_group_id: str | None = None
    revision_number: int = 0
    created_at: str = ""
    updated_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keypair:
    """A public key as Nova names it: `type` is ssh or x509."""

    name: str
    public_key: str
    type: str = "ssh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """The record of a VM. `user_data` has the decoded bytes.

    `number` is a unique integer, from which EC2 ids are made (i-%08x, as in Nova). `flavor` and
    `image` are names; `flavor_id` and `image_id` are "" without a record. `nic_tags` has the tag
    ("" for none) of each port of the create request by port id, in the request's order. The guest
    writes `password`, usually encrypted ("" for none), and `guest_attributes`, values by
    "<namespace>/<key>".
    """

    id: str
    name: str
    number: int = 0
    project_id: str = ""
    user_data: bytes | None = None
    keypairs: tuple[Keypair, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    availability_zone: str = "nova"
    flavor: str = ""
    image: str = ""
    flavor_id: str = ""
    image_id: str = ""
    description: str = ""
    launch_index: int = 0
    files: tuple[InjectedFile, ...] = ()
    nic_tags: dict[str, str] = field(default_factory=dict)
    metadata_options: MetadataOptions = field(default_factory=MetadataOptions)
    password: str = ""
    guest_attributes: dict[str, str] = field(default_factory=dict)
    events: tuple[ScheduledEvent, ...] = ()
    revision_number: int = 0
    created_at: str = ""
    updated_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A process that serves a host. `agent_type` and `binary` are Neutron's names."""

    id: str
    agent_type: str
    binary: str
    host: str
    topic: str = ""
    admin_state_up: bool = True
    description: str = ""
    availability_zone: str = "nova"
    configurations: dict[str, str | int | bool] = field(default_factory=dict)
    created_at: str = ""
    started_at: str = ""
    heartbeat_timestamp: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """An agent serves a resource: `kind` is dhcp (a network) or l3 (a router).

    `id` is "<kind>:<agent_id>:<resource_id>". `host` is the agent's host, so that a replica needs
    no agent records; it is "" while the agent is disabled and serves nothing.
    """

    id: str
    kind: str
    agent_id: str
    host: str
    resource_id: str


Resource = (
    Network
    | Subnet
    | Port
    | Router
    | SecurityGroup
    | SecurityGroupRule
    | Instance
    | Agent
    | Binding
    | Flavor
    | Image
    | KeypairRecord
    | AddressScope
    | SubnetPool
    | FloatingIp
    | RbacPolicy
    | AddressGroup
)

ResourceKey = tuple[str, str]
"""Kind and id of a resource."""

KINDS: dict[str, type[Resource]] = {
    "network": Network,
    "subnet": Subnet,
    "port": Port,
    "router": Router,
    "security_group": SecurityGroup,
    "security_group_rule": SecurityGroupRule,
    "instance": Instance,
    "agent": Agent,
    "binding": Binding,
    "flavor": Flavor,
    "image": Image,
    "keypair": KeypairRecord,
    "address_scope": AddressScope,
    "subnetpool": SubnetPool,
    "floatingip": FloatingIp,
    "rbac_policy": RbacPolicy,
    "address_group": AddressGroup,
}
KIND_OF: dict[type[object], str] = {cls: kind for kind, cls in KINDS.items()}
