"""Problems that agents report of resources; the hosts of wired ports that are bound to none."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

ID = sa.String(length=36)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "problems",
        sa.Column("agent_id", ID, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("resource_id", ID, nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("since", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("agent_id", "kind", "resource_id", name="pk_problems"),
        sa.ForeignKeyConstraint(
            ["agent_id"], ["agents.id"], name="fk_problems_agent_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_problems_resource_id", "problems", ["resource_id"])
    op.create_table(
        "wired_ports",
        sa.Column("port_id", ID, nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("port_id", name="pk_wired_ports"),
        sa.ForeignKeyConstraint(
            ["port_id"], ["ports.id"], name="fk_wired_ports_port_id", ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("wired_ports")
    op.drop_table("problems")
