"""One transaction: reads and writes of resources, and the change log.

Every write is logged with the next revision of the log; revision_number, created_at and
updated_at of the resource are kept here, not by the callers.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sqlalchemy import Connection, Select, delete, func, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from a9fe.model.errors import NotFound
from a9fe.model.resources import KINDS, Agent, Binding, FixedIp, Port, Resource
from a9fe.store.rows import from_row, kind_of, table_of, to_row
from a9fe.store.schema import (
    BORN,
    TABLES,
    change_log,
    counters,
    instance_ports,
    ip_allocations,
    ports,
)

R = TypeVar("R", bound=Resource)
Where = str | bool | int | Collection[str | bool | int] | None

KEPT_CHANGES = 100_000
"""Rows of the change log that are kept: an agent further behind gets a snapshot. At a hundred
writes a second, a quarter of an hour; a row is about 100 bytes."""
TRIM_EVERY = 1_000
IN_CHUNK = 500  # values of one IN(): below the 999 of old SQLite builds


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """That a resource was written. `resource` is as it is now; None: deleted."""

    revision: int
    kind: str
    id: str
    resource: Resource | None


class Session:
    """Reads and writes inside one transaction; made by Store.read and Store.write."""

    def __init__(self, connection: Connection, now: str) -> None:
        """`now` is the time of this transaction, ISO 8601 UTC."""
        self._connection = connection
        self._now = now
        self.changed = False

    def get(self, cls: type[R], id: str) -> R | None:
        """The resource with this id, or None."""
        return next(iter(self.find(cls, id=id)), None)

    def require(self, cls: type[R], id: str) -> R:
        """The resource with this id. Raises NotFound."""
        found = self.get(cls, id)
        if found is None:
            raise NotFound(kind_of(cls), id)
        return found

    def find(self, cls: type[R], **where: Where) -> list[R]:
        """Resources whose fields equal `where`, oldest first; a collection means any of them.

        Ports can also be found by `ip_address` and `subnet_id` of their fixed IPs.
        """
        table = table_of(cls)
        columns = [column for column in table.c if column.name != BORN]
        query = select(*columns).where(*_conditions(cls, where)).order_by(table.c[BORN])
        rows = [dict(row) for row in self._connection.execute(query).mappings()]
        if cls is not Port:
            return [from_row(cls, row) for row in rows]
        addresses = self._addresses([row["id"] for row in rows])
        return [from_row(cls, row, tuple(addresses[row["id"]])) for row in rows]

    def _addresses(self, port_ids: list[str]) -> dict[str, list[FixedIp]]:
        found: dict[str, list[FixedIp]] = defaultdict(list)
        for start in range(0, len(port_ids), IN_CHUNK):
            chunk = port_ids[start : start + IN_CHUNK]
            query = (
                select(ip_allocations)
                .where(ip_allocations.c.port_id.in_(chunk))
                .order_by(ip_allocations.c.position)
            )
            for row in self._connection.execute(query):
                fixed = FixedIp(subnet_id=row.subnet_id, ip_address=row.ip_address)
                found[row.port_id].append(fixed)
        return found

    def taken(self, subnet_id: str) -> frozenset[str]:
        """Every address that a port holds on a subnet."""
        query = select(ip_allocations.c.ip_address).where(ip_allocations.c.subnet_id == subnet_id)
        return frozenset(self._connection.execute(query).scalars())

    def count(self, kind: str) -> int:
        """How many resources of a kind there are."""
        return self._scalar(select(func.count()).select_from(TABLES[kind]))

    def load(self, kind: str) -> dict[str, int]:
        """The number of bindings of a kind ("dhcp", "l3") by agent id."""
        columns = TABLES["binding"].c
        query = (
            select(columns.agent_id, func.count())
            .where(columns.kind == kind)
            .group_by(columns.agent_id)
        )
        return {row[0]: row[1] for row in self._connection.execute(query)}

    def insert(self, resource: R) -> R:
        """Add a resource; as stored."""
        stored = _stamped(resource, created_at=self._now, updated_at=self._now, revision_number=1)
        row = {**to_row(stored), BORN: self._log(stored)}
        self._connection.execute(insert(table_of(type(stored))).values(row))
        if isinstance(stored, Port):
            self._allocate(stored)
        return stored

    def update(self, resource: R) -> R:
        """Replace the resource with the same id; as stored. Writes nothing if nothing differs."""
        old = self.require(type(resource), resource.id)
        if old == resource:
            return old
        number = getattr(old, "revision_number", 0) + 1
        stored = _stamped(resource, updated_at=self._now, revision_number=number)
        self._replace(stored)
        if (
            isinstance(stored, Port)
            and isinstance(old, Port)
            and stored.fixed_ips != old.fixed_ips
        ):
            query = delete(ip_allocations).where(ip_allocations.c.port_id == stored.id)
            self._connection.execute(query)
            self._allocate(stored)
        self._log(stored)
        return stored

    def touch(self, agent: Agent) -> None:
        """Keep an agent's heartbeat: no change of state, so nothing for the change log."""
        self._replace(agent)

    def _replace(self, resource: Resource) -> None:
        table = table_of(type(resource))
        query = update(table).where(table.c.id == resource.id).values(to_row(resource))
        self._connection.execute(query)

    def delete(self, cls: type[Resource], id: str) -> None:
        """Remove a resource. Raises NotFound."""
        table = table_of(cls)
        result = self._connection.execute(delete(table).where(table.c.id == id))
        if not result.rowcount:
            raise NotFound(kind_of(cls), id)
        self._append(kind_of(cls), id, deleted=True)

    def _allocate(self, port: Port) -> None:
        rows = [
            {
                "subnet_id": fixed.subnet_id,
                "ip_address": fixed.ip_address,
                "port_id": port.id,
                "position": position,
            }
            for position, fixed in enumerate(port.fixed_ips)
        ]
        if rows:
            self._connection.execute(insert(ip_allocations), rows)

    def made_with(self, instance_id: str) -> frozenset[str]:
        """Ids of the ports that were made with an instance."""
        query = select(instance_ports.c.port_id).where(instance_ports.c.instance_id == instance_id)
        return frozenset(self._connection.execute(query).scalars())

    def mark_made(self, instance_id: str, port_ids: Iterable[str]) -> None:
        """Remember that these ports were made with an instance."""
        rows = [{"port_id": port_id, "instance_id": instance_id} for port_id in port_ids]
        if rows:
            self._connection.execute(insert(instance_ports), rows)

    def next_number(self, counter: str) -> int:
        """The next value of a counter; never given twice, its row is locked until the commit."""
        query = (
            update(counters)
            .where(counters.c.name == counter)
            .values(value=counters.c.value + 1)
            .returning(counters.c.value)
        )
        return self._scalar(query)

    def revision(self) -> int:
        """The revision of the newest change."""
        return self._scalar(select(counters.c.value).where(counters.c.name == "revision"))

    def changes_since(self, revision: int) -> list[Change] | None:
        """What was written after `revision`, newest state of each resource once, in order.

        None: the log does not reach back that far, or has never been there (another database).
        """
        if not self._reaches(revision):
            return None
        query = (
            select(change_log)
            .where(change_log.c.revision > revision)
            .order_by(change_log.c.revision)
        )
        last = {(row.kind, row.object_id): row for row in self._connection.execute(query)}
        rows = sorted(last.values(), key=lambda row: int(row.revision))
        return [self._change(row.revision, row.kind, row.object_id) for row in rows]

    def _reaches(self, revision: int) -> bool:
        if revision == self.revision():
            return True
        oldest = self._connection.execute(select(func.min(change_log.c.revision))).scalar()
        return oldest is not None and int(oldest) - 1 <= revision < self.revision()

    def _change(self, revision: int, kind: str, id: str) -> Change:
        return Change(revision=revision, kind=kind, id=id, resource=self.get(KINDS[kind], id))

    def _log(self, resource: Resource) -> int:
        return self._append(kind_of(type(resource)), resource.id, deleted=False)

    def _append(self, kind: str, id: str, *, deleted: bool) -> int:
        revision = self.next_number("revision")
        row = {"revision": revision, "kind": kind, "object_id": id, "deleted": deleted}
        self._connection.execute(insert(change_log).values(row))
        if revision % TRIM_EVERY == 0:
            old = change_log.c.revision <= revision - KEPT_CHANGES
            self._connection.execute(delete(change_log).where(old))
        self.changed = True
        return revision

    def _scalar(self, query: Any) -> int:  # noqa: ANN401 - any executable that gives one value
        return int(self._connection.execute(query).scalar_one())


def _stamped(resource: R, **stamps: str | int) -> R:
    """The resource with those of the stamps that its kind has."""
    if isinstance(resource, Binding | Agent):
        return resource
    return replace(resource, **stamps)  # type: ignore[arg-type]  # fields every other kind has


def _conditions(cls: type[Any], where: Mapping[str, Where]) -> list[ColumnElement[bool]]:
    columns = table_of(cls).c
    conditions: list[ColumnElement[bool]] = []
    for name, wanted in where.items():
        if cls is Port and name in {"ip_address", "subnet_id"}:
            matching = _matches(ip_allocations.c[name], wanted)
            holders: Select[Any] = select(ip_allocations.c.port_id).where(matching)
            conditions.append(ports.c.id.in_(holders))
        else:
            conditions.append(_matches(columns[name], wanted))
    return conditions


def _matches(column: ColumnElement[Any], wanted: Where) -> ColumnElement[bool]:
    if isinstance(wanted, Collection) and not isinstance(wanted, str):
        return column.in_(list(wanted))
    return column == wanted
