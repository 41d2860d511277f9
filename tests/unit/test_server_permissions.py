"""The attribute tables and the policy say the same of who may set and see what."""

import pytest

from a9fe.model import policy
from a9fe.server import tables
from a9fe.server.attributes import AttributeTable


@pytest.mark.parametrize("table", [tables.NETWORK, tables.SUBNET, tables.PORT, tables.ROUTER])
def test_tables_and_policy_agree(table: AttributeTable):
    admins = {a.name for a in table.attributes if a.create == "admin"}
    assert admins == policy.ADMIN_SETS.get(table.kind, frozenset())
    hidden = {a.name for a in table.attributes if a.see == "admin"}
    assert hidden == policy.ADMIN_SEES.get(table.kind, frozenset())
    later = {a.name for a in table.attributes if a.update == "admin" and a.create == "member"}
    assert later == policy.ADMIN_UPDATES.get(table.kind, frozenset())
