"""The attributes of each kind that only admins may set, change or see, from the tables."""

from collections.abc import Iterable, Mapping

from a9fe.api_tables import group_tables, instance_tables, pool_tables, record_tables
from a9fe.api_tables import neutron_tables as tables
from a9fe.api_tables.attributes import AttributeTable
from a9fe.model.policy import Marks

TABLES: tuple[AttributeTable, ...] = (
    tables.NETWORK,
    tables.SUBNET,
    tables.PORT,
    tables.ROUTER,
    tables.AGENT,
    instance_tables.INSTANCE,
    instance_tables.INSTANCE_REQUEST,
    group_tables.SECURITY_GROUP,
    group_tables.SECURITY_GROUP_RULE,
    pool_tables.SUBNETPOOL,
    pool_tables.ADDRESS_SCOPE,
    pool_tables.FLOATINGIP,
    pool_tables.RBAC_POLICY,
    pool_tables.ADDRESS_GROUP,
    record_tables.FLAVOR,
    record_tables.IMAGE,
    record_tables.KEYPAIR,
)


def _of_tables(tables: Iterable[AttributeTable]) -> Marks:
    """Return the admins' attributes in the tables of one kind."""
    attributes = [attribute for table in tables for attribute in table.attributes]
    sets = frozenset(a.name for a in attributes if a.create == "admin")
    return Marks(
        sets=sets,
        changes=frozenset(a.name for a in attributes if a.update == "admin") - sets,
        sees=frozenset(a.name for a in attributes if a.see == "admin"),
    )


ADMIN_ATTRIBUTES: Mapping[str, Marks] = {
    kind: _of_tables(table for table in TABLES if table.kind == kind)
    for kind in {table.kind for table in TABLES}
}
"""The admins' attributes, by kind."""
