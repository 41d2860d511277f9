"""The tables, one for each kind of resource; columns have the names of the model's fields.

Lists and dictionaries are JSON columns. Fixed IPs are rows of their own, so that the database
ensures that they are unique. migrations/ must create the same schema; a test compares them.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from a9fe.store.schema.columns import (
    ADDRESS,
    BORN,
    ID,
    METADATA,
    NAME,
    TIME,
    described,
    identity,
    json_column,
    listed,
    revised,
)
from a9fe.store.schema.pool_tables import (
    address_groups,
    address_scopes,
    floatingips,
    rbac_policies,
    subnetpools,
)

networks = Table(
    "networks",
    METADATA,
    *identity(),
    *described(),
    Column("admin_state_up", Boolean, nullable=False),
    Column("shared", Boolean, nullable=False),
    Column("external", Boolean, nullable=False),
    Column("external_to_some", Boolean, nullable=False),
    Column("mtu", Integer, nullable=False),
    Column("port_security_enabled", Boolean, nullable=False),
    Column("network_type", String(16), nullable=False),
    Column("physical_network", NAME),
    Column("segmentation_id", BigInteger),
    Column("is_default", Boolean, nullable=False),
    Column("dns_domain", NAME, nullable=False),
    json_column("availability_zone_hints"),
    *revised(),
    *listed("networks"),
)

subnets = Table(
    "subnets",
    METADATA,
    *identity(),
    Column("network_id", ID, ForeignKey("networks.id"), nullable=False, index=True),
    Column("cidr", String(49), nullable=False),
    *described(),
    Column("ip_version", Integer, nullable=False),
    Column("gateway_ip", ADDRESS),
    json_column("allocation_pools"),
    json_column("dns_nameservers"),
    json_column("host_routes"),
    Column("enable_dhcp", Boolean, nullable=False),
    Column("ipv6_ra_mode", String(16)),
    Column("ipv6_address_mode", String(16)),
    Column("subnetpool_id", ID, index=True),
    json_column("service_types"),
    *revised(),
    *listed("subnets"),
)

ports = Table(
    "ports",
    METADATA,
    *identity(),
    Column("network_id", ID, ForeignKey("networks.id"), nullable=False),
    Column("mac_address", String(17), nullable=False),
    *described(),
    Column("admin_state_up", Boolean, nullable=False),
    Column("status", String(16), nullable=False),
    Column("device_id", NAME, nullable=False, index=True),
    Column("device_owner", NAME, nullable=False),
    json_column("security_groups"),
    Column("port_security_enabled", Boolean, nullable=False),
    json_column("allowed_address_pairs"),
    json_column("extra_dhcp_opts"),
    Column("host", NAME, nullable=False),
    Column("vnic_type", String(32), nullable=False),
    json_column("profile"),
    Column("dns_name", NAME, nullable=False),
    *revised(),
    UniqueConstraint("network_id", "mac_address"),
    *listed("ports"),
    Index("ix_ports_network_id_born", "network_id", BORN),
    Index("ix_ports_host_born", "host", BORN),
    Index("ix_ports_lower_device_owner", text("lower(device_owner)"), BORN),
    Index("ix_ports_lower_status", text("lower(status)"), BORN),
    Index("ix_ports_mac_address", "mac_address"),
)

ip_allocations = Table(
    "ip_allocations",
    METADATA,
    Column("subnet_id", ID, ForeignKey("subnets.id"), primary_key=True),
    Column("ip_address", ADDRESS, primary_key=True),
    Column("port_id", ID, ForeignKey("ports.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("position", Integer, nullable=False),
    Index("ix_ip_allocations_ip_address", "ip_address"),
)

free_ranges = Table(
    "free_ranges",
    METADATA,
    Column("subnet_id", ID, ForeignKey("subnets.id", ondelete="CASCADE"), primary_key=True),
    Column("first_ip", LargeBinary(16), primary_key=True),
    Column("last_ip", LargeBinary(16), nullable=False),
)
"""Free ranges in the pools of a subnet; 4 or 16 bytes, which sort like the addresses."""

routers = Table(
    "routers",
    METADATA,
    *identity(),
    *described(),
    Column("admin_state_up", Boolean, nullable=False),
    Column("status", String(16), nullable=False),
    json_column("routes"),
    Column("enable_snat", Boolean, nullable=False),
    json_column("availability_zone_hints"),
    *revised(),
    *listed("routers"),
)

security_groups = Table(
    "security_groups",
    METADATA,
    *identity(),
    *described(),
    Column("stateful", Boolean, nullable=False),
    Column("is_default", Boolean, nullable=False),
    *revised(),
    *listed("security_groups"),
    Index(
        "uq_security_groups_default",
        "project_id",
        unique=True,
        sqlite_where=text("is_default"),
        postgresql_where=text("is_default"),
    ),
)

security_group_rules = Table(
    "security_group_rules",
    METADATA,
    *identity(),
    Column("security_group_id", ID, ForeignKey("security_groups.id"), nullable=False, index=True),
    Column("project_id", NAME, nullable=False),
    Column("description", NAME, nullable=False),
    Column("direction", String(8), nullable=False),
    Column("ethertype", String(8), nullable=False),
    Column("protocol", String(40)),
    Column("port_range_min", Integer),
    Column("port_range_max", Integer),
    Column("remote_ip_prefix", String(49)),
    Column("remote_group_id", ID, ForeignKey("security_groups.id"), index=True),
    Column("remote_address_group_id", ID, index=True),
    *revised(),
    Index("ix_security_group_rules_project_id_born", "project_id", BORN),
)

port_security_groups = Table(
    "port_security_groups",
    METADATA,
    Column("port_id", ID, ForeignKey("ports.id", ondelete="CASCADE"), primary_key=True),
    Column("security_group_id", ID, ForeignKey("security_groups.id"), primary_key=True),
    Index("ix_port_security_groups_security_group_id", "security_group_id"),
)
"""The inverse of the ports' security_groups, for look-ups by group."""

tags = Table(
    "tags",
    METADATA,
    Column("object_id", ID, primary_key=True),
    Column("tag", NAME, primary_key=True),
    Index("ix_tags_tag", "tag"),
)

quotas = Table(
    "quotas",
    METADATA,
    Column("project_id", NAME, primary_key=True),
    Column("resource", String(32), primary_key=True),
    Column("maximum", BigInteger, nullable=False),
)
"""The limits that differ from the options' defaults; -1 means unlimited."""

instances = Table(
    "instances",
    METADATA,
    *identity(),
    Column("name", NAME, nullable=False),
    Column("number", BigInteger, nullable=False, unique=True),
    Column("project_id", NAME, nullable=False),
    Column("user_data", LargeBinary),
    json_column("keypairs"),
    json_column("metadata"),
    Column("availability_zone", NAME, nullable=False),
    Column("flavor", NAME, nullable=False),
    Column("image", NAME, nullable=False),
    Column("flavor_id", NAME, nullable=False),
    Column("image_id", NAME, nullable=False),
    Column("description", NAME, nullable=False),
    Column("launch_index", Integer, nullable=False),
    json_column("files"),
    json_column("nic_tags"),
    json_column("metadata_options"),
    Column("password", Text, nullable=False),
    json_column("guest_attributes"),
    json_column("events"),
    *revised(),
    *listed("instances"),
)

flavors = Table(
    "flavors",
    METADATA,
    *identity(String(64)),
    Column("name", NAME, nullable=False, unique=True),
    Column("vcpus", Integer, nullable=False),
    Column("ram", Integer, nullable=False),
    Column("disk", Integer, nullable=False),
    Column("ephemeral", Integer, nullable=False),
    Column("swap", Integer, nullable=False),
    Column("is_public", Boolean, nullable=False),
    Column("description", NAME, nullable=False),
    json_column("extra_specs"),
    *revised(),
)

images = Table(
    "images",
    METADATA,
    *identity(),
    Column("project_id", NAME, nullable=False, index=True),
    Column("name", NAME, nullable=False, index=True),
    Column("visibility", String(16), nullable=False),
    Column("disk_format", String(16), nullable=False),
    Column("container_format", String(16), nullable=False),
    Column("min_disk", Integer, nullable=False),
    Column("min_ram", Integer, nullable=False),
    Column("protected", Boolean, nullable=False),
    json_column("tags"),
    json_column("properties"),
    *revised(),
)

keypairs = Table(
    "keypairs",
    METADATA,
    *identity(),
    Column("project_id", NAME, nullable=False, index=True),
    Column("name", NAME, nullable=False),
    Column("public_key", Text, nullable=False),
    Column("type", String(8), nullable=False),
    *revised(),
    UniqueConstraint("project_id", "name"),
)

instance_ports = Table(
    "instance_ports",
    METADATA,
    Column("port_id", ID, ForeignKey("ports.id", ondelete="CASCADE"), primary_key=True),
    Column("instance_id", ID, nullable=False, index=True),
)
"""The ports that were created with an instance and are deleted with it."""

agents = Table(
    "agents",
    METADATA,
    *identity(),
    Column("agent_type", NAME, nullable=False),
    Column("binary", NAME, nullable=False),
    Column("host", NAME, nullable=False),
    Column("topic", NAME, nullable=False),
    Column("admin_state_up", Boolean, nullable=False),
    Column("description", NAME, nullable=False),
    Column("availability_zone", NAME, nullable=False),
    json_column("configurations"),
    Column("created_at", TIME, nullable=False),
    Column("started_at", TIME, nullable=False),
    Column("heartbeat_timestamp", TIME, nullable=False),
    UniqueConstraint("agent_type", "host"),
)

bindings = Table(
    "bindings",
    METADATA,
    *identity(String(80)),
    Column("kind", String(8), nullable=False),
    Column("agent_id", ID, ForeignKey("agents.id"), nullable=False, index=True),
    Column("host", NAME, nullable=False, index=True),
    Column("resource_id", ID, nullable=False, index=True),
)

change_log = Table(
    "change_log",
    METADATA,
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(32), nullable=False),
    Column("object_id", String(80), nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("before", JSON(none_as_null=True)),
)

counters = Table(
    "counters",
    METADATA,
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""The `revision` of the change log, and `instance` numbers. Every write locks the row of
`revision` first and until its commit (change_log.py)."""

TABLES: dict[str, Table] = {
    "network": networks,
    "subnet": subnets,
    "port": ports,
    "router": routers,
    "security_group": security_groups,
    "security_group_rule": security_group_rules,
    "instance": instances,
    "agent": agents,
    "binding": bindings,
    "flavor": flavors,
    "image": images,
    "keypair": keypairs,
    "address_scope": address_scopes,
    "subnetpool": subnetpools,
    "floatingip": floatingips,
    "rbac_policy": rbac_policies,
    "address_group": address_groups,
}
"""The table of each kind of model.resources.KINDS."""
