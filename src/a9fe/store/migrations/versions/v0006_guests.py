"""Metadata options, data written by guests, identity keys, counts of requests by instance."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

JSON_OF_INSTANCES = {
    "files": "[]",
    "nic_tags": "{}",
    "metadata_options": "{}",
    "guest_attributes": "{}",
    "events": "[]",
}


def upgrade() -> None:
    """Add the columns, make the tables."""
    for name, empty in JSON_OF_INSTANCES.items():
        column = sa.Column(name, sa.JSON(), nullable=False, server_default=empty)
        op.add_column("instances", column)
    password = sa.Column("password", sa.Text(), nullable=False, server_default="")
    op.add_column("instances", password)
    op.create_table(
        "identity_keys",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("jwk", sa.JSON(), nullable=False),
        sa.Column("certificate", sa.Text(), nullable=False),
        sa.Column("created_at", sa.String(length=20), nullable=False),
        sa.Column("expires_at", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_identity_keys"),
    )
    op.create_table(
        "imds_usage",
        sa.Column("instance_id", sa.String(length=36), nullable=False),
        sa.Column("v1_requests", sa.BigInteger(), nullable=False),
        sa.Column("v2_requests", sa.BigInteger(), nullable=False),
        sa.Column("v1_last_at", sa.String(length=20), nullable=False),
        sa.Column("v2_last_at", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("instance_id", name="pk_imds_usage"),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("imds_usage")
    op.drop_table("identity_keys")
    for name in ("password", *JSON_OF_INSTANCES):
        op.drop_column("instances", name)
