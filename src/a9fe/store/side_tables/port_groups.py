"""The table port_security_groups: the inverse of ports' security_groups, for look-ups by group."""

from sqlalchemy import Connection, bindparam, delete, insert

from a9fe.model.resources import Port
from a9fe.store.schema.tables import port_security_groups

_JOIN = insert(port_security_groups)
_LEAVE = delete(port_security_groups).where(port_security_groups.c.port_id == bindparam("of_port"))


def write_groups(connection: Connection, port: Port, old: Port | None = None) -> None:
    """Write a port's rows after its insert or, with `old`, its update."""
    if old is not None and old.security_groups == port.security_groups:
        return
    if old is not None:
        connection.execute(_LEAVE, {"of_port": port.id})
    groups = dict.fromkeys(port.security_groups)
    rows = [{"port_id": port.id, "security_group_id": group} for group in groups]
    if rows:
        connection.execute(_JOIN, rows)
