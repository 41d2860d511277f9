"""iptables rules of a router namespace: metadata requests go to the proxy and never leave it.

A request to 169.254.169.254 is marked, and marked packets are not forwarded, even if the proxy is
disabled. The mark uses the low 16 bits of the packet's mark; Neutron's address scopes use the high
ones.
"""

from a9fe.model.resources import METADATA_IPV4, METADATA_PORT
from a9fe.plan.routers.iptables import ruleset
from a9fe.plan.settings import L3Settings

MARK_MASK = 0xFFFF
# Only from internal interfaces (plan.names), not from an external network.
REQUEST = f"-d {METADATA_IPV4}/32 -i qr-+ -p tcp -m tcp --dport {METADATA_PORT}"


def rules(settings: L3Settings) -> str:
    """Return the ruleset as text for iptables-restore, in canonical form."""
    mark = f"{settings.metadata_access_mark & MARK_MASK:#x}/{MARK_MASK:#x}"
    port = settings.metadata_port
    proxied = settings.enable_metadata_proxy
    accept = (
        f"-A INPUT -m mark --mark {mark} -j ACCEPT",
        f"-A INPUT -p tcp -m tcp --dport {port} -j DROP",  # not redirected
    )
    redirect = (f"-A PREROUTING {REQUEST} -j REDIRECT --to-ports {port}",)
    return ruleset(
        {
            "mangle": (f"-A PREROUTING {REQUEST} -j MARK --set-xmark {mark}",),
            "nat": redirect if proxied else (),
            "filter": (
                *(accept if proxied else ()),
                f"-A FORWARD -m mark --mark {mark} -j DROP",
            ),
        }
    )
