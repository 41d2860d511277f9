"""One database transaction: reads and writes of resources, and the change log.

Every write is logged with the log's next revision. The session sets the resource's
revision_number, created_at and updated_at.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, func, insert, select, update

from a9fe.model.errors import NotFound
from a9fe.model.pages import Page, Slice
from a9fe.model.resources import KINDS, Agent, Binding, FixedIp, Port, Resource, Subnet
from a9fe.model.subnet_pools import FloatingIp
from a9fe.store.change_log import Before, ChangeLog
from a9fe.store.lineage import Lineage, lineage
from a9fe.store.lookups.locations import Locations
from a9fe.store.lookups.pages import select_page
from a9fe.store.lookups.slices import Choose, every_row, read_slice
from a9fe.store.schema import queries
from a9fe.store.schema.columns import BORN
from a9fe.store.schema.queries import IN_CHUNK, OF, Where
from a9fe.store.schema.rows import from_row, kind_of, to_row
from a9fe.store.schema.tables import TABLES, counters, instance_ports, ip_allocations
from a9fe.store.side_tables.api_tokens import ApiTokens
from a9fe.store.side_tables.free_addresses import FreeAddresses
from a9fe.store.side_tables.identity_keys import IdentityKeys
from a9fe.store.side_tables.imds_usage import UsageCounts
from a9fe.store.side_tables.port_groups import write_groups
from a9fe.store.side_tables.problems import Problems
from a9fe.store.side_tables.quotas import Quotas
from a9fe.store.side_tables.tags import Tags

R = TypeVar("R", bound=Resource)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of a resource. `resource` is its present state, None if deleted. `before` has the
    locations of a port or binding before each of its moves.
    """

    revision: int
    kind: str
    id: str
    resource: Resource | None
    before: tuple[Before, ...] = ()


class Session:
    """Reads and writes inside one transaction. Store.read and Store.write create it."""

    def __init__(self, connection: Connection, now: str) -> None:
        """`now` is the time of the transaction, ISO 8601 UTC."""
        self._connection = connection
        self._now = now
        self._log = ChangeLog(connection)
        self._free = FreeAddresses(connection)
        self._seen: dict[tuple[type[Any], str], Any] | None = None
        """A writer's cache: no other transaction can change what it has read and written."""
        self.changed = False

    @property
    def locations(self) -> Locations:
        """Which resources are on which host."""
        return Locations(self._connection)

    @property
    def api_tokens(self) -> ApiTokens:
        """The API tokens that this server issued."""
        return ApiTokens(self._connection, self._now)

    @property
    def identity_keys(self) -> IdentityKeys:
        """The public keys that verify identity documents and tokens."""
        return IdentityKeys(self._connection)

    @property
    def imds_usage(self) -> UsageCounts:
        """Counts of metadata requests by instance."""
        return UsageCounts(self._connection)

    @property
    def problems(self) -> Problems:
        """What agents reported that they cannot build."""
        return Problems(self._connection)

    @property
    def tags(self) -> Tags:
        """Tags of resources."""
        return Tags(self._connection)

    @property
    def quotas(self) -> Quotas:
        """Quotas of projects."""
        return Quotas(self._connection)

    def get(self, cls: type[R], id: str) -> R | None:
        """Return the resource with this id, or None."""
        if self._seen is None:
            return next(iter(self.find(cls, id=id)), None)
        if (cls, id) not in self._seen:
            self._seen[cls, id] = next(iter(self.find(cls, id=id)), None)
        seen: R | None = self._seen[cls, id]
        return seen

    def require(self, cls: type[R], id: str) -> R:
        """Return the resource with this id. Raises NotFound."""
        found = self.get(cls, id)
        if found is None:
            raise NotFound(kind_of(cls), id)
        return found

    def find(self, cls: type[R], **where: Where) -> list[R]:
        """Return the resources whose fields equal `where`, oldest first.

        A collection matches any of its values. Ports can also be found by `ip_address` and
        `subnet_id` of their fixed IPs.
        """
        shape, values = queries.shaped(where)
        rows = self._connection.execute(queries.found(kind_of(cls), shape), values)
        return self._resources(cls, rows.all())

    def page(self, cls: type[R], wanted: Page) -> list[R]:
        """Return a page of a list. Raises NotFound for a marker that does not exist."""
        rows = self._connection.execute(select_page(self._connection, cls, wanted))
        found = self._resources(cls, rows.all())
        return found[::-1] if wanted.backwards else found

    def slice(self, cls: type[R], wanted: Page, choose: Choose[R] = every_row) -> Slice[R]:
        """Return a page and whether more rows follow; see slices.read_slice. Raises NotFound."""
        return read_slice(lambda page: self.page(cls, page), kind_of(cls), wanted, choose)

    def _resources(self, cls: type[R], rows: Sequence[Row[Any]]) -> list[R]:
        if cls is not Port:
            return [from_row(cls, row) for row in rows]
        addresses = self._addresses([row.id for row in rows])
        return [from_row(cls, row, tuple(addresses.get(row.id, ()))) for row in rows]

    def _addresses(self, port_ids: list[str]) -> dict[str, list[FixedIp]]:
        found: dict[str, list[FixedIp]] = defaultdict(list)
        for start in range(0, len(port_ids), IN_CHUNK):
            chunk = port_ids[start : start + IN_CHUNK]
            one = len(chunk) == 1
            wanted = {"port_id": chunk[0] if one else chunk}
            query = queries.addresses("one" if one else "several")
            for port_id, subnet_id, ip_address in self._connection.execute(query, wanted):
                fixed = FixedIp(subnet_id=subnet_id, ip_address=ip_address)
                found[port_id].append(fixed)
        return found

    def begin_write(self) -> None:
        """Wait until no other transaction writes. Store.write calls it."""
        self._log.lock()
        self._seen = {}

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo the block's writes if it raises; the transaction goes on either way."""
        mark, changed = self._log.mark(), self.changed
        try:
            with self._connection.begin_nested():
                yield
        except BaseException:
            self._log.rewind(mark)
            self.changed, self._seen = changed, {}
            raise

    def end_write(self) -> int:
        """Write the log, right before the commit. Return the new revision, 0 if none changed."""
        self._log.flush()
        return self.revision() if self.changed else 0

    def free_address(self, subnet_id: str, besides: Collection[str] = ()) -> str | None:
        """Return the lowest free address of a subnet's pools, except `besides`, or None."""
        return self._free.lowest(subnet_id, besides)

    def holder(self, subnet_id: str, ip_address: str) -> str | None:
        """Return the id of the port that has an address on a subnet, or None."""
        columns = ip_allocations.c
        here = (columns.subnet_id == subnet_id) & (columns.ip_address == ip_address)
        return self._connection.execute(select(columns.port_id).where(here)).scalar()

    def count(self, kind: str) -> int:
        """Return the number of resources of a kind."""
        return self._scalar(select(func.count()).select_from(TABLES[kind]))

    def load(self, kind: str) -> dict[str, int]:
        """Return the number of bindings of a kind ("dhcp", "l3") by agent id."""
        columns = TABLES["binding"].c
        query = (
            select(columns.agent_id, func.count())
            .where(columns.kind == kind)
            .group_by(columns.agent_id)
        )
        return {row[0]: row[1] for row in self._connection.execute(query)}

    def insert(self, resource: R) -> R:
        """Insert a resource, and return it as stored."""
        stored = _stamped(resource, created_at=self._now, updated_at=self._now, revision_number=1)
        new = Before() if isinstance(stored, Port | Binding) else None
        row = {**to_row(stored), BORN: self._changed(stored, new)}
        self._connection.execute(queries.inserted(kind_of(type(stored))), row)
        self._remember(stored)
        if isinstance(stored, Port):
            self._allocate(stored)
            write_groups(self._connection, stored)
        if isinstance(stored, Subnet):
            self._free.define(stored)
        return stored

    def update(self, resource: R) -> R:
        """Replace the resource with the same id, and return it as stored.

        Write nothing if nothing differs. Raises NotFound.
        """
        old = self.require(type(resource), resource.id)
        if old == resource:
            return old
        number = getattr(old, "revision_number", 0) + 1
        stored = _stamped(resource, updated_at=self._now, revision_number=number)
        self._replace(stored, old)
        self._readdress(old, stored)
        if isinstance(old, Port) and isinstance(stored, Port):
            write_groups(self._connection, stored, old)
        before = _before(old)
        self._changed(stored, None if before == _before(stored) else before)
        return stored

    def retag(self, resource: R, tags: Iterable[str]) -> R:
        """Replace a resource's tags and increment its revision; return it as stored."""
        self.tags.replace(resource.id, tags)
        return self.revise(resource)

    def revise(self, resource: R) -> R:
        """Increment a resource's revision, as a child of it changed; return it as stored."""
        number = getattr(resource, "revision_number", 0) + 1
        stored = _stamped(resource, updated_at=self._now, revision_number=number)
        self._replace(stored, resource)
        self._changed(stored)
        return stored

    def _readdress(self, old: Resource, new: Resource) -> None:
        """Store the new fixed IPs of a port, or the new pools of a subnet."""
        if isinstance(old, Port) and isinstance(new, Port) and new.fixed_ips != old.fixed_ips:
            self._connection.execute(queries.DEALLOCATE, {OF: new.id})
            self._free.release(old.fixed_ips)
            self._allocate(new)
        if (
            isinstance(new, Subnet)
            and getattr(old, "allocation_pools", ()) != new.allocation_pools
        ):
            self._free.define(new)

    def touch(self, agent: Agent) -> None:
        """Store an agent's heartbeat, which is not logged: it changes no follower's state."""
        self._replace(agent)

    def _replace(self, resource: Resource, old: Resource | None = None) -> None:
        """Write the columns that differ from `old`, so that indexes of others are not touched."""
        if row := to_row(resource, old):
            query = queries.replaced(kind_of(type(resource)))
            self._connection.execute(query, {OF: resource.id, **row})
        self._remember(resource)

    def _remember(self, resource: Resource) -> None:
        if self._seen is not None:
            self._seen[type(resource), resource.id] = resource

    def delete(self, cls: type[Resource], id: str) -> None:
        """Delete a resource. Raises NotFound."""
        old = self.get(cls, id) if cls in (Port, Binding, FloatingIp) else None
        held = old.fixed_ips if isinstance(old, Port) else ()
        result = self._connection.execute(queries.removed(kind_of(cls)), {OF: id})
        if not result.rowcount:
            raise NotFound(kind_of(cls), id)
        if self._seen is not None:
            self._seen.pop((cls, id), None)
        self._free.release(held)
        self.tags.replace(id, ())
        self._log.append(kind_of(cls), id, deleted=True, before=_before(old))
        self.changed = True

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
            self._connection.execute(queries.ALLOCATE, rows)
        for fixed in port.fixed_ips:
            self._free.take(fixed.subnet_id, fixed.ip_address)

    def made_with(self, instance_id: str) -> frozenset[str]:
        """Return the ids of the ports that were created with an instance."""
        query = select(instance_ports.c.port_id).where(instance_ports.c.instance_id == instance_id)
        return frozenset(self._connection.execute(query).scalars())

    def mark_made(self, instance_id: str, port_ids: Iterable[str]) -> None:
        """Record that these ports were created with an instance."""
        rows = [{"port_id": port_id, "instance_id": instance_id} for port_id in port_ids]
        if rows:
            self._connection.execute(insert(instance_ports), rows)

    def next_number(self, counter: str) -> int:
        """Return the next value of a counter, whose row is locked until the commit."""
        query = (
            update(counters)
            .where(counters.c.name == counter)
            .values(value=counters.c.value + 1)
            .returning(counters.c.value)
        )
        return self._scalar(query)

    def revision(self) -> int:
        """Return the revision of the newest change."""
        return self._log.revision()

    def lineage(self) -> Lineage:
        """Return the database's id and the ids that it accepts."""
        return lineage(self._connection)

    def changes_since(self, revision: int) -> list[Change] | None:
        """Return one change for each resource that was written after `revision`, in order.

        Return None if the log does not reach back that far, or never had that revision.
        """
        entries = self._log.since(revision)
        if entries is None:
            return None
        ids: dict[str, list[str]] = defaultdict(list)
        for entry in entries:
            ids[entry.kind].append(entry.object_id)
        now = {kind: self._by_id(KINDS[kind], some) for kind, some in ids.items()}
        return [
            Change(
                revision=entry.revision,
                kind=entry.kind,
                id=entry.object_id,
                resource=now[entry.kind].get(entry.object_id),
                before=entry.before,
            )
            for entry in entries
        ]

    def _by_id(self, cls: type[R], ids: list[str]) -> dict[str, R]:
        chunks = (ids[start : start + IN_CHUNK] for start in range(0, len(ids), IN_CHUNK))
        return {found.id: found for chunk in chunks for found in self.find(cls, id=chunk)}

    def _changed(self, resource: Resource, before: Before | None = None) -> int:
        self.changed = True
        kind = kind_of(type(resource))
        return self._log.append(kind, resource.id, deleted=False, before=before)

    def _scalar(self, query: Any) -> int:  # noqa: ANN401 - any executable that gives one value
        return int(self._connection.execute(query).scalar_one())


def _before(old: Resource | None) -> Before | None:
    """Return the location of a port, binding or floating IP, which decides who gets it."""
    if isinstance(old, Binding):
        return Before(network_id=old.resource_id, host=old.host, device_owner=old.kind)
    if isinstance(old, FloatingIp):
        return Before(device_id=old.router_id or "")
    if not isinstance(old, Port):
        return None
    return Before(
        network_id=old.network_id,
        host=old.host,
        device_id=old.device_id,
        device_owner=old.device_owner,
    )


def _stamped(resource: R, **stamps: str | int) -> R:
    """Return the resource with the stamps, if its kind has these fields."""
    if isinstance(resource, Binding | Agent):
        return resource
    return replace(resource, **stamps)  # type: ignore[arg-type]  # fields every other kind has
