"""Subnet pools, address scopes, floating IPs; service types of subnets."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

ID = sa.String(length=36)
NAME = sa.String(length=255)
TIME = sa.String(length=20)
ADDRESS = sa.String(length=45)


def upgrade() -> None:
    """Make the tables, add the columns."""
    _address_scopes()
    _subnetpools()
    _floatingips()
    types = sa.Column("service_types", sa.JSON(), nullable=False, server_default="[]")
    op.add_column("subnets", types)
    op.add_column("subnets", sa.Column("subnetpool_id", ID))
    op.create_index("ix_subnets_subnetpool_id", "subnets", ["subnetpool_id"])


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_subnets_subnetpool_id", "subnets")
    op.drop_column("subnets", "subnetpool_id")
    op.drop_column("subnets", "service_types")
    for table in ("floatingips", "subnetpools", "address_scopes"):
        op.drop_table(table)


def _first() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("id", ID, nullable=False),
        sa.Column("born", sa.BigInteger(), nullable=False),
        sa.Column("project_id", NAME, nullable=False),
    )


def _last(table: str) -> tuple[Any, ...]:
    return (
        sa.Column("revision_number", sa.BigInteger(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
    )


def _reference(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=f"fk_{table}_{column}")


def _listed(table: str) -> None:
    op.create_index(f"ix_{table}_born", table, ["born"])
    op.create_index(f"ix_{table}_project_id_born", table, ["project_id", "born"])
    op.create_index(f"ix_{table}_name_born", table, ["name", "born"])
    op.create_index(f"ix_{table}_lower_name", table, [sa.text("lower(name)"), "born"])


def _address_scopes() -> None:
    op.create_table(
        "address_scopes",
        *_first(),
        sa.Column("name", NAME, nullable=False),
        sa.Column("ip_version", sa.Integer(), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        *_last("address_scopes"),
    )
    _listed("address_scopes")


def _subnetpools() -> None:
    op.create_table(
        "subnetpools",
        *_first(),
        sa.Column("name", NAME, nullable=False),
        sa.Column("description", NAME, nullable=False),
        sa.Column("prefixes", sa.JSON(), nullable=False),
        sa.Column("ip_version", sa.Integer(), nullable=False),
        sa.Column("min_prefixlen", sa.Integer(), nullable=False),
        sa.Column("max_prefixlen", sa.Integer(), nullable=False),
        sa.Column("default_prefixlen", sa.Integer(), nullable=False),
        sa.Column("default_quota", sa.Integer()),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("address_scope_id", ID),
        *_last("subnetpools"),
        _reference("subnetpools", "address_scope_id", "address_scopes"),
    )
    _listed("subnetpools")
    op.create_index("ix_subnetpools_address_scope_id", "subnetpools", ["address_scope_id"])


def _floatingips() -> None:
    table = "floatingips"
    op.create_table(
        table,
        *_first(),
        sa.Column("description", NAME, nullable=False),
        sa.Column("floating_network_id", ID, nullable=False),
        sa.Column("floating_ip_address", ADDRESS, nullable=False),
        sa.Column("floating_port_id", ID, nullable=False),
        sa.Column("port_id", ID),
        sa.Column("fixed_ip_address", ADDRESS),
        sa.Column("router_id", ID),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("dns_name", NAME, nullable=False),
        sa.Column("dns_domain", NAME, nullable=False),
        *_last(table),
        _reference(table, "floating_network_id", "networks"),
    )
    op.create_index(f"ix_{table}_project_id_born", table, ["project_id", "born"])
    indexed = ("floating_network_id", "floating_ip_address", "floating_port_id", "port_id")
    for column in ("born", *indexed, "router_id"):
        op.create_index(f"ix_{table}_{column}", table, [column])
