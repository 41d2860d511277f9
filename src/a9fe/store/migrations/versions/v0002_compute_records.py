"""Flavors, images and key pairs, and the columns of instances that refer to them.

The five flavors are those that Nova had for years; they may be deleted.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

NEW_OF_INSTANCES = ("flavor_id", "image_id", "description")

# Id, name, vcpus, MiB of RAM, GiB of disk.
FLAVORS = (
    ("1", "m1.tiny", 1, 512, 1),
    ("2", "m1.small", 1, 2048, 20),
    ("3", "m1.medium", 2, 4096, 40),
    ("4", "m1.large", 4, 8192, 80),
    ("5", "m1.xlarge", 8, 16384, 160),
)
MADE_AT = "2026-11-22T00:00:00Z"


def upgrade() -> None:
    """Make the tables and the flavors."""
    for name in NEW_OF_INSTANCES:
        column = sa.Column(name, sa.String(length=255), nullable=False, server_default="")
        op.add_column("instances", column)
    flavors = _flavors()
    _images()
    _keypairs()
    _add_flavors(flavors)


def downgrade() -> None:
    """Drop them."""
    for table in ("keypairs", "images", "flavors"):
        op.drop_table(table)
    for name in NEW_OF_INSTANCES:
        op.drop_column("instances", name)


def _flavors() -> sa.Table:
    table = op.create_table(
        "flavors",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("born", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.Column("ram", sa.Integer(), nullable=False),
        sa.Column("disk", sa.Integer(), nullable=False),
        sa.Column("ephemeral", sa.Integer(), nullable=False),
        sa.Column("swap", sa.Integer(), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("extra_specs", sa.JSON(), nullable=False),
        *_revised(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flavors")),
        sa.UniqueConstraint("name", name=op.f("uq_flavors_name")),
    )
    op.create_index(op.f("ix_flavors_born"), "flavors", ["born"], unique=False)
    return table


def _images() -> None:
    op.create_table(
        "images",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("born", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("visibility", sa.String(length=16), nullable=False),
        sa.Column("disk_format", sa.String(length=16), nullable=False),
        sa.Column("container_format", sa.String(length=16), nullable=False),
        sa.Column("min_disk", sa.Integer(), nullable=False),
        sa.Column("min_ram", sa.Integer(), nullable=False),
        sa.Column("protected", sa.Boolean(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("properties", sa.JSON(), nullable=False),
        *_revised(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_images")),
    )
    for column in ("born", "name", "project_id"):
        op.create_index(op.f(f"ix_images_{column}"), "images", [column], unique=False)


def _keypairs() -> None:
    op.create_table(
        "keypairs",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("born", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("type", sa.String(length=8), nullable=False),
        *_revised(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_keypairs")),
        sa.UniqueConstraint("project_id", "name", name=op.f("uq_keypairs_project_id_name")),
    )
    for column in ("born", "project_id"):
        op.create_index(op.f(f"ix_keypairs_{column}"), "keypairs", [column], unique=False)


def _revised() -> list[sa.Column[object]]:
    return [
        sa.Column("revision_number", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.String(length=20), nullable=False),
        sa.Column("updated_at", sa.String(length=20), nullable=False),
    ]


def _add_flavors(flavors: sa.Table) -> None:
    kept = {"ephemeral": 0, "swap": 0, "is_public": True, "description": "", "extra_specs": {}}
    stamps = {"revision_number": 1, "created_at": MADE_AT, "updated_at": MADE_AT}
    columns = ("id", "name", "vcpus", "ram", "disk")
    rows = [
        {**dict(zip(columns, flavor, strict=True)), "born": born, **kept, **stamps}
        for born, flavor in enumerate(FLAVORS, 1)
    ]
    op.bulk_insert(flavors, rows)
