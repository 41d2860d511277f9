"""The counters of refused frames: names after "refused_", and what each counts."""

COUNTERS = {
    "stranger": "frames forwarded from or to an unknown device",
    "host": "frames between our bridges and the host's own stack",
    "mac": "source MAC that is not the port's",
    "ethertype": "neither ARP nor IPv4 nor IPv6, or malformed",
    "priority_tag": "VLAN 0 tags, which receivers strip",
    "arp": "ARP sender or probed address that is not the port's",
    "address": "source address that is not the port's",
    "claim": "claims of a gateway's, DHCP port's or router's MAC or address",
    "metadata": "metadata address: used from or by another MAC or address, or claimed",
    "rate": "new connections to a metadata address above guest_request_rate",
    "dhcp": "DHCP: another client's hardware address, fragments, or a server's answer",
    "router_advert": "router advertisements and redirects",
    "fragment": "IPv6 fragments that could hide ICMPv6 or headers",
    "neighbour_advert": "neighbour discovery for an address that is not the port's",
    "solicitation": "solicitations for metadata beyond a tap's rate",
}
