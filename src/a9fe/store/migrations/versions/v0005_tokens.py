"""API tokens; in the change log, where a port or binding was before a change."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the table, the column, the index."""
    name = sa.String(length=255)
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("project_id", name, nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("host", name, nullable=False),
        sa.Column("description", name, nullable=False),
        sa.Column("created_at", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
    )
    op.add_column("change_log", sa.Column("before", sa.JSON()))
    op.create_index("ix_bindings_host", "bindings", ["host"])


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_bindings_host", "bindings")
    with op.batch_alter_table("change_log") as batch:
        batch.drop_column("before")
    op.drop_table("tokens")
