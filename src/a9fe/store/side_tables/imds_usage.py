"""Counts of instances' metadata requests with and without a token. They are not in the change
log."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Table, delete, insert, select, update

from a9fe.model.guest import MetadataOptions
from a9fe.model.imds_usage import ImdsUsage
from a9fe.store.schema.columns import ID, METADATA, TIME
from a9fe.store.schema.tables import instances

imds_usage = Table(
    "imds_usage",
    METADATA,
    Column("instance_id", ID, primary_key=True),
    Column("v1_requests", BigInteger, nullable=False),
    Column("v2_requests", BigInteger, nullable=False),
    Column("v1_last_at", TIME, nullable=False),
    Column("v2_last_at", TIME, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageOfInstance:
    """The counts of an instance, with the fields of the instance that reports show."""

    usage: ImdsUsage
    name: str
    project_id: str
    options: MetadataOptions


def _row(usage: ImdsUsage) -> dict[str, Any]:
    return {f.name: getattr(usage, f.name) for f in fields(usage)}


class UsageCounts:
    """Read and write the counts inside a transaction."""

    def __init__(self, connection: Connection) -> None:
        """Use the transaction of `connection`."""
        self._connection = connection

    def all(self, project_id: str | None = None) -> list[UsageOfInstance]:
        """Return the counts of one project's instances, or of all, by instance id."""
        columns = [instances.c[name] for name in ("name", "project_id", "metadata_options")]
        query = (
            select(*imds_usage.c, *columns)
            .join(instances, instances.c.id == imds_usage.c.instance_id)
            .order_by(imds_usage.c.instance_id)
        )
        if project_id is not None:
            query = query.where(instances.c.project_id == project_id)
        return [_usage_of(row) for row in self._connection.execute(query)]

    def existing(self, instance_ids: Collection[str]) -> frozenset[str]:
        """Return the ids that have an instance."""
        query = select(instances.c.id).where(instances.c.id.in_(instance_ids))
        return frozenset(self._connection.scalars(query))

    def add(self, more: Iterable[ImdsUsage]) -> None:
        """Add to the counts; ignore instances that do not exist."""
        wanted = {one.instance_id: one for one in more}
        existing = self.existing(wanted.keys())
        query = select(imds_usage).where(imds_usage.c.instance_id.in_(existing))
        rows = self._connection.execute(query).mappings()
        known = {row["instance_id"]: ImdsUsage(**row) for row in rows}
        for id in sorted(existing):
            if id in known:
                at = imds_usage.c.instance_id == id
                values = _row(known[id].plus(wanted[id]))
                self._connection.execute(update(imds_usage).where(at).values(values))
            else:
                self._connection.execute(insert(imds_usage).values(_row(wanted[id])))

    def delete(self, instance_id: str) -> None:
        """Delete an instance's counts."""
        at = imds_usage.c.instance_id == instance_id
        self._connection.execute(delete(imds_usage).where(at))


def _usage_of(row: Any) -> UsageOfInstance:  # noqa: ANN401 - a row of SQLAlchemy's
    return UsageOfInstance(
        usage=ImdsUsage(**{f.name: getattr(row, f.name) for f in fields(ImdsUsage)}),
        name=row.name,
        project_id=row.project_id,
        options=MetadataOptions(**row.metadata_options),
    )
