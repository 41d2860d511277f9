"""The kernel settings of our namespaces: paths below /proc/sys and their values.

Both kinds of namespace set the same paths. IPv6 is off in them until IPv6 metadata is built, so
that no link-local address of ours answers tenants.
"""

_IPV4 = {
    # Answer and announce an address only on its own device and subnet.
    "net/ipv4/conf/all/arp_announce": "2",
    "net/ipv4/conf/all/arp_ignore": "1",
    # Keep a subnet's other addresses when its first address is removed.
    "net/ipv4/conf/all/promote_secondaries": "1",
}
_IPV6 = {
    "net/ipv6/conf/all/disable_ipv6": "1",
    "net/ipv6/conf/default/disable_ipv6": "1",
}
# Strict: a VM cannot send from an address of another network of the router.
_ROUTER = {
    "net/ipv4/conf/all/rp_filter": "1",
    "net/ipv4/conf/default/rp_filter": "1",
    "net/ipv4/ip_forward": "1",
    "net/ipv4/ip_nonlocal_bind": "0",
}
# rp_filter is of no use with one device; a listener may bind before its address exists.
_DHCP = {
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv4/ip_forward": "0",
    "net/ipv4/ip_nonlocal_bind": "1",
}
PATHS = frozenset(_IPV4 | _IPV6 | _ROUTER)


def router(*, ipv6_on_host: bool) -> dict[str, str]:
    """Sysctls of a router namespace."""
    return _IPV4 | _ROUTER | (_IPV6 if ipv6_on_host else {})


def dhcp(*, ipv6_on_host: bool) -> dict[str, str]:
    """Sysctls of a DHCP namespace."""
    return _IPV4 | _DHCP | (_IPV6 if ipv6_on_host else {})


def bridge(name: str) -> dict[str, str]:
    """Sysctls of a bridge in the host's own namespace that keep the host's stack off it.

    arp_ignore 8: no ARP replies. rp_filter 1: drops every packet, because the bridge has no
    address and no route, so no source is reachable through it.
    """
    return {
        f"net/ipv4/conf/{name}/arp_ignore": "8",
        f"net/ipv4/conf/{name}/rp_filter": "1",
        f"net/ipv6/conf/{name}/disable_ipv6": "1",
    }
