"""Free addresses of a subnet as ranges. Pure.

The ranges of a subnet are sorted and do not touch. They have every address of its pools that no
port has.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from ipaddress import ip_address

from a9fe.model.resources import AllocationPool
from a9fe.model.rules.addresses import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeRange:
    """A range of free addresses: first and last, both included."""

    first: Address
    last: Address


def free_ranges(pools: Iterable[AllocationPool], taken: Iterable[str]) -> list[FreeRange]:
    """Return the free ranges of pools, given the addresses (canonical text) that are taken."""
    bounds = [(ip_address(pool.start), ip_address(pool.end)) for pool in pools]
    ranges = [FreeRange(first=start, last=end) for start, end in bounds]
    ranges.sort(key=lambda one: int(one.first))
    held = sorted({ip_address(text) for text in taken}, key=int)
    found: list[FreeRange] = []
    for one in ranges:
        rest: FreeRange | None = one
        for address in held:
            if rest and covers(rest, address):
                left, rest = split(rest, address)
                found += [left] if left else []
        found += [rest] if rest else []
    return found


def covers(one: FreeRange, address: Address) -> bool:
    """Return whether the range contains the address."""
    same = one.first.version == address.version
    return same and int(one.first) <= int(address) <= int(one.last)


def split(one: FreeRange, address: Address) -> tuple[FreeRange | None, FreeRange | None]:
    """Return the parts of the range below and above an address in it; None for an empty part."""
    below = above = None
    if address != one.first:
        below = FreeRange(first=one.first, last=address - 1)
    if address != one.last:
        above = FreeRange(first=address + 1, last=one.last)
    return below, above


def joined(below: FreeRange | None, address: Address, above: FreeRange | None) -> FreeRange:
    """Return the range of an address joined with the ranges right below and above it."""
    return FreeRange(
        first=below.first if below else address, last=above.last if above else address
    )


def lowest(ranges: Iterable[FreeRange], besides: Collection[str] = ()) -> str | None:
    """Return the lowest free address that is not in `besides`, or None."""
    for one in ranges:
        address = one.first
        while str(address) in besides and address != one.last:
            address += 1
        if str(address) not in besides:
            return str(address)
    return None
