"""The tables, one for each kind of resource, with the names of the model's fields.

Lists and dictionaries without a life of their own are JSON columns; addresses are rows of their
own, since their uniqueness is the database's to keep. migrations/ must make the same schema; a
test compares them.
"""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

ID = String(36)
NAME = String(255)
TIME = String(20)
ADDRESS = String(45)


BORN = "born"
"""Not the model's: the revision of a resource's creation, by which lists are ordered."""


def _id(of: String = ID) -> list[Column[Any]]:
    return [
        Column("id", of, primary_key=True),
        Column(BORN, BigInteger, nullable=False, index=True),
    ]


def _described() -> list[Column[Any]]:
    return [
        Column("project_id", NAME, nullable=False, index=True),
        Column("name", NAME, nullable=False, index=True),
        Column("description", NAME, nullable=False),
    ]


def _revised() -> list[Column[Any]]:
    return [
        Column("revision_number", BigInteger, nullable=False),
        Column("created_at", TIME, nullable=False),
        Column("updated_at", TIME, nullable=False),
    ]


def _json(name: str) -> Column[Any]:
    return Column(name, JSON, nullable=False)


networks = Table(
    "networks",
    METADATA,
    *_id(),
    *_described(),
    Column("admin_state_up", Boolean, nullable=False),
    Column("shared", Boolean, nullable=False),
    Column("external", Boolean, nullable=False),
    Column("mtu", Integer, nullable=False),
    Column("port_security_enabled", Boolean, nullable=False),
    *_revised(),
)

subnets = Table(
    "subnets",
    METADATA,
    *_id(),
    Column("network_id", ID, ForeignKey("networks.id"), nullable=False, index=True),
    Column("cidr", String(49), nullable=False),
    *_described(),
    Column("ip_version", Integer, nullable=False),
    Column("gateway_ip", ADDRESS),
    _json("allocation_pools"),
    _json("dns_nameservers"),
    _json("host_routes"),
    Column("enable_dhcp", Boolean, nullable=False),
    Column("ipv6_ra_mode", String(16)),
    Column("ipv6_address_mode", String(16)),
    *_revised(),
)

ports = Table(
    "ports",
    METADATA,
    *_id(),
    Column("network_id", ID, ForeignKey("networks.id"), nullable=False),
    Column("mac_address", String(17), nullable=False),
    *_described(),
    Column("admin_state_up", Boolean, nullable=False),
    Column("status", String(16), nullable=False),
    Column("device_id", NAME, nullable=False, index=True),
    Column("device_owner", NAME, nullable=False),
    _json("security_groups"),
    Column("port_security_enabled", Boolean, nullable=False),
    _json("allowed_address_pairs"),
    _json("extra_dhcp_opts"),
    Column("host", NAME, nullable=False),
    Column("vnic_type", String(32), nullable=False),
    *_revised(),
    UniqueConstraint("network_id", "mac_address"),
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

routers = Table(
    "routers",
    METADATA,
    *_id(),
    *_described(),
    Column("admin_state_up", Boolean, nullable=False),
    Column("status", String(16), nullable=False),
    _json("routes"),
    *_revised(),
)

instances = Table(
    "instances",
    METADATA,
    *_id(),
    Column("name", NAME, nullable=False, index=True),
    Column("number", BigInteger, nullable=False, unique=True),
    Column("project_id", NAME, nullable=False, index=True),
    Column("user_data", LargeBinary),
    _json("keypairs"),
    _json("metadata"),
    Column("availability_zone", NAME, nullable=False),
    Column("flavor", NAME, nullable=False),
    Column("image", NAME, nullable=False),
    Column("launch_index", Integer, nullable=False),
    *_revised(),
)

instance_ports = Table(
    "instance_ports",
    METADATA,
    Column("port_id", ID, ForeignKey("ports.id", ondelete="CASCADE"), primary_key=True),
    Column("instance_id", ID, nullable=False, index=True),
)
"""The ports that were made with an instance, and so are deleted with it."""

agents = Table(
    "agents",
    METADATA,
    *_id(),
    Column("agent_type", NAME, nullable=False),
    Column("binary", NAME, nullable=False),
    Column("host", NAME, nullable=False),
    Column("topic", NAME, nullable=False),
    Column("admin_state_up", Boolean, nullable=False),
    Column("description", NAME, nullable=False),
    Column("availability_zone", NAME, nullable=False),
    _json("configurations"),
    Column("created_at", TIME, nullable=False),
    Column("started_at", TIME, nullable=False),
    Column("heartbeat_timestamp", TIME, nullable=False),
    UniqueConstraint("agent_type", "host"),
)

bindings = Table(
    "bindings",
    METADATA,
    *_id(String(80)),
    Column("kind", String(8), nullable=False),
    Column("agent_id", ID, ForeignKey("agents.id"), nullable=False, index=True),
    Column("host", NAME, nullable=False),
    Column("resource_id", ID, nullable=False, index=True),
)

change_log = Table(
    "change_log",
    METADATA,
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(16), nullable=False),
    Column("object_id", String(80), nullable=False),
    Column("deleted", Boolean, nullable=False),
)

counters = Table(
    "counters",
    METADATA,
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""`revision` of the change log and `instance` numbers. Incrementing one locks its row until the
commit, so that revisions are seen in order, also where writers run side by side (PostgreSQL)."""

TABLES: dict[str, Table] = {
    "network": networks,
    "subnet": subnets,
    "port": ports,
    "router": routers,
    "instance": instances,
    "agent": agents,
    "binding": bindings,
}
"""The table of each kind of model.resources.KINDS."""
