"""Neutron's other attributes: security groups, tags, quotas, provider networks, and the indexes
by which filtered and sorted lists are read a page at a time.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

NAMED = ("networks", "subnets", "ports", "routers", "instances")
ID = sa.String(length=36)
NAME = sa.String(length=255)
TIME = sa.String(length=20)


def upgrade() -> None:
    """Add columns, tables and indexes."""
    _attributes()
    _security_groups()
    _security_group_rules()
    _port_security_groups()
    _tags()
    _quotas()
    _indexes()
    with op.batch_alter_table("change_log") as batch:
        batch.alter_column("kind", type_=sa.String(length=32), existing_nullable=False)


def downgrade() -> None:
    """Drop them."""
    for name in (
        "mac_address",
        "lower_status",
        "lower_device_owner",
        "host_born",
        "network_id_born",
    ):
        op.drop_index(f"ix_ports_{name}", "ports")
    for table in NAMED:
        for name in ("lower_name", "name_born", "project_id_born"):
            op.drop_index(f"ix_{table}_{name}", table)
        for name in ("name", "project_id"):
            op.create_index(f"ix_{table}_{name}", table, [name])
    new = ("quotas", "tags", "port_security_groups", "security_group_rules", "security_groups")
    for table in new:
        op.drop_table(table)
    for table, columns in _columns().items():
        with op.batch_alter_table(table) as batch:
            for column in columns:
                batch.drop_column(column.name)


def _text(name: str, value: str) -> sa.Column[Any]:
    return sa.Column(name, NAME, nullable=False, server_default=value)


def _boolean(name: str, *, value: bool) -> sa.Column[Any]:
    default = sa.true() if value else sa.false()
    return sa.Column(name, sa.Boolean(), nullable=False, server_default=default)


def _json(name: str, value: str) -> sa.Column[Any]:
    return sa.Column(name, sa.JSON(), nullable=False, server_default=value)


def _columns() -> dict[str, tuple[sa.Column[Any], ...]]:
    kind = sa.Column("network_type", sa.String(16), nullable=False, server_default="local")
    return {
        "networks": (
            kind,
            sa.Column("physical_network", NAME),
            sa.Column("segmentation_id", sa.BigInteger()),
            _boolean("is_default", value=False),
            _text("dns_domain", ""),
            _json("availability_zone_hints", "[]"),
        ),
        "ports": (_json("profile", "{}"), _text("dns_name", "")),
        "routers": (_boolean("enable_snat", value=True), _json("availability_zone_hints", "[]")),
    }


def _attributes() -> None:
    for table, columns in _columns().items():
        for column in columns:
            op.add_column(table, column)


def _revised() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("revision_number", sa.BigInteger(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
    )


def _security_groups() -> None:
    op.create_table(
        "security_groups",
        sa.Column("id", ID, nullable=False),
        sa.Column("born", sa.BigInteger(), nullable=False),
        sa.Column("project_id", NAME, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("description", NAME, nullable=False),
        sa.Column("stateful", sa.Boolean(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        *_revised(),
        sa.PrimaryKeyConstraint("id", name="pk_security_groups"),
    )
    op.create_index("ix_security_groups_born", "security_groups", ["born"])
    op.create_index(
        "uq_security_groups_default",
        "security_groups",
        ["project_id"],
        unique=True,
        sqlite_where=sa.text("is_default"),
        postgresql_where=sa.text("is_default"),
    )
    _listed("security_groups")


def _security_group_rules() -> None:
    table = "security_group_rules"
    op.create_table(
        table,
        sa.Column("id", ID, nullable=False),
        sa.Column("born", sa.BigInteger(), nullable=False),
        sa.Column("security_group_id", ID, nullable=False),
        sa.Column("project_id", NAME, nullable=False),
        sa.Column("description", NAME, nullable=False),
        sa.Column("direction", sa.String(8), nullable=False),
        sa.Column("ethertype", sa.String(8), nullable=False),
        sa.Column("protocol", sa.String(40)),
        sa.Column("port_range_min", sa.Integer()),
        sa.Column("port_range_max", sa.Integer()),
        sa.Column("remote_ip_prefix", sa.String(49)),
        sa.Column("remote_group_id", ID),
        *_revised(),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        *(
            sa.ForeignKeyConstraint([c], ["security_groups.id"], name=f"fk_{table}_{c}")
            for c in ("security_group_id", "remote_group_id")
        ),
    )
    for column in ("born", "security_group_id", "remote_group_id"):
        op.create_index(f"ix_{table}_{column}", table, [column])
    op.create_index(f"ix_{table}_project_id_born", table, ["project_id", "born"])


def _port_security_groups() -> None:
    table = "port_security_groups"
    port, group = "port_id", "security_group_id"
    op.create_table(
        table,
        sa.Column(port, ID, nullable=False),
        sa.Column(group, ID, nullable=False),
        sa.PrimaryKeyConstraint(port, group, name=f"pk_{table}"),
        sa.ForeignKeyConstraint(
            [port], ["ports.id"], name=f"fk_{table}_{port}", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint([group], ["security_groups.id"], name=f"fk_{table}_{group}"),
    )
    op.create_index(f"ix_{table}_{group}", table, [group])


def _tags() -> None:
    op.create_table(
        "tags",
        sa.Column("object_id", ID, nullable=False),
        sa.Column("tag", NAME, nullable=False),
        sa.PrimaryKeyConstraint("object_id", "tag", name="pk_tags"),
    )
    op.create_index("ix_tags_tag", "tags", ["tag"])


def _quotas() -> None:
    op.create_table(
        "quotas",
        sa.Column("project_id", NAME, nullable=False),
        sa.Column("resource", sa.String(32), nullable=False),
        sa.Column("maximum", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "resource", name="pk_quotas"),
    )


def _listed(table: str) -> None:
    op.create_index(f"ix_{table}_project_id_born", table, ["project_id", "born"])
    op.create_index(f"ix_{table}_name_born", table, ["name", "born"])
    op.create_index(f"ix_{table}_lower_name", table, [sa.text("lower(name)"), "born"])


def _indexes() -> None:
    for table in NAMED:
        for name in ("name", "project_id"):
            op.drop_index(f"ix_{table}_{name}", table)
        _listed(table)
    for name in ("network_id", "host"):
        op.create_index(f"ix_ports_{name}_born", "ports", [name, "born"])
    for name in ("device_owner", "status"):
        op.create_index(f"ix_ports_lower_{name}", "ports", [sa.text(f"lower({name})"), "born"])
    op.create_index("ix_ports_mac_address", "ports", ["mac_address"])
