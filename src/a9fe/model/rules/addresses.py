"""Rules over addresses: CIDRs, gateways, pools, overlap, allocation, MACs. Pure.

They are Neutron's rules: the default gateway is the first usable address; the default pools have
all usable addresses except the gateway; IPv4 pools exclude network and broadcast addresses.
Functions take the text of users and clients, and return the canonical form of `ipaddress`.
"""

import itertools
import re
from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from a9fe.model.errors import Conflict, InvalidInput
from a9fe.model.resources import AllocationPool, Subnet

Address = IPv4Address | IPv6Address
Block = IPv4Network | IPv6Network

EXAMPLE_CIDR = {4: "an IPv4 CIDR such as 10.1.0.0/24", 6: "an IPv6 CIDR such as fd00:1::/64"}
EXAMPLE_ADDRESS = {4: "an IPv4 address such as 10.1.0.5", 6: "an IPv6 address such as fd00:1::5"}
SLAAC, STATELESS, STATEFUL = "slaac", "dhcpv6-stateless", "dhcpv6-stateful"  # IPv6 modes
EUI64_MODES = frozenset({SLAAC, STATELESS})
EUI64_PREFIX = 64
SLASH_31 = 31
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_OCTETS_OF_BASE = 3  # octets taken from base_mac; four if its fourth is not 00 (Neutron)


def cidr(field: str, value: object, ip_version: int | None = None) -> str:
    """Return the canonical CIDR of `value`, with host bits cleared, as in Neutron."""
    expected = EXAMPLE_CIDR.get(ip_version or 4, "a CIDR")
    block = _parse_block(value)
    if block is None or (ip_version and block.version != ip_version):
        raise InvalidInput(field, value, expected)
    return str(block)


UNUSABLE: dict[str, str] = {
    "0.0.0.0/8": "this network",
    "127.0.0.0/8": "loopback",
    "169.254.169.254/32": "metadata",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
    "::/127": "loopback",
    "::ffff:0:0/96": "IPv4-mapped",
    "fe80::/10": "link-local",
    "ff00::/8": "multicast",
}
"""Blocks that no subnet may overlap: special addresses (RFC 6890)."""
_UNUSABLE = [(ip_network(block), why) for block, why in UNUSABLE.items()]
DHCP_PREFIX_MAX = 30
"""Longest prefix of an IPv4 subnet with DHCP (Neutron): it has a gateway, a DHCP port and a VM."""


def subnet_cidr(field: str, value: object, ip_version: int) -> str:
    """Return the canonical CIDR of a subnet. Raises InvalidInput, also for special blocks."""
    text = cidr(field, value, ip_version)
    block = ip_network(text)
    for other, why in _UNUSABLE:
        if _overlap(block, other):
            expected = f"{EXAMPLE_CIDR[ip_version]}, that does not overlap {other} ({why})"
            raise InvalidInput(field, value, expected)
    return text


def check_dhcp(subnet: Subnet) -> None:
    """Raise InvalidInput if a subnet with DHCP has no room for gateway, DHCP port and a VM."""
    prefix = ip_network(subnet.cidr).prefixlen
    if subnet.enable_dhcp and subnet.ip_version == 4 and prefix > DHCP_PREFIX_MAX:
        words = "Subnet has a prefix length that is incompatible with DHCP service enabled"
        expected = f"a prefix of at most {DHCP_PREFIX_MAX}, or enable_dhcp false"
        raise InvalidInput("cidr", subnet.cidr, expected, words=words)


def next_hop(field: str, value: object, ip_version: int | None = None) -> str:
    """Return the canonical form of a unicast address. Raises InvalidInput."""
    text = address(field, value, ip_version)
    parsed = ip_address(text)
    if parsed.is_multicast or parsed.is_loopback or parsed.is_unspecified:
        raise InvalidInput(field, value, "a unicast address such as 10.1.0.1")
    return text


def _parse_block(value: object) -> Block | None:
    if not isinstance(value, str) or "/" not in value or "%" in value:
        return None
    try:
        return ip_network(value, strict=False)
    except ValueError:
        return None


def address(field: str, value: object, ip_version: int | None = None) -> str:
    """Return the canonical address of `value`. Raises InvalidInput, also for another `version`."""
    parsed = _parse_address(value)
    if parsed is None or (ip_version and parsed.version != ip_version):
        expected = EXAMPLE_ADDRESS[ip_version] if ip_version else EXAMPLE_ADDRESS[4]
        raise InvalidInput(field, value, expected)
    return str(parsed)


def _parse_address(value: object) -> Address | None:
    if not isinstance(value, str) or "%" in value:
        return None
    try:
        return ip_address(value)
    except ValueError:
        return None


def mac(field: str, value: object) -> str:
    """Return the canonical MAC of `value`: lower case, with colons. Raises InvalidInput, also for
    a multicast MAC."""
    text = value.strip().lower().replace("-", ":") if isinstance(value, str) else ""
    if not _MAC.fullmatch(text) or int(text[:2], 16) & 1 or text == "00:00:00:00:00:00":
        raise InvalidInput(field, value, "a unicast MAC address such as fa:16:3e:12:34:56")
    return text


def random_mac(base_mac: str, random_bytes: bytes) -> str:
    """Return a MAC with the prefix of `base_mac`, from six random bytes."""
    base = bytes.fromhex(base_mac.replace(":", ""))
    kept = _OCTETS_OF_BASE + (base[_OCTETS_OF_BASE] != 0)
    return (base[:kept] + random_bytes[kept:6]).hex(":")


def usable(block: str) -> tuple[Address, Address]:
    """Return the first and last address for devices: IPv4 without network and broadcast."""
    network = ip_network(block)
    first, last = network[0], network[-1]
    if network.version == 4 and network.prefixlen < SLASH_31:
        return first + 1, last - 1
    if network.version == 6 and network.prefixlen < network.max_prefixlen - 1:
        return first + 1, last
    return first, last


def default_gateway(block: str) -> str | None:
    """Return the first usable address; None if there is only one."""
    first, last = usable(block)
    return str(first) if first != last else None


def check_gateway(block: str, gateway: str | None) -> None:
    """Raise InvalidInput unless the gateway is in its subnet, or is IPv6 link-local."""
    if gateway is None:
        return
    parsed = ip_address(gateway)
    if parsed.version == 6 and parsed.is_link_local:
        return
    first, last = usable(block)
    if not _between(parsed, first, last):
        raise InvalidInput("gateway_ip", gateway, f"an address from {first} to {last} of {block}")


def _between(one: Address, first: Address, last: Address) -> bool:
    return one.version == first.version and int(first) <= int(one) <= int(last)


def default_pools(block: str, gateway: str | None) -> tuple[AllocationPool, ...]:
    """Return one or two pools with all usable addresses except the gateway."""
    first, last = usable(block)
    if gateway is None or not _between(ip_address(gateway), first, last):
        return (_pool(int(first), int(last), first),)
    middle = int(ip_address(gateway))
    parts = ((int(first), middle - 1), (middle + 1, int(last)))
    return tuple(_pool(low, high, first) for low, high in parts if low <= high)


def _pool(low: int, high: int, like: Address) -> AllocationPool:
    family = type(like)
    return AllocationPool(start=str(family(low)), end=str(family(high)))


def check_pools(block: str, pools: tuple[AllocationPool, ...], gateway: str | None) -> None:
    """Raise InvalidInput for a pool outside its subnet, Conflict for pools that overlap or contain
    the gateway."""
    first, last = usable(block)
    for pool in pools:
        _check_pool(pool, first, last)
    ordered = sorted((int(ip_address(p.start)), int(ip_address(p.end))) for p in pools)
    for (_, end), (start, _) in itertools.pairwise(ordered):
        if start <= end:
            message = f"Found overlapping allocation pools for subnet {block}"
            raise Conflict("OverlappingAllocationPools", message)
    if gateway is not None and in_pools(gateway, pools):
        message = f"Gateway ip {gateway} conflicts with allocation pool; choose one outside them"
        raise Conflict("GatewayConflictWithAllocationPools", message)


def _check_pool(pool: AllocationPool, first: Address, last: Address) -> None:
    start, end = ip_address(pool.start), ip_address(pool.end)
    inside = _between(start, first, last) and _between(end, first, last)
    if not inside or int(start) > int(end):
        text = f"{pool.start}-{pool.end}"
        kind = "OutOfBoundsAllocationPool" if int(start) <= int(end) else "InvalidAllocationPool"
        words = f"The allocation pool {text} is not valid or spans beyond the subnet cidr"
        expected = f"a range within {first}-{last}"
        raise InvalidInput("allocation_pools", text, expected, type=kind, words=words)


def in_pools(one: str, pools: Iterable[AllocationPool]) -> bool:
    """Return whether an address is in one of the pools."""
    parsed = ip_address(one)
    return any(_between(parsed, ip_address(p.start), ip_address(p.end)) for p in pools)


def overlapping(block: str, others: Iterable[Subnet]) -> Subnet | None:
    """Return the first of `others` that overlaps `block`, or None."""
    network = ip_network(block)
    return next((s for s in others if _overlap(network, ip_network(s.cidr))), None)


def _overlap(one: Block, other: Block) -> bool:
    if isinstance(one, IPv4Network):
        return isinstance(other, IPv4Network) and one.overlaps(other)
    return isinstance(other, IPv6Network) and one.overlaps(other)


def within(inner: str, outer: str) -> bool:
    """Return whether `outer` contains all of `inner`."""
    one, other = ip_network(inner), ip_network(outer)
    if isinstance(one, IPv4Network):
        return isinstance(other, IPv4Network) and one.subnet_of(other)
    return isinstance(other, IPv6Network) and one.subnet_of(other)


def check_overlap(block: str, network_id: str, others: Iterable[Subnet]) -> None:
    """Raise InvalidInput if the subnet overlaps another subnet of its network."""
    other = overlapping(block, others)
    if other is not None:
        expected = f"a CIDR that does not overlap {other.cidr} of subnet {other.id}"
        words = f"cidr: {block} for network: {network_id} overlaps with another subnet"
        words = f"Invalid input for operation: Requested subnet with {words}"
        raise InvalidInput("cidr", block, expected, words=words)


LEAST_MTU = {4: 68, 6: 1280}
"""The minimum MTU in bytes by IP version (RFC 791, RFC 8200)."""


def device_mtu(mtu: int) -> int:
    """Return the MTU of a network's devices: at least the kernel's minimum for IPv4."""
    return max(mtu, LEAST_MTU[4])


def check_mtu(mtu: int, ip_version: int, network_id: str) -> None:
    """Raise Conflict for an MTU below the IP version's minimum."""
    least = LEAST_MTU[ip_version]
    if mtu < least:
        message = f"MTU {mtu} of network {network_id} is below the {least} that IPv{ip_version}"
        raise Conflict("NetworkMTUSubnetConflict", f"{message} needs; give it a larger one")


def contains(block: str, one: str) -> bool:
    """Return whether a device on the subnet `block` may have the address `one`."""
    first, last = usable(block)
    return _between(ip_address(one), first, last)


def uses_eui64(subnet: Subnet) -> bool:
    """Return whether devices on this IPv6 subnet form their address from their MAC (SLAAC)."""
    return subnet.ipv6_address_mode in EUI64_MODES


def eui64(block: str, mac_address: str) -> str:
    """Return the address that a device with this MAC forms on a /64."""
    return str(ip_network(block)[interface_id(mac_address)])


def interface_id(mac_address: str) -> int:
    """Return the modified EUI-64 of a MAC (RFC 4291, appendix A)."""
    octets = bytes.fromhex(mac_address.replace(":", ""))
    return int.from_bytes(bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:], "big")


def check_ipv6_modes(subnet: Subnet) -> None:
    """Raise InvalidInput for IPv6 modes of an IPv4 subnet, for two modes that differ, and for
    EUI-64 without a /64."""
    modes = {m for m in (subnet.ipv6_ra_mode, subnet.ipv6_address_mode) if m}
    if modes and subnet.ip_version == 4:
        raise InvalidInput("ipv6_address_mode", sorted(modes)[0], "null on an IPv4 subnet")
    if len(modes) > 1:
        raise InvalidInput("ipv6_ra_mode", subnet.ipv6_ra_mode, "the same as ipv6_address_mode")
    if modes & EUI64_MODES and ip_network(subnet.cidr).prefixlen != EUI64_PREFIX:
        raise InvalidInput("cidr", subnet.cidr, "a /64, since addresses are made from MACs")
