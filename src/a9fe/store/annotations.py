"""What is kept about resources beside them: tags, quotas of projects, who is in a group."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from a9fe.model.resources import Port
from a9fe.store.schema.tables import TABLES, port_security_groups, quotas, tags

IN_CHUNK = 500

_TAGS = select(tags.c.object_id, tags.c.tag).order_by(tags.c.tag)
_TAGS_OF_ONE = _TAGS.where(tags.c.object_id == bindparam("of_id"))
_TAGS_OF = _TAGS.where(tags.c.object_id.in_(bindparam("ids", expanding=True)))
_UNTAG = delete(tags).where(tags.c.object_id == bindparam("of_id"))
_TAG = insert(tags)
_QUOTAS = select(quotas).where(quotas.c.project_id == bindparam("of_project"))
_JOIN = insert(port_security_groups)
_LEAVE = delete(port_security_groups).where(port_security_groups.c.port_id == bindparam("of_port"))


class Tags:
    """Tags of resources by the resources' ids."""

    def __init__(self, connection: Connection) -> None:
        """Of the session's transaction."""
        self._connection = connection

    def of(self, ids: Iterable[str]) -> Mapping[str, list[str]]:
        """The tags of each, in order; an id without any has none."""
        found: dict[str, list[str]] = defaultdict(list)
        wanted = list(ids)
        for start in range(0, len(wanted), IN_CHUNK):
            chunk = wanted[start : start + IN_CHUNK]
            if len(chunk) == 1:
                rows = self._connection.execute(_TAGS_OF_ONE, {"of_id": chunk[0]})
            else:
                rows = self._connection.execute(_TAGS_OF, {"ids": chunk})
            for object_id, tag in rows:
                found[object_id].append(tag)
        return found

    def replace(self, id: str, wanted: Iterable[str]) -> None:
        """Let a resource have these tags and no others."""
        self._connection.execute(_UNTAG, {"of_id": id})
        rows = [{"object_id": id, "tag": tag} for tag in sorted(set(wanted))]
        if rows:
            self._connection.execute(_TAG, rows)


class Quotas:
    """Limits of projects where they differ from the default; -1: none."""

    def __init__(self, connection: Connection) -> None:
        """Of the session's transaction."""
        self._connection = connection

    def all(self) -> dict[str, dict[str, int]]:
        """By project, then resource."""
        found: dict[str, dict[str, int]] = defaultdict(dict)
        for row in self._connection.execute(select(quotas).order_by(quotas.c.project_id)):
            found[row.project_id][row.resource] = row.maximum
        return dict(found)

    def of(self, project_id: str) -> dict[str, int]:
        """A project's, by resource."""
        rows = self._connection.execute(_QUOTAS, {"of_project": project_id})
        return {row.resource: row.maximum for row in rows}

    def set(self, project_id: str, limits: Mapping[str, int]) -> None:
        """Keep these limits of a project, with those it has of other resources."""
        kept = {**self.of(project_id), **limits}
        self.clear(project_id)
        rows = [
            {"project_id": project_id, "resource": name, "maximum": maximum}
            for name, maximum in kept.items()
        ]
        if rows:
            self._connection.execute(insert(quotas), rows)

    def clear(self, project_id: str) -> None:
        """Back to the defaults."""
        self._connection.execute(delete(quotas).where(quotas.c.project_id == project_id))

    def used(self, kind: str, project_id: str, at_most: int | None = None) -> int:
        """How many a project has of a kind, counted to `at_most`: the cost has a bound."""
        table = TABLES[kind]
        query = select(table.c.project_id).where(table.c.project_id == project_id)
        counted = (query if at_most is None else query.limit(at_most)).subquery()
        return int(
            self._connection.execute(select(func.count()).select_from(counted)).scalar_one()
        )


def join_groups(connection: Connection, port: Port, old: Port | None = None) -> None:
    """Let port_security_groups say what a port's security_groups do."""
    if old is not None and old.security_groups == port.security_groups:
        return
    if old is not None:
        connection.execute(_LEAVE, {"of_port": port.id})
    groups = dict.fromkeys(port.security_groups)
    rows = [{"port_id": port.id, "security_group_id": group} for group in groups]
    if rows:
        connection.execute(_JOIN, rows)
