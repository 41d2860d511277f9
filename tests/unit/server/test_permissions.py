"""What the attribute tables say is for admins; policy asks nobody else."""

import pytest

from a9fe.api_tables.admin_attributes import ADMIN_ATTRIBUTES, TABLES
from a9fe.model.policy import Marks
from a9fe.operations.collections import COLLECTIONS

PLACE = {"provider:network_type", "provider:physical_network", "provider:segmentation_id"}
BOUND = {"binding:host_id", "binding:profile"}
SHAPE = {"distributed", "ha"}

# what only admins set, what a member may choose on create alone, what only admins see
FOR_ADMINS: dict[str, tuple[set[str], set[str], set[str]]] = {
    "network": ({"shared", "router:external", "is_default", *PLACE}, set(), PLACE),
    "port": (BOUND, {"mac_address"}, {*BOUND, "binding:vif_type", "binding:vif_details"}),
    "router": (SHAPE, set(), SHAPE),
    "instance": ({"host"}, set(), set()),
    "subnetpool": ({"shared", "is_default"}, set(), set()),
    "address_scope": ({"shared"}, set(), set()),
    "floatingip": ({"floating_ip_address"}, set(), set()),
    "agent": (set(), {"admin_state_up", "description"}, set()),
}


@pytest.mark.parametrize("kind", sorted(ADMIN_ATTRIBUTES))
def test_what_is_for_admins(kind: str):
    sets, changes, sees = FOR_ADMINS.get(kind, (set(), set(), set()))
    expected = Marks(sets=frozenset(sets), changes=frozenset(changes), sees=frozenset(sees))
    assert ADMIN_ATTRIBUTES[kind] == expected


def test_every_table_is_asked():
    used = {c.table.kind for c in COLLECTIONS.values()}
    assert used == ADMIN_ATTRIBUTES.keys()
    made = {id(c.create_table) for c in COLLECTIONS.values() if c.create_table}
    assert made <= {id(table) for table in TABLES}
