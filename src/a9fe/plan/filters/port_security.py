"""The elements of plan.filters.bridge_filter's sets: what each VM of a host may send.

A VM's address is its identity on the metadata path. So frames to the metadata addresses must come
from the port's own MAC and fixed addresses, even without port security. With port security
(Neutron's port_security_enabled) all other frames must, too, or from allowed_address_pairs. Ports
with network:* owners are ours, and are known by device group.

A malformed MAC or address in the model gives no element, so nothing passes with it.
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass

from netaddr import EUI, AddrFormatError, mac_unix_expanded

from a9fe.model.resources import Port, Subnet, is_network_owner
from a9fe.model.rules import addresses as rules
from a9fe.plan import names
from a9fe.plan.filters.bridge_filter import Taps
from a9fe.plan.filters.fingerprint import changed, security
from a9fe.plan.host import PortSecurity, TapElements

CANONICAL_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
LINK_LOCAL = 0xFE80 << 112
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Prefix = ipaddress.IPv4Network | ipaddress.IPv6Network
Element = tuple[str, str]  # a set's name, and what follows the device in the element


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """Addresses and MACs that no VM of a network may claim: gateways', and our own ports', with
    their link-local addresses.
    """

    addresses: frozenset[str] = frozenset()
    macs: frozenset[str] = frozenset()


def is_vm(port: Port) -> bool:
    """Whether the port is a VM's, not one of ours."""
    return not is_network_owner(port.device_owner)


def of_network(ports: Iterable[Port], subnets: Iterable[Subnet], host: str) -> PortSecurity:
    """The filters of one network's taps: of VMs' ports with admin_state_up that are not bound to
    another host.

    `ports` and `subnets` are all of that network. Gateways and our own ports decide about the taps
    of ports without port security or with address pairs, so plan all taps of a network again
    after any change of its ports or subnets. O(ports of the network).
    """
    listed = tuple(ports)
    reserved = reservations(listed, subnets)
    return security(
        {
            names.outer_device(port.id): of_port(port, reserved)
            for port in listed
            if port.host in {"", host} and is_vm(port) and port.admin_state_up
        }
    )


def of_port(port: Port, reserved: Reserved) -> TapElements:
    """The elements of the tap of a VM's port. `reserved` are its network's."""
    is_strict = port.port_security_enabled and not port.allowed_address_pairs
    return frozenset(_elements(port, Reserved() if is_strict else reserved))


def reservations(ports: Iterable[Port], subnets: Iterable[Subnet]) -> Reserved:
    """What no VM may claim on a network with these ports and subnets."""
    ours = [port for port in ports if not is_vm(port)]
    addresses = {subnet.gateway_ip for subnet in subnets if subnet.gateway_ip}
    addresses |= {ip.ip_address for port in ours for ip in port.fixed_ips}
    macs = frozenset(mac for port in ours if (mac := _mac(port.mac_address)) is not None)
    addresses |= {str(_link_local(mac)) for mac in macs}
    return Reserved(addresses=frozenset(addresses), macs=macs)


def without(filters: PortSecurity, devices: Set[str]) -> PortSecurity:
    """The filters without these devices, which are then unknown. O(taps)."""
    gone = {device: filters.taps[device] for device in devices & filters.taps.keys()}
    if not gone:
        return filters
    taps = {d: elements for d, elements in filters.taps.items() if d not in gone}
    return PortSecurity(marker=changed(filters.marker, gone, {}), taps=taps)


def changes(wanted: Taps, loaded: Taps) -> dict[str, TapElements | None]:
    """What turns the `loaded` taps into the `wanted` ones: elements by device, None to remove."""
    return {
        device: wanted.get(device)
        for device in wanted.keys() | loaded.keys()
        if wanted.get(device) != loaded.get(device)
    }


def _elements(port: Port, reserved: Reserved) -> Iterator[Element]:
    mac = _mac(port.mac_address)
    yield "taps", ""
    if not port.port_security_enabled:
        yield "open", ""
    if mac is None:
        return
    own = [a for ip in port.fixed_ips if (a := _address(ip.ip_address)) is not None]
    own.append(_link_local(mac))
    yield "chaddrs", f"0x{mac.replace(':', '')}"
    for address in own:
        yield f"own{address.version}", f"{mac} . {address}"
    yield from _reserved(mac, own, reserved)
    if port.port_security_enabled:
        yield "macs", mac
        yield from _pairs(port, mac)
        yield from _targets(port, own)


def _reserved(mac: str, own: list[Address], reserved: Reserved) -> Iterator[Element]:
    for text in reserved.addresses:
        address = _address(text)
        if address is not None and address not in own:
            value = str(address) if address.version == 4 else hex(int(address))
            yield f"reserved{address.version}", value
    yield from (("reserved_macs", other) for other in reserved.macs if other != mac)


def _pairs(port: Port, mac: str) -> Iterator[Element]:
    """Made disjoint, because nftables refuses overlapping intervals."""
    by_mac: dict[str, list[Prefix]] = {}
    for pair in port.allowed_address_pairs:
        sender, prefix = _mac(pair.mac_address or mac), _prefix(pair.ip_address)
        if sender is not None and prefix is not None:
            by_mac.setdefault(sender, []).append(prefix)
    for sender, prefixes in by_mac.items():
        yield "macs", sender
        for prefix in _collapsed(prefixes):
            single = prefix.prefixlen == prefix.max_prefixlen
            value = prefix.network_address if single else prefix
            yield f"{'pairs' if single else 'wide'}{prefix.version}", f"{sender} . {value}"


def _targets(port: Port, own: list[Address]) -> Iterator[Element]:
    yield from (("targets", hex(int(address))) for address in own if address.version == 6)
    pairs = (_prefix(pair.ip_address) for pair in port.allowed_address_pairs)
    for prefix in _collapsed(p for p in pairs if p is not None and p.version == 6):
        first, last = int(prefix.network_address), int(prefix.broadcast_address)
        if first == last:
            yield "targets", hex(first)
        else:
            yield "wide_targets", f"{first:#x}-{last:#x}"


def _collapsed(prefixes: Iterable[Prefix]) -> Iterator[Prefix]:
    listed = list(prefixes)
    yield from ipaddress.collapse_addresses(
        p for p in listed if isinstance(p, ipaddress.IPv4Network)
    )
    yield from ipaddress.collapse_addresses(
        p for p in listed if isinstance(p, ipaddress.IPv6Network)
    )


def _mac(text: str) -> str | None:
    if CANONICAL_MAC.fullmatch(text):  # nearly all, and EUI takes 20 us
        return text
    try:
        return str(EUI(text, dialect=mac_unix_expanded))
    except (AddrFormatError, TypeError, ValueError):
        return None


def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text) if "%" not in text else None
    except ValueError:
        return None


def _prefix(text: str) -> Prefix | None:
    try:
        return ipaddress.ip_network(text, strict=False) if "%" not in text else None
    except ValueError:
        return None


def _link_local(mac: str) -> ipaddress.IPv6Address:
    return ipaddress.IPv6Address(LINK_LOCAL | rules.interface_id(mac))
