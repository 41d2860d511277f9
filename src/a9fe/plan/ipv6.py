"""The IPv6 addresses of our devices, and the metadata address.

A device with IPv6 has the link-local address made of its MAC, which is planned like any other
address, and perhaps fe80::a9fe:a9fe. That one may be on one device of a network only: on the
interface of a router with IPv6 on that network, else on a DHCP port. Several routers or DHCP
agents may want it, so the kernel looks for a duplicate (RFC 4862 section 5.4) before it is used. A
device that finds one serves without the address, and tries again until it has it.

A guest may send from a link-local address of its own choice. The filters of our bridges translate
it (plan.filters.chains), so a namespace sees an address of TRANSLATED, with the port's MAC in it.
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv6Network

from a9fe.model.resources import METADATA_IPV6, Port, Subnet
from a9fe.model.rules import addresses as rules
from a9fe.plan.host import Address

LINK_LOCAL = "fe80::/64"
TRANSLATED = "fe80:0:0:1::-fe80:ffff:ffff:ffff:ffff:ffff:ffff:ffff"  # no host has such an address
METADATA = f"{METADATA_IPV6}/128"


def is_shared(address: Address) -> bool:
    """Whether several devices of a network may want the address."""
    return address.cidr == METADATA


def link_local(mac_address: str) -> str:
    """The link-local address of a device with this MAC."""
    return rules.eui64(LINK_LOCAL, mac_address)


def of_port(port: Port, subnets: Iterable[Subnet], device: str) -> Iterator[Address]:
    """The link-local address and the IPv6 fixed IPs of one of our ports.

    `subnets` are those of its network.
    """
    yield Address(device=device, cidr=f"{link_local(port.mac_address)}/64")
    blocks = {s.id: IPv6Network(s.cidr) for s in subnets if s.ip_version == 6}
    for ip in port.fixed_ips:
        if ip.subnet_id in blocks:
            length = blocks[ip.subnet_id].prefixlen
            yield Address(device=device, cidr=f"{ip.ip_address}/{length}")


def metadata(device: str) -> Address:
    """The metadata address on a device."""
    return Address(device=device, cidr=METADATA)
