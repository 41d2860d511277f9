"""What subnets are cut from, floating IPs, groups of addresses. Names are Neutron's API v2.0's.

Recorded by the server: no agent follows these kinds.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressScope:
    """A set of subnet pools in which no address is in two pools."""

    id: str
    project_id: str = ""
    name: str = ""
    ip_version: int = 4
    shared: bool = False
    revision_number: int = 0
    created_at: str = ""
    updated_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubnetPool:
    """CIDRs of one IP version, of which subnets are cut.

    `prefixes` are in order and apart. `default_quota` is how much one project may have of it, in
    IPv4 addresses or IPv6 /64s; None: any amount.
    """

    id: str
    prefixes: tuple[str, ...]
    project_id: str = ""
    name: str = ""
    description: str = ""
    ip_version: int = 4
    min_prefixlen: int = 8
    max_prefixlen: int = 32
    default_prefixlen: int = 8
    default_quota: int | None = None
    is_default: bool = False
    shared: bool = False
    address_scope_id: str | None = None
    revision_number: int = 0
    created_at: str = ""
    updated_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatingIp:
    """An address of an external network that leads to a port's fixed address, by a router.

    `floating_port_id` is the port that holds the address outside. `port_id`, `fixed_ip_address`
    and `router_id` are all None while it leads nowhere.
    """

    id: str
    floating_network_id: str
    floating_ip_address: str
    floating_port_id: str
    project_id: str = ""
    description: str = ""
    port_id: str | None = None
    fixed_ip_address: str | None = None
    router_id: str | None = None
    status: str = "DOWN"
    dns_name: str = ""
    dns_domain: str = ""
    revision_number: int = 0
    created_at: str = ""
    updated_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressGroup:
    """CIDRs by one name, that rules of security groups are written for."""

    id: str
    project_id: str = ""
    name: str = ""
    description: str = ""
    addresses: tuple[str, ...] = ()
    revision_number: int = 0
    created_at: str = ""
    updated_at: str = ""
