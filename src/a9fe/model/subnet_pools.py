"""Subnet pools, address scopes, floating IPs and address groups, with Neutron's names.

The server stores them. Of these kinds, agents follow floating IPs only: those of their routers.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressScope:
    """A set of subnet pools that do not overlap."""

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
    """CIDRs of one IP version from which subnets are allocated.

    `prefixes` are sorted and disjoint. `default_quota` limits each project's subnets, in IPv4
    addresses or IPv6 /64s; None means unlimited.
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
    """An address of an external network, associated with a fixed IP of a port through a router.

    `floating_port_id` is the port that has the address on the external network. `port_id`,
    `fixed_ip_address` and `router_id` are all None while it is not associated. `status` is ACTIVE
    while it is associated and the router's gateway is ACTIVE, else DOWN.
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
    """Named CIDRs for security group rules."""

    id: str
    project_id: str = ""
    name: str = ""
    description: str = ""
    addresses: tuple[str, ...] = ()
    revision_number: int = 0
    created_at: str = ""
    updated_at: str = ""
