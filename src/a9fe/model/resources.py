"""The resources as frozen values. Field names, units and defaults are Neutron's API v2.0.

Ids are lower-case UUID strings; MACs lower-case with colons; addresses and CIDRs in the
canonical text form of `ipaddress`; times ISO 8601 UTC ("2026-11-22T15:00:00Z").
"""

from dataclasses import dataclass, field

from a9fe.model.compute import Flavor, Image, KeypairRecord
from a9fe.model.guest import InjectedFile, MetadataOptions, ScheduledEvent
from a9fe.model.rbac import RbacPolicy
from a9fe.model.subnet_pools import AddressGroup, AddressScope, FloatingIp, SubnetPool

# Owners of ports (Neutron's constants): which of them the metadata path cares about.
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
    """A layer-2 network. `mtu` in bytes. `external` is Neutron's router:external.

    `external_to_some`: it is external only for the projects that its RBAC policies name.
    `network_type`, `physical_network` and `segmentation_id` are its provider:* attributes: they
    are recorded and have no effect.
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
    """Addresses a subnet hands out: first and last, both included."""

    start: str
    end: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRoute:
    """A static route: `destination` CIDR, `nexthop` address."""

    destination: str
    nexthop: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """An address block on one network. `gateway_ip` None: the subnet has no gateway.

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
    """An address a port holds, on one subnet."""

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
    """An address a port may use besides its own (Neutron's allowed_address_pairs)."""

    ip_address: str
    mac_address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A network card on a network. `status` is ACTIVE, DOWN or BUILD.

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

    So is its external gateway; `enable_snat` belongs to that.
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
    """A named set of rules. Recorded: a9fe filters nothing by it; guests read its name."""

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
    """What a security group lets in ("ingress") or out ("egress"). None: any."""

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
    """The record of a VM that something else boots. `user_data` are the decoded bytes.

    `number` is a small integer, unique, from which EC2 ids are made (i-%08x, as Nova does).
    `flavor` and `image` are names; `flavor_id` and `image_id` "" where no record is meant.
    `nic_tags` has the network cards of the request by port id, in its order, each with its tag,
    "" for none. What the guest wrote: `password`, encrypted by it, "" for none, and
    `guest_attributes`, "<namespace>/<key>" to value.
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
    """A process that serves a host. `agent_type` and `binary` as Neutron names them."""

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
    """That an agent serves a resource: `kind` is dhcp (a network) or l3 (a router).

    `id` is "<kind>:<agent_id>:<resource_id>"; `host` is the agent's, so that a host's replica
    needs no agent records, and "" while the agent is disabled: it is bound and serves nothing.
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
