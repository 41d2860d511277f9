"""The addresses that subnets still have to give, as ranges: a look-up costs the same at any size.

The table is derived: pools less the rows of ip_allocations. It is kept in the transaction that
changes either, by Session alone.
"""

from collections.abc import Collection
from ipaddress import ip_address

from sqlalchemy import Column, Connection, Row, Select, delete, insert, select, update

from a9fe.model import rules_ranges
from a9fe.model.resources import AllocationPool, FixedIp, Subnet
from a9fe.model.rules import Address, in_pools
from a9fe.model.rules_ranges import FreeRange
from a9fe.store.schema import free_ranges, ip_allocations, subnets

_first: Column[bytes] = free_ranges.c.first_ip
_last: Column[bytes] = free_ranges.c.last_ip


class FreeAddresses:
    """The free ranges inside one transaction."""

    def __init__(self, connection: Connection) -> None:
        """Reads and writes on `connection`."""
        self._connection = connection

    def lowest(self, subnet_id: str, besides: Collection[str] = ()) -> str | None:
        """The lowest free address of a subnet's pools that is not among `besides`, or None."""
        query = _of(subnet_id).order_by(_first).limit(len(besides) + 1)
        rows = self._connection.execute(query)
        return rules_ranges.lowest((_range(row) for row in rows), besides)

    def define(self, subnet: Subnet) -> None:
        """Begin again from a subnet's pools."""
        allocated = select(ip_allocations.c.ip_address)
        allocated = allocated.where(ip_allocations.c.subnet_id == subnet.id)
        taken = self._connection.execute(allocated).scalars()
        ranges = rules_ranges.free_ranges(subnet.allocation_pools, taken)
        gone = delete(free_ranges).where(free_ranges.c.subnet_id == subnet.id)
        self._connection.execute(gone)
        self._add(subnet.id, ranges)

    def take(self, subnet_id: str, text: str) -> None:
        """An address is given to a port; nothing to do if it is outside the pools."""
        address = ip_address(text)
        holding = self._preceding(subnet_id, address)
        if holding is None or not rules_ranges.covers(holding, address):
            return
        below, above = rules_ranges.split(holding, address)
        if below is None and above is None:
            self._remove(subnet_id, [holding])
            return
        self._change(subnet_id, holding, below or above or holding)
        if below and above:
            self._add(subnet_id, [above])

    def release(self, fixed_ips: Collection[FixedIp]) -> None:
        """Addresses are given back; those inside the pools of their subnets are free again."""
        ids = {fixed.subnet_id for fixed in fixed_ips}
        query = select(subnets.c.id, subnets.c.allocation_pools).where(subnets.c.id.in_(ids))
        pools = {row.id: _pools(row.allocation_pools) for row in self._connection.execute(query)}
        for fixed in fixed_ips:
            if in_pools(fixed.ip_address, pools.get(fixed.subnet_id, ())):
                self._release(fixed.subnet_id, ip_address(fixed.ip_address))

    def _release(self, subnet_id: str, address: Address) -> None:
        below = self._preceding(subnet_id, address)
        if below and int(below.last) != int(address) - 1:
            below = None
        above = self._following(subnet_id, address)
        whole = rules_ranges.joined(below, address, above)
        self._remove(subnet_id, [one for one in (below, above) if one])
        self._add(subnet_id, [whole])

    def _preceding(self, subnet_id: str, address: Address) -> FreeRange | None:
        query = _of(subnet_id).where(_first <= address.packed).order_by(_first.desc()).limit(1)
        row = self._connection.execute(query).first()
        return _range(row) if row else None

    def _following(self, subnet_id: str, address: Address) -> FreeRange | None:
        if int(address) + 1 == 1 << address.max_prefixlen:
            return None
        query = _of(subnet_id).where(_first == (address + 1).packed)
        row = self._connection.execute(query).first()
        return _range(row) if row else None

    def _add(self, subnet_id: str, ranges: list[FreeRange]) -> None:
        rows = [{"subnet_id": subnet_id, **_bounds(one)} for one in ranges]
        if rows:
            self._connection.execute(insert(free_ranges), rows)

    def _change(self, subnet_id: str, old: FreeRange, new: FreeRange) -> None:
        one = (free_ranges.c.subnet_id == subnet_id) & (_first == old.first.packed)
        self._connection.execute(update(free_ranges).where(one).values(_bounds(new)))

    def _remove(self, subnet_id: str, ranges: list[FreeRange]) -> None:
        firsts = [one.first.packed for one in ranges]
        if firsts:
            some = (free_ranges.c.subnet_id == subnet_id) & _first.in_(firsts)
            self._connection.execute(delete(free_ranges).where(some))


def _of(subnet_id: str) -> Select[bytes, bytes]:
    return select(_first, _last).where(free_ranges.c.subnet_id == subnet_id)


def _range(row: Row[bytes, bytes]) -> FreeRange:
    return FreeRange(first=ip_address(bytes(row[0])), last=ip_address(bytes(row[1])))


def _bounds(one: FreeRange) -> dict[str, bytes]:
    return {"first_ip": one.first.packed, "last_ip": one.last.packed}


def _pools(stored: list[dict[str, str]]) -> tuple[AllocationPool, ...]:
    return tuple(AllocationPool(**pool) for pool in stored)
