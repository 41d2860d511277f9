"""The tables of subnet pools, address scopes, floating IPs, RBAC policies, address groups."""

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, String, Table, UniqueConstraint

from a9fe.store.schema.columns import (
    ADDRESS,
    BORN,
    ID,
    METADATA,
    NAME,
    described,
    identity,
    json_column,
    listed,
    revised,
)

address_scopes = Table(
    "address_scopes",
    METADATA,
    *identity(),
    Column("project_id", NAME, nullable=False),
    Column("name", NAME, nullable=False),
    Column("ip_version", Integer, nullable=False),
    Column("shared", Boolean, nullable=False),
    *revised(),
    *listed("address_scopes"),
)

subnetpools = Table(
    "subnetpools",
    METADATA,
    *identity(),
    *described(),
    json_column("prefixes"),
    Column("ip_version", Integer, nullable=False),
    Column("min_prefixlen", Integer, nullable=False),
    Column("max_prefixlen", Integer, nullable=False),
    Column("default_prefixlen", Integer, nullable=False),
    Column("default_quota", Integer),
    Column("is_default", Boolean, nullable=False),
    Column("shared", Boolean, nullable=False),
    Column("address_scope_id", ID, ForeignKey("address_scopes.id"), index=True),
    *revised(),
    *listed("subnetpools"),
)

floatingips = Table(
    "floatingips",
    METADATA,
    *identity(),
    Column("project_id", NAME, nullable=False),
    Column("description", NAME, nullable=False),
    Column("floating_network_id", ID, ForeignKey("networks.id"), nullable=False, index=True),
    Column("floating_ip_address", ADDRESS, nullable=False, index=True),
    Column("floating_port_id", ID, nullable=False, index=True),
    Column("port_id", ID, index=True),
    Column("fixed_ip_address", ADDRESS),
    Column("router_id", ID, index=True),
    Column("status", String(16), nullable=False),
    Column("dns_name", NAME, nullable=False),
    Column("dns_domain", NAME, nullable=False),
    *revised(),
    Index("ix_floatingips_project_id_born", "project_id", BORN),
)

rbac_policies = Table(
    "rbac_policies",
    METADATA,
    *identity(),
    Column("project_id", NAME, nullable=False),
    Column("object_type", String(32), nullable=False),
    Column("object_id", ID, nullable=False),
    Column("action", String(32), nullable=False),
    Column("target_project", NAME, nullable=False, index=True),
    *revised(),
    UniqueConstraint("object_id", "action", "target_project"),
    Index("ix_rbac_policies_project_id_born", "project_id", BORN),
)

address_groups = Table(
    "address_groups",
    METADATA,
    *identity(),
    *described(),
    json_column("addresses"),
    *revised(),
    *listed("address_groups"),
)
