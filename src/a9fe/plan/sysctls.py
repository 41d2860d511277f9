"""The kernel settings of our namespaces: paths below /proc/sys and their values.

Both kinds of namespace set the same paths. IPv6 is on only in a namespace with IPv6 addresses, so
that elsewhere no link-local address of ours answers tenants. All its addresses are planned: the
kernel makes none, and takes none from a router advertisement.
"""

_IPV4 = {
    # Answer and announce an address only on its own device and subnet.
    "net/ipv4/conf/all/arp_announce": "2",
    "net/ipv4/conf/all/arp_ignore": "1",
    # Keep a subnet's other addresses when its first address is removed.
    "net/ipv4/conf/all/promote_secondaries": "1",
}
_IPV6 = {
    "net/ipv6/conf/default/accept_ra": "0",
    "net/ipv6/conf/default/addr_gen_mode": "1",  # the kernel makes no address
    "net/ipv6/conf/default/router_solicitation_delay": "0",  # look for duplicates at once
    "net/ipv6/conf/default/router_solicitations": "0",
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


def router(*, ipv6_on_host: bool, ipv6: bool = False) -> dict[str, str]:
    """Sysctls of a router namespace; `ipv6`: it has IPv6 addresses."""
    return _IPV4 | _ROUTER | (_ipv6(on=ipv6, forwarding=ipv6) if ipv6_on_host else {})


def dhcp(*, ipv6_on_host: bool, ipv6: bool = False) -> dict[str, str]:
    """Sysctls of a DHCP namespace; `ipv6`: it has IPv6 addresses."""
    return _IPV4 | _DHCP | (_ipv6(on=ipv6, forwarding=False) if ipv6_on_host else {})


def _ipv6(*, on: bool, forwarding: bool) -> dict[str, str]:
    return _IPV6 | {
        "net/ipv6/conf/all/disable_ipv6": "0" if on else "1",
        "net/ipv6/conf/default/disable_ipv6": "0" if on else "1",
        "net/ipv6/conf/all/forwarding": "1" if forwarding else "0",
    }


PATHS = frozenset(router(ipv6_on_host=True))


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
