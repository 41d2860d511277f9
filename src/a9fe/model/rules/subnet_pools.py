"""Rules of subnet pools: valid prefixes and lengths, and the free blocks. Pure.

Default lengths, the unit of quotas, and allocation from the smallest free block that is large
enough are Neutron's.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import collapse_addresses, ip_address, ip_network, summarize_address_range
from typing import Any

from a9fe.model.errors import Conflict, InvalidInput
from a9fe.model.rules.addresses import Block

BITS = {4: 32, 6: 128}
LEAST_PREFIXLEN = {4: 8, 6: 64}
"""The default min_prefixlen by IP version."""
QUOTA_UNIT = {4: 32, 6: 64}
"""The prefix length of one unit of a quota."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """The minimum, maximum and default prefix length of a pool."""

    least: int
    most: int
    default: int


def prefixes(given: Iterable[str]) -> tuple[tuple[str, ...], int]:
    """Return a pool's sorted prefixes, with adjacent ones joined, and their IP version.

    Raises InvalidInput for none and for mixed IP versions.
    """
    blocks = [ip_network(text) for text in given]
    versions = {block.version for block in blocks}
    if not blocks:
        words = "Empty subnet pool prefix list"
        raise InvalidInput("prefixes", [], "at least one CIDR", type=_EMPTY, words=words)
    if len(versions) > 1:
        words = "Cannot mix IPv4 and IPv6 prefixes in a subnet pool"
        shown, expected = [str(block) for block in blocks], "CIDRs of one IP version"
        raise InvalidInput("prefixes", shown, expected, type="PrefixVersionMismatch", words=words)
    return tuple(str(block) for block in _collapsed(blocks)), versions.pop()


_EMPTY = "EmptySubnetPoolPrefixList"


def _collapsed(blocks: Iterable[Any]) -> list[Block]:
    return list(collapse_addresses(blocks))


def lengths(version: int, least: int | None, most: int | None, default: int | None) -> Lengths:
    """Return a pool's prefix lengths, with defaults filled in. Raises InvalidInput."""
    low = LEAST_PREFIXLEN[version] if least is None else least
    high = BITS[version] if most is None else most
    middle = low if default is None else default
    _check_bound("max_prefixlen", high, at_most=BITS[version], base="ip_version_max")
    _check_bound("min_prefixlen", low, at_most=high, base="max_prefixlen")
    _check_bound("default_prefixlen", middle, at_most=high, base="max_prefixlen")
    _check_bound("default_prefixlen", middle, at_least=low, base="min_prefixlen")
    return Lengths(least=low, most=high, default=middle)


def _check_bound(
    field: str, value: int, base: str, at_least: int = 0, at_most: int = BITS[6]
) -> None:
    if at_least <= value <= at_most:
        return
    bound = at_least if value < at_least else at_most
    words = f"Illegal prefix bounds: {field}={value}, {base}={bound}"
    expected, kind = f"from {at_least} to {at_most}", "IllegalSubnetPoolPrefixBounds"
    raise InvalidInput(field, value, expected, type=kind, words=words)


def check_grown(old: Iterable[str], new: Iterable[str]) -> None:
    """Raise InvalidInput unless the new prefixes contain all old ones."""
    after = [ip_network(text) for text in new]
    for text in old:
        if not any(within(ip_network(text), block) for block in after):
            words = (
                "Illegal update to prefixes: Existing prefixes must be a subset of the new ones"
            )
            kind, shown = "IllegalSubnetPoolPrefixUpdate", [str(block) for block in after]
            raise InvalidInput(
                "prefixes", shown, f"prefixes that contain {text}", type=kind, words=words
            )


def within(inner: Block, outer: Block) -> bool:
    """Return whether `outer` contains all of `inner`."""
    same = inner.version == outer.version
    return same and outer[0].packed <= inner[0].packed and inner[-1].packed <= outer[-1].packed


def intersect(some: Iterable[str], others: Iterable[str]) -> bool:
    """Return whether two lists of prefixes overlap."""
    blocks = [ip_network(text) for text in others]
    return any(
        within(one, other) or within(other, one)
        for one in map(ip_network, some)
        for other in blocks
    )


def check_length(prefixlen: int, least: int, most: int) -> None:
    """Raise InvalidInput unless the pool allows the prefix length."""
    if least <= prefixlen <= most:
        return
    short = prefixlen < least
    name, bound = ("minimum", least) if short else ("maximum", most)
    words = f"Unable to allocate subnet with prefix length {prefixlen}"
    words = f"{words}, {name} allowed prefix is {bound}"
    kind = "MinPrefixSubnetAllocationError" if short else "MaxPrefixSubnetAllocationError"
    raise InvalidInput("prefixlen", prefixlen, f"{least} to {most}", type=kind, words=words)


def free_block(pool: Iterable[str], taken: Iterable[str], prefixlen: int) -> str:
    """Return the first block of this length in the smallest free block that contains one.

    Raises Conflict if there is none.
    """
    fitting = [block for block in _free(pool, taken) if block.prefixlen <= prefixlen]
    if not fitting:
        message = f"Insufficient prefix space to allocate subnet size /{prefixlen}"
        raise Conflict("SubnetAllocationError", f"Failed to allocate subnet: {message}")
    smallest = max(fitting, key=lambda block: (block.prefixlen, -int(block[0])))
    return f"{smallest[0]}/{prefixlen}"


def check_free(pool: Iterable[str], taken: Iterable[str], wanted: str) -> None:
    """Raise Conflict unless the requested block is free and in the pool."""
    if not any(within(ip_network(wanted), block) for block in _free(pool, taken)):
        words = "Cannot allocate requested subnet from the available set of prefixes"
        message = f"Failed to allocate subnet: {words}: {wanted} is in use or not in the pool"
        raise Conflict("SubnetAllocationError", message)


def _free(pool: Iterable[str], taken: Iterable[str]) -> list[Block]:
    """Return the maximal free blocks of a pool, in order; O(n log n) in prefixes and subnets."""
    held = sorted((int(b[0]), int(b[-1])) for b in map(ip_network, taken))
    found: list[Block] = []
    for block in map(ip_network, pool):
        position, end, version = int(block[0]), int(block[-1]), block.version
        for first, last in held:
            if last < position or first > end:
                continue
            if first > position:
                found += _between(position, first - 1, version)
            position = last + 1
        if position <= end:
            found += _between(position, end, version)
    return found


def _between(first: int, last: int, version: int) -> list[Block]:
    make = type(ip_address("0.0.0.0" if version == 4 else "::"))  # noqa: S104 - a class
    low: Any = make(first)
    high: Any = make(last)
    return list(summarize_address_range(low, high))


def check_quota(version: int, quota: int | None, taken: Iterable[str], prefixlen: int) -> None:
    """Raise Conflict if a project would exceed the pool's default_quota."""
    if not quota:
        return
    bits = BITS[version]
    used = sum(1 << (bits - ip_network(text).prefixlen) for text in taken)
    if used + (1 << (bits - prefixlen)) > quota << (bits - QUOTA_UNIT[version]):
        message = "Per-project subnet pool prefix quota exceeded"
        raise Conflict("SubnetPoolQuotaExceeded", f"{message}: {quota} units")
