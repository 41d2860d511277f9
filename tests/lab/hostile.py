"""A network, and frames of its guests that must or must not pass."""

from ipaddress import ip_address

from a9fe.model.resources import METADATA_IPV4, METADATA_IPV6, AddressPair, Port
from a9fe.plan import names
from tests.kit.fake_model import dhcp_port, network, port, subnet
from tests.lab import frames
from tests.lab.frames import ARP, BROADCAST, ICMPV6, IPV4, IPV6, TCP, UDP

NET = network(1)
OTHER = network(2)
SUBNET = subnet(1, NET, "10.1.0.0/24", "10.1.0.1")
SUBNET6 = subnet(2, NET, "fd00::/64", "fd00::1", ip_version=6)
DHCP = dhcp_port(1, NET, (SUBNET, "10.1.0.2"), (SUBNET6, "fd00::2"))
PAIRS = (
    AddressPair(ip_address="10.1.0.0/24"),
    AddressPair(ip_address="10.1.0.77"),
    AddressPair(ip_address="0.0.0.0/0"),
    AddressPair(ip_address=METADATA_IPV4),
    AddressPair(ip_address="fd00::/64"),
    AddressPair(ip_address="fe80::/64"),
    AddressPair(ip_address="fd07::7"),
    AddressPair(ip_address="10.1.0.6", mac_address=DHCP.mac_address),
)
GUARDED = port(5, NET, (SUBNET, "10.1.0.5"))
VICTIM = port(6, NET, (SUBNET, "10.1.0.6"))
PAIRED = port(7, NET, (SUBNET, "10.1.0.7"), allowed_address_pairs=PAIRS)
OPEN = port(8, NET, (SUBNET, "10.1.0.8"), port_security_enabled=False)
ELSEWHERE = port(9, NET, (SUBNET, "10.1.0.9"), host="node2")
MODEL = (NET, OTHER, SUBNET, SUBNET6, DHCP, GUARDED, VICTIM, PAIRED, OPEN, ELSEWHERE)
BRIDGE, OTHER_BRIDGE = names.bridge(NET.id), names.bridge(OTHER.id)
SERVICE = "qdhcp-" + NET.id
ALL_NODES = "33:33:00:00:00:01"


def link_local(mac: str) -> str:
    with_bit = int(mac[:2], 16) ^ 2
    rest = mac.replace(":", "")[2:]
    return f"fe80::{with_bit:02x}{rest[:2]}:{rest[2:4]}ff:fe{rest[4:6]}:{rest[6:]}"


def arp(of: Port, address: str, target: str = "10.1.0.2", **how: object) -> bytes:
    sender = str(how.get("sender", of.mac_address))
    operation = int(str(how.get("operation", 1)))
    return frames.ether(
        BROADCAST, of.mac_address, ARP, frames.arp(operation, sender, address, target)
    )


def ip(of: Port, source: str, to: str, payload: bytes = b"", **how: object) -> bytes:
    body = payload or frames.udp(5000, 80)
    packet = frames.ipv4(source, to, UDP, body, int(str(how.get("fragment", 0))))
    return frames.ether(DHCP.mac_address, str(how.get("mac", of.mac_address)), IPV4, packet)


def ip6(
    of: Port, source: str, following: int, payload: bytes, to: str = "ff02::1", mac: str = ""
) -> bytes:
    packet = frames.ipv6(source, to, following, payload)
    return frames.ether(ALL_NODES, mac or of.mac_address, IPV6, packet)


def tagged(frame: bytes, *tags: int, vlan: int = 0) -> bytes:
    kind = b"".join(tag.to_bytes(2, "big") + vlan.to_bytes(2, "big") for tag in tags)
    return frame[:12] + kind + frame[12:]


def discover(of: Port, client: str, **how: object) -> bytes:
    body = frames.udp(int(str(how.get("sport", 68))), 67, frames.dhcp(client))
    packet = frames.ipv4(
        str(how.get("source", "0.0.0.0")),
        "255.255.255.255",
        UDP,
        body,
        int(str(how.get("fragment", 0))),
    )
    return frames.ether(BROADCAST, of.mac_address, IPV4, packet)


G, P, U = GUARDED, PAIRED, OPEN
LL, LL_P, LL_U, LL_DHCP = (link_local(of.mac_address) for of in (G, P, U, DHCP))
ASK6 = frames.icmpv6(135, METADATA_IPV6)
GET6 = frames.tcp(5000, 80)
CHOSEN, TEMPORARY = "fe80::1234:5678:9abc:def0", "fd00::1234:5678:9abc:def0"
GROUP6 = "ff02::1:fffe:a9fe"


def translated(of: Port) -> str:
    """The chosen address of a port's guest as our namespaces see it."""
    mac = of.mac_address.replace(":", "")
    parts = ":".join((mac[:4], mac[4:8], mac[8:]))
    return str(ip_address(CHOSEN.replace("fe80::", f"fe80:{parts}:", 1)))


ADVERT = frames.icmpv6(134)

PASSING: dict[str, tuple[Port, bytes]] = {
    "own ARP": (G, arp(G, "10.1.0.5")),
    "ARP probe for one's own": (G, arp(G, "0.0.0.0", "10.1.0.5")),
    "own IPv4": (G, ip(G, "10.1.0.5", "10.1.0.2")),
    "own IPv4 to metadata": (G, ip(G, "10.1.0.5", METADATA_IPV4)),
    "own ARP for metadata": (G, arp(G, "10.1.0.5", METADATA_IPV4)),
    "own fragments": (G, ip(G, "10.1.0.5", "10.1.0.2", fragment=0x2000)),
    "DHCP": (G, discover(G, G.mac_address)),
    "DHCP renewal": (G, discover(G, G.mac_address, source="10.1.0.5")),
    "own link-local": (G, ip6(G, LL, UDP, frames.udp(5000, 5001))),
    "own solicitation": (G, ip6(G, LL, ICMPV6, frames.icmpv6(135, "fe80::1"))),
    "own duplicate detection": (G, ip6(G, "::", ICMPV6, frames.icmpv6(135, LL))),
    "own advertisement": (G, ip6(G, LL, ICMPV6, frames.icmpv6(136, LL))),
    "IPv6 UDP fragment": (G, ip6(G, LL, 44, frames.fragment6(UDP, frames.udp(5000, 5001)))),
    "IPv4 of a pair's prefix": (P, ip(P, "10.1.0.99", "10.1.0.6")),
    "IPv4 of a pair of all": (P, ip(P, "8.8.8.8", "10.1.0.6")),
    "ARP of a pair": (P, arp(P, "10.1.0.77")),
    "IPv6 of a pair": (P, ip6(P, "fd00::7", UDP, frames.udp(5000, 5001))),
    "advertisement of a pair": (P, ip6(P, "fd00::7", ICMPV6, frames.icmpv6(136, "fd00::7"))),
    "IPv6 of a pair's address": (P, ip6(P, "fd07::7", UDP, frames.udp(5000, 5001))),
    "advertisement of a pair's address": (
        P,
        ip6(P, "fd07::7", ICMPV6, frames.icmpv6(136, "fd07::7")),
    ),
    "detection of a pair's": (P, ip6(P, "::", ICMPV6, frames.icmpv6(135, "fd00::7"))),
    "own second fragment": (G, ip(G, "10.1.0.5", "10.1.0.2", fragment=1)),
    "own IPv6 to metadata": (G, ip6(G, LL, UDP, frames.udp(5000, 80), METADATA_IPV6)),
    "own solicitation for metadata": (G, ip6(G, LL, ICMPV6, ASK6)),
    "own router solicitation": (G, ip6(G, LL, ICMPV6, frames.icmpv6(133))),
    "DHCPv6": (G, ip6(G, LL, UDP, frames.udp(546, 547))),
    "own IPv6 to metadata, with pairs": (
        P,
        ip6(P, LL_P, UDP, frames.udp(5000, 80), METADATA_IPV6),
    ),
    "own IPv4 to metadata, with pairs": (P, ip(P, "10.1.0.7", METADATA_IPV4)),
    "any IPv4 without port security": (U, ip(U, "10.1.0.99", "10.1.0.6")),
    "any MAC without port security": (U, ip(U, "10.1.0.99", "10.1.0.6", mac="02:00:00:00:00:01")),
    "any ethertype without port security": (
        U,
        frames.ether(BROADCAST, U.mac_address, 0x88B5, b"x"),
    ),
    "a VLAN of one's own without port security": (
        U,
        tagged(ip(U, "10.1.0.8", "10.1.0.6"), 0x8100, vlan=5),
    ),
    "own IPv4 to metadata without port security": (U, ip(U, "10.1.0.8", METADATA_IPV4)),
    "DHCP without port security": (U, discover(U, U.mac_address)),
    "a DHCP server without port security": (
        U,
        ip(U, "10.1.0.8", "10.1.0.6", frames.udp(67, 68)),
    ),
    "a DHCPv6 server without port security": (U, ip6(U, LL_U, UDP, frames.udp(547, 546))),
    "a router without port security": (U, ip6(U, LL_U, ICMPV6, ADVERT)),
    "own solicitation for metadata without port security": (U, ip6(U, LL_U, ICMPV6, ASK6)),
    "own IPv6 to metadata without port security": (
        U,
        ip6(U, LL_U, UDP, frames.udp(5000, 80), METADATA_IPV6),
    ),
    "a chosen link-local address to metadata": (G, ip6(G, CHOSEN, TCP, GET6, METADATA_IPV6)),
    "solicitation from a chosen address": (G, ip6(G, CHOSEN, ICMPV6, ASK6, GROUP6)),
    "solicitation from a chosen address to one": (G, ip6(G, CHOSEN, ICMPV6, ASK6, METADATA_IPV6)),
    "a chosen link-local address to metadata, with pairs": (
        P,
        ip6(P, CHOSEN, TCP, GET6, METADATA_IPV6),
    ),
    "a chosen link-local address to metadata without port security": (
        U,
        ip6(U, CHOSEN, TCP, GET6, METADATA_IPV6),
    ),
    "IPv6 fragments without port security": (
        U,
        ip6(U, LL_U, 44, frames.fragment6(UDP, frames.udp(5000, 5001))),
    ),
}

DROPPED: dict[str, tuple[Port, bytes, str]] = {
    "a stolen MAC": (G, ip(G, "10.1.0.5", "10.1.0.2", mac=VICTIM.mac_address), "mac"),
    "a stolen address": (G, ip(G, "10.1.0.6", "10.1.0.2"), "address"),
    "a stolen address to metadata": (G, ip(G, "10.1.0.6", METADATA_IPV4), "metadata"),
    "802.1Q id 0": (G, tagged(ip(G, "10.1.0.6", METADATA_IPV4), 0x8100), "ethertype"),
    "802.1ad id 0": (G, tagged(ip(G, "10.1.0.6", METADATA_IPV4), 0x88A8), "ethertype"),
    "QinQ 0/0": (G, tagged(ip(G, "10.1.0.6", METADATA_IPV4), 0x88A8, 0x8100), "ethertype"),
    "own IPv4 in 802.1Q id 0": (G, tagged(ip(G, "10.1.0.5", "10.1.0.2"), 0x8100), "ethertype"),
    "802.1Q of priority 7": (
        G,
        tagged(ip(G, "10.1.0.5", "10.1.0.2"), 0x8100, vlan=0xE000),
        "ethertype",
    ),
    "a VLAN": (G, tagged(ip(G, "10.1.0.5", "10.1.0.2"), 0x8100, vlan=5), "ethertype"),
    "a VLAN in a VLAN": (
        G,
        tagged(ip(G, "10.1.0.5", "10.1.0.2"), 0x88A8, 0x8100, vlan=5),
        "ethertype",
    ),
    "SNAP": (
        G,
        frames.ether(BROADCAST, G.mac_address, 60, b"\xaa\xaa\3\0\0\0\x08\0"),
        "ethertype",
    ),
    "BPDU": (G, frames.ether("01:80:c2:00:00:00", G.mac_address, 38, b"\x42\x42\3"), "ethertype"),
    "an unknown ethertype": (G, frames.ether(BROADCAST, G.mac_address, 0x88B5, b"x"), "ethertype"),
    "malformed IPv6": (
        G,
        frames.ether(BROADCAST, G.mac_address, IPV6, b"\x60" + bytes(6)),
        "ethertype",
    ),
    "ARP of another's address": (G, arp(G, "10.1.0.6"), "arp"),
    "ARP of another's MAC": (G, arp(G, "10.1.0.5", sender=VICTIM.mac_address), "arp"),
    "ARP reply for another": (G, arp(G, "10.1.0.6", operation=2), "arp"),
    "ARP probe for another's address": (G, arp(G, "0.0.0.0", "10.1.0.6"), "arp"),
    "RARP": (G, arp(G, "10.1.0.5", operation=3), "arp"),
    "ARP claims metadata": (G, arp(G, METADATA_IPV4), "metadata"),
    "ARP probe for metadata": (G, arp(G, "0.0.0.0", METADATA_IPV4), "metadata"),
    "ARP claims the gateway": (G, arp(G, "10.1.0.1"), "arp"),
    "DHCP server": (G, ip(G, "10.1.0.5", "10.1.0.6", frames.udp(67, 68)), "dhcp"),
    "DHCP server, other port": (G, ip(G, "10.1.0.5", "10.1.0.6", frames.udp(99, 68)), "dhcp"),
    "DHCP of another's MAC": (G, discover(G, VICTIM.mac_address), "dhcp"),
    "unicast DHCP of another": (
        G,
        ip(G, "10.1.0.5", "10.1.0.2", frames.udp(68, 67, frames.dhcp(VICTIM.mac_address))),
        "dhcp",
    ),
    "DHCP in fragments": (G, discover(G, G.mac_address, fragment=0x2000), "dhcp"),
    "DHCP server in fragments": (
        G,
        ip(G, "10.1.0.5", "10.1.0.6", frames.udp(67, 68), fragment=0x2000),
        "dhcp",
    ),
    "a stolen address in a fragment": (
        G,
        ip(G, "10.1.0.6", "10.1.0.2", fragment=0x2000),
        "address",
    ),
    "a stolen address in a second fragment": (
        G,
        ip(G, "10.1.0.6", "10.1.0.2", fragment=1),
        "address",
    ),
    "a stolen address to metadata in a fragment": (
        G,
        ip(G, "10.1.0.6", METADATA_IPV4, fragment=0x2001),
        "metadata",
    ),
    "DHCP from no client port": (G, discover(G, G.mac_address, sport=1024), "address"),
    "unspecified IPv4": (G, ip(G, "0.0.0.0", "10.1.0.6"), "address"),
    "router advertisement": (G, ip6(G, LL, ICMPV6, ADVERT), "router_advert"),
    "router advertisement behind options": (
        G,
        ip6(G, LL, 0, frames.options6(60, frames.options6(ICMPV6, ADVERT))),
        "router_advert",
    ),
    "router advertisement in a fragment": (
        G,
        ip6(G, LL, 44, frames.fragment6(ICMPV6, ADVERT, more=False)),
        "fragment",
    ),
    "router advertisement in a second fragment": (
        G,
        ip6(G, LL, 44, frames.fragment6(60, ADVERT, 1, more=False)),
        "ethertype",
    ),
    "first fragment of options alone": (
        G,
        ip6(G, LL, 44, frames.fragment6(60, frames.options6(ICMPV6, b""))),
        "fragment",
    ),
    "fragment in a fragment": (
        G,
        ip6(G, LL, 44, frames.fragment6(44, frames.fragment6(ICMPV6, ADVERT))),
        "fragment",
    ),
    "ICMPv6 redirect": (G, ip6(G, LL, ICMPV6, frames.icmpv6(137)), "router_advert"),
    "advertisement of another's": (
        G,
        ip6(G, LL, ICMPV6, frames.icmpv6(136, link_local(VICTIM.mac_address))),
        "neighbour_advert",
    ),
    "detection of another's": (
        G,
        ip6(G, "::", ICMPV6, frames.icmpv6(135, link_local(VICTIM.mac_address))),
        "neighbour_advert",
    ),
    "claims IPv6 metadata": (G, ip6(G, LL, ICMPV6, frames.icmpv6(136, METADATA_IPV6)), "metadata"),
    "claims IPv6 metadata by solicitation": (
        G,
        ip6(G, METADATA_IPV6, ICMPV6, frames.icmpv6(135, LL_P)),
        "metadata",
    ),
    "detection of IPv6 metadata": (G, ip6(G, "::", ICMPV6, ASK6), "metadata"),
    "solicitation for metadata from another's": (
        G,
        ip6(G, link_local(VICTIM.mac_address), ICMPV6, ASK6),
        "metadata",
    ),
    "claims a neighbour by solicitation": (
        G,
        ip6(G, link_local(VICTIM.mac_address), ICMPV6, frames.icmpv6(135, LL_DHCP)),
        "address",
    ),
    "claims the gateway": (
        G,
        ip6(G, LL, ICMPV6, frames.icmpv6(136, "fd00::1")),
        "neighbour_advert",
    ),
    "a stolen IPv6 address to metadata": (
        G,
        ip6(G, link_local(VICTIM.mac_address), UDP, frames.udp(5000, 80), METADATA_IPV6),
        "metadata",
    ),
    "a stolen MAC to IPv6 metadata": (
        G,
        ip6(G, LL, UDP, frames.udp(5000, 80), METADATA_IPV6, mac=VICTIM.mac_address),
        "mac",
    ),
    "answers as IPv6 metadata": (G, ip6(G, METADATA_IPV6, UDP, frames.udp(80, 5000)), "metadata"),
    "answers as metadata": (G, ip(G, METADATA_IPV4, "10.1.0.6"), "metadata"),
    "neighbour discovery in fragments": (
        G,
        ip6(G, LL, 44, frames.fragment6(ICMPV6, frames.icmpv6(136, LL))),
        "fragment",
    ),
    "a stolen IPv6 address": (G, ip6(G, "fe80::6", UDP, frames.udp(5000, 5001)), "address"),
    "DHCPv6 server": (G, ip6(G, LL, UDP, frames.udp(547, 546)), "dhcp"),
    "pair to metadata": (P, ip(P, "10.1.0.6", METADATA_IPV4), "metadata"),
    "pair of all to metadata": (P, ip(P, "8.8.8.8", METADATA_IPV4), "metadata"),
    "pair to IPv6 metadata": (
        P,
        ip6(P, "fd00::7", UDP, frames.udp(5000, 80), METADATA_IPV6),
        "metadata",
    ),
    "pair asks for metadata": (P, arp(P, "10.1.0.6", METADATA_IPV4), "metadata"),
    "pair claims metadata": (P, arp(P, METADATA_IPV4), "metadata"),
    "pair claims the gateway": (P, arp(P, "10.1.0.1"), "claim"),
    "pair claims the DHCP port": (P, arp(P, "10.1.0.2"), "claim"),
    "pair with the DHCP port's MAC": (
        P,
        ip(P, "10.1.0.6", "10.1.0.5", mac=DHCP.mac_address),
        "claim",
    ),
    "pair as the gateway": (P, ip(P, "10.1.0.1", "10.1.0.6"), "claim"),
    "pair claims IPv6 metadata": (
        P,
        ip6(P, "fd00::7", ICMPV6, frames.icmpv6(136, METADATA_IPV6)),
        "metadata",
    ),
    "pair claims the IPv6 gateway": (
        P,
        ip6(P, "fd00::7", ICMPV6, frames.icmpv6(136, "fd00::1")),
        "claim",
    ),
    "pair claims the DHCP port's link-local address": (
        P,
        ip6(P, "fd00::7", ICMPV6, frames.icmpv6(136, LL_DHCP)),
        "claim",
    ),
    "pair claims the IPv6 gateway by solicitation": (
        P,
        ip6(P, "fd00::1", ICMPV6, frames.icmpv6(135, LL)),
        "claim",
    ),
    "pair as the IPv6 gateway": (P, ip6(P, "fd00::1", UDP, frames.udp(5000, 5001)), "claim"),
    "DHCP of a pair": (P, discover(P, VICTIM.mac_address), "dhcp"),
    "a stolen address to metadata without port security": (
        U,
        ip(U, "10.1.0.6", METADATA_IPV4),
        "metadata",
    ),
    "a stolen MAC to metadata without port security": (
        U,
        ip(U, "10.1.0.8", METADATA_IPV4, mac=VICTIM.mac_address),
        "metadata",
    ),
    "metadata in 802.1Q id 0 without port security": (
        U,
        tagged(ip(U, "10.1.0.6", METADATA_IPV4), 0x8100),
        "priority_tag",
    ),
    "metadata in QinQ 0/0 without port security": (
        U,
        tagged(ip(U, "10.1.0.6", METADATA_IPV4), 0x88A8, 0x8100),
        "priority_tag",
    ),
    "ARP claims metadata without port security": (U, arp(U, METADATA_IPV4), "metadata"),
    "ARP claims the DHCP port without port security": (U, arp(U, "10.1.0.2"), "claim"),
    "the DHCP port's MAC without port security": (
        U,
        ip(U, "10.1.0.8", "10.1.0.6", mac=DHCP.mac_address),
        "claim",
    ),
    "DHCP of another without port security": (U, discover(U, VICTIM.mac_address), "dhcp"),
    "metadata of priority 7 without port security": (
        U,
        tagged(ip(U, "10.1.0.6", METADATA_IPV4), 0x8100, vlan=0xE000),
        "priority_tag",
    ),
    "a stolen address to metadata in fragments without port security": (
        U,
        ip(U, "10.1.0.6", METADATA_IPV4, fragment=0x2001),
        "metadata",
    ),
    "DHCP in fragments without port security": (
        U,
        discover(U, U.mac_address, fragment=0x2000),
        "dhcp",
    ),
    "answers as metadata without port security": (U, ip(U, METADATA_IPV4, "10.1.0.6"), "metadata"),
    "answers as IPv6 metadata without port security": (
        U,
        ip6(U, METADATA_IPV6, UDP, frames.udp(80, 5000)),
        "metadata",
    ),
    "claims IPv6 metadata without port security": (
        U,
        ip6(U, LL_U, ICMPV6, frames.icmpv6(136, METADATA_IPV6)),
        "metadata",
    ),
    "claims IPv6 metadata behind options without port security": (
        U,
        ip6(U, LL_U, 0, frames.options6(ICMPV6, frames.icmpv6(136, METADATA_IPV6))),
        "metadata",
    ),
    "claims IPv6 metadata in fragments without port security": (
        U,
        ip6(U, LL_U, 44, frames.fragment6(ICMPV6, frames.icmpv6(136, METADATA_IPV6)[:8])),
        "claim",
    ),
    "claims IPv6 metadata by solicitation without port security": (
        U,
        ip6(U, METADATA_IPV6, ICMPV6, frames.icmpv6(135, LL)),
        "metadata",
    ),
    "detection of IPv6 metadata without port security": (
        U,
        ip6(U, "::", ICMPV6, ASK6),
        "metadata",
    ),
    "claims the IPv6 gateway without port security": (
        U,
        ip6(U, LL_U, ICMPV6, frames.icmpv6(136, "fd00::1")),
        "claim",
    ),
    "claims the DHCP port's link-local address without port security": (
        U,
        ip6(U, LL_DHCP, ICMPV6, frames.icmpv6(135, LL)),
        "claim",
    ),
    "a router with the DHCP port's address without port security": (
        U,
        ip6(U, LL_DHCP, ICMPV6, ADVERT),
        "claim",
    ),
    "a stolen IPv6 address to metadata without port security": (
        U,
        ip6(U, LL, UDP, frames.udp(5000, 80), METADATA_IPV6),
        "metadata",
    ),
    "a chosen address to another port": (
        G,
        ip6(G, CHOSEN, TCP, frames.tcp(5000, 81), METADATA_IPV6),
        "metadata",
    ),
    "a chosen address by UDP": (
        G,
        ip6(G, CHOSEN, UDP, frames.udp(5000, 80), METADATA_IPV6),
        "metadata",
    ),
    "a chosen address elsewhere": (G, ip6(G, CHOSEN, TCP, GET6, LL_DHCP), "address"),
    "a temporary address to metadata": (
        G,
        ip6(G, TEMPORARY, TCP, GET6, METADATA_IPV6),
        "metadata",
    ),
    "another's translated address": (
        G,
        ip6(G, translated(VICTIM), TCP, GET6, METADATA_IPV6),
        "metadata",
    ),
    "solicitation as another's translated address": (
        G,
        ip6(G, translated(VICTIM), ICMPV6, ASK6, GROUP6),
        "metadata",
    ),
    "advertisement from a chosen address": (
        G,
        ip6(G, CHOSEN, ICMPV6, frames.icmpv6(136, CHOSEN), METADATA_IPV6),
        "metadata",
    ),
    "solicitation for metadata to another group": (
        G,
        ip6(G, CHOSEN, ICMPV6, ASK6),
        "metadata",
    ),
    "another's translated address without port security": (
        U,
        ip6(U, translated(VICTIM), TCP, GET6, METADATA_IPV6),
        "metadata",
    ),
    "a chosen address with a stolen MAC without port security": (
        U,
        ip6(U, CHOSEN, TCP, GET6, METADATA_IPV6, mac=VICTIM.mac_address),
        "metadata",
    ),
    "claims IPv6 metadata to metadata without port security": (
        U,
        ip6(U, LL_U, ICMPV6, frames.icmpv6(136, METADATA_IPV6), METADATA_IPV6),
        "metadata",
    ),
    "a stolen MAC to IPv6 metadata without port security": (
        U,
        ip6(U, LL_U, UDP, frames.udp(5000, 80), METADATA_IPV6, mac=VICTIM.mac_address),
        "metadata",
    ),
}
