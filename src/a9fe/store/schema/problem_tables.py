"""Tables of what agents report beside the model. They are not in the change log."""

from sqlalchemy import Column, ForeignKey, String, Table

from a9fe.model.problems import REASON_MAX
from a9fe.store.schema.columns import ID, METADATA, NAME, TIME

problems = Table(
    "problems",
    METADATA,
    Column("agent_id", ID, ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("resource_id", ID, primary_key=True, index=True),
    Column("reason", String(REASON_MAX), nullable=False),
    Column("since", TIME, nullable=False),
)
"""One row for each agent and resource. `resource_id` of kind "agent" is the agent's id."""

wired_ports = Table(
    "wired_ports",
    METADATA,
    Column("port_id", ID, ForeignKey("ports.id", ondelete="CASCADE"), primary_key=True),
    Column("host", NAME, nullable=False),
)
"""The host that reported a port without binding:host_id as ACTIVE."""
