"""The free addresses of subnets as ranges, so that finding one costs the same in large subnets.

The table is derived: it has the pools without the rows of ip_allocations. Session updates it in
the transaction that changes either.
"""

from collections.abc import Collection
from ipaddress import ip_address

from sqlalchemy import Column, Connection, Row, bindparam, delete, insert, select, update

from a9fe.model.resources import AllocationPool, FixedIp, Subnet
from a9fe.model.rules import free_ranges as ranges
from a9fe.model.rules.addresses import Address, in_pools
from a9fe.model.rules.free_ranges import FreeRange
from a9fe.store.schema.tables import free_ranges, ip_allocations, subnets

_first: Column[bytes] = free_ranges.c.first_ip
_last: Column[bytes] = free_ranges.c.last_ip
_here = free_ranges.c.subnet_id == bindparam("of_subnet")
_ranges = select(_first, _last).where(_here)
_LOWEST = _ranges.order_by(_first).limit(bindparam("most"))
_PRECEDING = _ranges.where(_first <= bindparam("address")).order_by(_first.desc()).limit(1)
_FOLLOWING = _ranges.where(_first == bindparam("address"))
_ADD = insert(free_ranges)
_CHANGE = update(free_ranges).where(_here, _first == bindparam("old_first"))
_REMOVE = delete(free_ranges).where(_here, _first.in_(bindparam("firsts", expanding=True)))
_CLEAR = delete(free_ranges).where(_here)
_TAKEN = select(ip_allocations.c.ip_address).where(
    ip_allocations.c.subnet_id == bindparam("of_subnet")
)
_POOLS = select(subnets.c.id, subnets.c.allocation_pools).where(
    subnets.c.id.in_(bindparam("ids", expanding=True))
)


class FreeAddresses:
    """Read and write free ranges inside a transaction."""

    def __init__(self, connection: Connection) -> None:
        """Use the transaction of `connection`."""
        self._connection = connection

    def lowest(self, subnet_id: str, besides: Collection[str] = ()) -> str | None:
        """Return the lowest free address of a subnet's pools, except `besides`, or None."""
        wanted = {"of_subnet": subnet_id, "most": len(besides) + 1}
        rows = self._connection.execute(_LOWEST, wanted)
        return ranges.lowest((_range(row) for row in rows), besides)

    def define(self, subnet: Subnet) -> None:
        """Compute a subnet's free ranges from its pools and allocations."""
        here = {"of_subnet": subnet.id}
        taken = self._connection.execute(_TAKEN, here).scalars()
        free = ranges.free_ranges(subnet.allocation_pools, taken)
        self._connection.execute(_CLEAR, here)
        self._add(subnet.id, free)

    def take(self, subnet_id: str, text: str) -> None:
        """Remove an address from the free ranges; ignore one outside the pools."""
        address = ip_address(text)
        holding = self._preceding(subnet_id, address)
        if holding is None or not ranges.covers(holding, address):
            return
        below, above = ranges.split(holding, address)
        if below is None and above is None:
            self._remove(subnet_id, [holding])
            return
        self._change(subnet_id, holding, below or above or holding)
        if below and above:
            self._add(subnet_id, [above])

    def release(self, fixed_ips: Collection[FixedIp]) -> None:
        """Return addresses to the free ranges; ignore those outside their subnets' pools."""
        if not fixed_ips:
            return
        rows = self._connection.execute(_POOLS, {"ids": [f.subnet_id for f in fixed_ips]})
        pools = {row.id: _pools(row.allocation_pools) for row in rows}
        for fixed in fixed_ips:
            if in_pools(fixed.ip_address, pools.get(fixed.subnet_id, ())):
                self._release(fixed.subnet_id, ip_address(fixed.ip_address))

    def _release(self, subnet_id: str, address: Address) -> None:
        below = self._preceding(subnet_id, address)
        if below and int(below.last) != int(address) - 1:
            below = None
        above = self._following(subnet_id, address)
        whole = ranges.joined(below, address, above)
        self._remove(subnet_id, [one for one in (below, above) if one])
        self._add(subnet_id, [whole])

    def _preceding(self, subnet_id: str, address: Address) -> FreeRange | None:
        at = {"of_subnet": subnet_id, "address": address.packed}
        row = self._connection.execute(_PRECEDING, at).first()
        return _range(row) if row else None

    def _following(self, subnet_id: str, address: Address) -> FreeRange | None:
        if int(address) + 1 == 1 << address.max_prefixlen:
            return None
        at = {"of_subnet": subnet_id, "address": (address + 1).packed}
        row = self._connection.execute(_FOLLOWING, at).first()
        return _range(row) if row else None

    def _add(self, subnet_id: str, free: list[FreeRange]) -> None:
        rows = [{"subnet_id": subnet_id, **_bounds(one)} for one in free]
        if rows:
            self._connection.execute(_ADD, rows)

    def _change(self, subnet_id: str, old: FreeRange, new: FreeRange) -> None:
        at = {"of_subnet": subnet_id, "old_first": old.first.packed}
        self._connection.execute(_CHANGE, {**at, **_bounds(new)})

    def _remove(self, subnet_id: str, taken: list[FreeRange]) -> None:
        firsts = [one.first.packed for one in taken]
        if firsts:
            self._connection.execute(_REMOVE, {"of_subnet": subnet_id, "firsts": firsts})


def _range(row: Row[bytes, bytes]) -> FreeRange:
    return FreeRange(first=ip_address(bytes(row[0])), last=ip_address(bytes(row[1])))


def _bounds(one: FreeRange) -> dict[str, bytes]:
    return {"first_ip": one.first.packed, "last_ip": one.last.packed}


def _pools(stored: list[dict[str, str]]) -> tuple[AllocationPool, ...]:
    return tuple(AllocationPool(**pool) for pool in stored)
