"""The quotas of projects."""

from collections import defaultdict
from collections.abc import Mapping

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from a9fe.store.schema.tables import TABLES, quotas

_QUOTAS = select(quotas).where(quotas.c.project_id == bindparam("of_project"))


class Quotas:
    """Read and write the limits that differ from the options' defaults; -1 means unlimited."""

    def __init__(self, connection: Connection) -> None:
        """Use the transaction of `connection`."""
        self._connection = connection

    def all(self) -> dict[str, dict[str, int]]:
        """Return the limits by project, then by resource."""
        found: dict[str, dict[str, int]] = defaultdict(dict)
        for row in self._connection.execute(select(quotas).order_by(quotas.c.project_id)):
            found[row.project_id][row.resource] = row.maximum
        return dict(found)

    def of(self, project_id: str) -> dict[str, int]:
        """Return a project's limits by resource."""
        rows = self._connection.execute(_QUOTAS, {"of_project": project_id})
        return {row.resource: row.maximum for row in rows}

    def set(self, project_id: str, limits: Mapping[str, int]) -> None:
        """Set some limits of a project; limits of other resources stay."""
        kept = {**self.of(project_id), **limits}
        self.clear(project_id)
        rows = [
            {"project_id": project_id, "resource": name, "maximum": maximum}
            for name, maximum in kept.items()
        ]
        if rows:
            self._connection.execute(insert(quotas), rows)

    def clear(self, project_id: str) -> None:
        """Delete a project's limits: the defaults apply."""
        self._connection.execute(delete(quotas).where(quotas.c.project_id == project_id))

    def used(self, kind: str, project_id: str, at_most: int | None = None) -> int:
        """Return how many resources of a kind a project has, counting no further than `at_most`,
        which bounds the cost."""
        table = TABLES[kind]
        query = select(table.c.project_id).where(table.c.project_id == project_id)
        counted = (query if at_most is None else query.limit(at_most)).subquery()
        return int(
            self._connection.execute(select(func.count()).select_from(counted)).scalar_one()
        )
