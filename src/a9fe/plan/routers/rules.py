"""The rules of a router's namespace: metadata requests from inside go to the proxy, and nowhere
else.

Marking and the drop of marked packets on their way out stand even when the proxy is disabled:
a VM's request to 169.254.169.254 must never leave the router. The mark has the low 16 bits of
the packet's mark; the high ones are for others (Neutron's address scopes).
"""

from a9fe.model.resources import METADATA_IPV4, METADATA_PORT
from a9fe.plan.routers.iptables import ruleset
from a9fe.plan.settings import L3Settings

MARK_MASK = 0xFFFF
# Only internal devices (plan.names): a request from outside is not ours to answer.
REQUEST = f"-d {METADATA_IPV4}/32 -i qr-+ -p tcp -m tcp --dport {METADATA_PORT}"


def rules(settings: L3Settings) -> str:
    """The whole ruleset as text for iptables-restore, in canonical form."""
    mark = f"{settings.metadata_access_mark & MARK_MASK:#x}/{MARK_MASK:#x}"
    port = settings.metadata_port
    proxied = settings.enable_metadata_proxy
    accept = (
        f"-A INPUT -m mark --mark {mark} -j ACCEPT",
        f"-A INPUT -p tcp -m tcp --dport {port} -j DROP",  # direct hits, not redirected
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
