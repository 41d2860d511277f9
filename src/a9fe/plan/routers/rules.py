"""iptables rules of a router namespace: metadata never leaves it, and its ways out.

A request to 169.254.169.254 from an internal interface is marked, and redirected to the proxy.
Packets from or to that address are never forwarded, also without the proxy, and never sent through
the gateway. The mark uses the low 16 bits of the packet's mark; Neutron's address scopes use the
high ones. Nothing that came in by the gateway is sent out by it.

Traffic out by the gateway has the gateway's address (SNAT), or the floating IP of its source.
Traffic to a floating IP goes to its fixed IP (DNAT), also from the router's own networks: then it
gets an outside source address, so that the answer comes back through the router. Only the first
packet of a connection passes these rules, and redirected requests do not pass POSTROUTING.

The IPv6 rules have no way out. They also take a request that reaches the router by its advertised
route while another device has fe80::a9fe:a9fe.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from a9fe.model.resources import METADATA_IPV4, METADATA_IPV6, METADATA_PORT
from a9fe.plan.routers.iptables import ruleset
from a9fe.plan.settings import L3Settings

MARK_MASK = 0xFFFF
_TO_FIXED = re.compile(r"^-A PREROUTING -d (\S+)/32 -j DNAT --to-destination (\S+)$", re.MULTILINE)
REDIRECTED = "-m conntrack --ctstate DNAT"  # of a connection to a floating IP


@dataclass(frozen=True, slots=True, kw_only=True)
class External:
    """A router's way out. `device`: the gateway's. `snat`: the address of SNAT, "" for none.

    `floating`: pairs of a floating IP and its fixed IP. `internal`: the CIDRs of the interfaces.
    """

    device: str
    snat: str = ""
    floating: tuple[tuple[str, str], ...] = ()
    internal: tuple[str, ...] = ()


def rules(settings: L3Settings, external: External | None = None) -> str:
    """Return the IPv4 ruleset as text for iptables-restore, in canonical form."""
    return _rules(settings, f"{METADATA_IPV4}/32", external)


def rules_ipv6(settings: L3Settings) -> str:
    """Return the IPv6 ruleset, in the same form."""
    return _rules(settings, f"{METADATA_IPV6}/128", None)


def _rules(settings: L3Settings, metadata: str, external: External | None) -> str:
    # Only from internal interfaces (plan.names), not from an external network.
    request = f"-d {metadata} -i qr-+ -p tcp -m tcp --dport {METADATA_PORT}"
    mark = f"{settings.metadata_access_mark & MARK_MASK:#x}/{MARK_MASK:#x}"
    port = settings.metadata_port
    proxied = settings.enable_metadata_proxy
    accept = (
        f"-A INPUT -m mark --mark {mark} -j ACCEPT",
        f"-A INPUT -p tcp -m tcp --dport {port} -j DROP",  # not redirected
    )
    redirect = (f"-A PREROUTING {request} -j REDIRECT --to-ports {port}",)
    return ruleset(
        {
            "mangle": (f"-A PREROUTING {request} -j MARK --set-xmark {mark}",),
            "nat": (*(redirect if proxied else ()), *(_nat(external) if external else ())),
            "filter": (
                *(accept if proxied else ()),
                f"-A FORWARD -m mark --mark {mark} -j DROP",
                f"-A FORWARD -s {metadata} -j DROP",
                f"-A FORWARD -d {metadata} -j DROP",
                *(_at_gateway(external) if external else ()),
            ),
        }
    )


def translations(text: str) -> dict[str, str]:
    """The fixed IP of each floating IP in a ruleset."""
    return dict(_TO_FIXED.findall(text))


def _at_gateway(external: External) -> Sequence[str]:
    device = external.device
    return (
        f"-A FORWARD -i {device} -o {device} -j DROP",
        f"-A OUTPUT -s {METADATA_IPV4}/32 -o {device} -j DROP",
        f"-A OUTPUT -d {METADATA_IPV4}/32 -o {device} -j DROP",
    )


def _nat(external: External) -> Iterator[str]:
    device, snat = external.device, external.snat
    for chain in ("PREROUTING", "OUTPUT"):
        for floating, fixed in external.floating:
            yield f"-A {chain} -d {floating}/32 -j DNAT --to-destination {fixed}"
    for floating, fixed in external.floating:
        yield f"-A POSTROUTING -s {fixed}/32 -o {device} -j SNAT --to-source {floating}"
        yield f"-A POSTROUTING -s {fixed}/32 {REDIRECTED} -j SNAT --to-source {floating}"
    if snat:
        yield f"-A POSTROUTING -o {device} -j SNAT --to-source {snat}"
        for cidr in external.internal if external.floating else ():
            yield f"-A POSTROUTING -s {cidr} {REDIRECTED} -j SNAT --to-source {snat}"
