"""RBAC policies of networks: those that are shared or external have one for everyone. Address
groups, which rules of security groups name.
"""

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

ID = sa.String(length=36)
NAME = sa.String(length=255)
TIME = sa.String(length=20)
ACTIONS = {"shared": "access_as_shared", "external": "access_as_external"}


def upgrade() -> None:
    """Make the table, fill it from the networks."""
    made = op.create_table(
        "rbac_policies",
        sa.Column("id", ID, nullable=False),
        sa.Column("born", sa.BigInteger(), nullable=False),
        sa.Column("project_id", NAME, nullable=False),
        sa.Column("object_type", sa.String(length=32), nullable=False),
        sa.Column("object_id", ID, nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("target_project", NAME, nullable=False),
        sa.Column("revision_number", sa.BigInteger(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rbac_policies"),
        sa.UniqueConstraint(
            "object_id",
            "action",
            "target_project",
            name="uq_rbac_policies_object_id_action_target_project",
        ),
    )
    op.create_index("ix_rbac_policies_born", "rbac_policies", ["born"])
    op.create_index("ix_rbac_policies_project_id_born", "rbac_policies", ["project_id", "born"])
    op.create_index("ix_rbac_policies_target_project", "rbac_policies", ["target_project"])
    narrow: sa.Column[bool] = sa.Column(
        "external_to_some", sa.Boolean(), nullable=False, server_default=sa.false()
    )
    op.add_column("networks", narrow)
    _fill(made)
    _address_groups()


def _address_groups() -> None:
    table, rules = "address_groups", "security_group_rules"
    op.create_table(
        table,
        sa.Column("id", ID, nullable=False),
        sa.Column("born", sa.BigInteger(), nullable=False),
        sa.Column("project_id", NAME, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("description", NAME, nullable=False),
        sa.Column("addresses", sa.JSON(), nullable=False),
        sa.Column("revision_number", sa.BigInteger(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_address_groups"),
    )
    op.create_index(f"ix_{table}_born", table, ["born"])
    op.create_index(f"ix_{table}_project_id_born", table, ["project_id", "born"])
    op.create_index(f"ix_{table}_name_born", table, ["name", "born"])
    op.create_index(f"ix_{table}_lower_name", table, [sa.text("lower(name)"), "born"])
    op.add_column(rules, sa.Column("remote_address_group_id", ID))
    op.create_index(f"ix_{rules}_remote_address_group_id", rules, ["remote_address_group_id"])


def _fill(policies: sa.Table) -> None:
    names = ("id", "born", "project_id", "shared", "external", "created_at")
    networks = sa.table("networks", *(sa.column(name) for name in names))
    connection = op.get_bind()
    rows = [
        {
            "id": str(uuid.uuid4()),
            "born": network.born,
            "project_id": network.project_id,
            "object_type": "network",
            "object_id": network.id,
            "action": action,
            "target_project": "*",
            "revision_number": 1,
            "created_at": network.created_at,
            "updated_at": network.created_at,
        }
        for network in connection.execute(sa.select(networks))
        for name, action in ACTIONS.items()
        if getattr(network, name)
    ]
    if rows:
        connection.execute(sa.insert(policies), rows)


def downgrade() -> None:
    """Drop it."""
    rules = "security_group_rules"
    op.drop_index(f"ix_{rules}_remote_address_group_id", rules)
    op.drop_column(rules, "remote_address_group_id")
    op.drop_table("address_groups")
    op.drop_column("networks", "external_to_some")
    op.drop_table("rbac_policies")
