"""Port security: what a tap may send, as one nftables table of the bridge family.

A VM's address is its identity on the metadata path, so a tap may send only from its port's own
MAC and addresses (Neutron's port_security_enabled and allowed_address_pairs). It may not answer
DHCP nor announce routes, and it cannot claim the metadata, gateway or DHCP address, as those
are never its own. Ports of network:* owners are ours and are not filtered.
"""

import hashlib
import re
from collections.abc import Iterable

from netaddr import EUI, IPNetwork

from a9fe.model.resources import METADATA_IPV4, Port
from a9fe.plan import names

TABLE = "a9fe"
FINGERPRINT_PREFIX = "plan-"  # a chain of this name tells which ruleset is loaded
FINGERPRINT_LENGTH = 16


def ruleset(ports: Iterable[Port]) -> str:
    """The whole table for these ports as text for `nft -f`, "" where none is to be guarded."""
    guarded = sorted((p for p in ports if is_guarded(p)), key=lambda p: p.id)
    if not guarded:
        return ""
    chains = "".join(_chain(port) for port in guarded)
    jumps = ",\n".join(
        f'      "{names.outer_device(p.id)}" : jump {names.outer_device(p.id)}' for p in guarded
    )
    body = (
        f"{chains}"
        "  chain prerouting {\n"
        "    type filter hook prerouting priority -300; policy accept;\n"
        f"    iifname vmap {{\n{jumps}\n    }}\n"
        "  }\n"
    )
    return f"table bridge {TABLE} {{\n  chain {fingerprint(body)} {{\n  }}\n{body}}}\n"


def is_guarded(port: Port) -> bool:
    """Whether the port is a VM's (not one of ours) and has port security on."""
    return port.port_security_enabled and not port.device_owner.startswith("network:")


def fingerprint(body: str) -> str:
    """The name of the marker chain for this body: equal rulesets, equal names."""
    digest = hashlib.sha256(body.encode()).hexdigest()
    return f"{FINGERPRINT_PREFIX}{digest[:FINGERPRINT_LENGTH]}"


def marker(text: str) -> str:
    """The marker chain's name in a ruleset, or in what `nft list table` printed; "" if none."""
    found = re.search(rf"\bchain ({FINGERPRINT_PREFIX}[0-9a-f]{{{FINGERPRINT_LENGTH}}})\b", text)
    return found.group(1) if found else ""


def _chain(port: Port) -> str:
    macs = _set({port.mac_address, *(p.mac_address for p in port.allowed_address_pairs)} - {""})
    addresses = {ip.ip_address for ip in port.fixed_ips}
    addresses |= {pair.ip_address for pair in port.allowed_address_pairs}
    v4 = _set({a for a in addresses if ":" not in a} | {"0.0.0.0"})  # noqa: S104 - ARP probes
    own_v6 = {a for a in addresses if ":" in a} | {_link_local(port.mac_address)}
    v6 = _set(own_v6 | {"::"})
    targets = _set({hex(int(IPNetwork(a).ip)) for a in own_v6})
    rules = (
        f"ether saddr != {macs} drop",
        f"ether type arp arp saddr ether != {macs} drop",
        f"ether type arp arp saddr ip {METADATA_IPV4} drop",
        f"ether type arp arp saddr ip != {v4} drop",
        "ether type ip udp sport 67 drop",
        "ether type ip ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept",
        "ether type ip ip saddr 0.0.0.0 drop",
        f"ether type ip ip saddr {METADATA_IPV4} drop",
        f"ether type ip ip saddr != {v4} drop",
        "ether type ip6 udp sport 547 drop",
        "ether type ip6 icmpv6 type { nd-router-advert, nd-redirect } drop",
        f"ether type ip6 ip6 saddr != {v6} drop",
        f"ether type ip6 icmpv6 type nd-neighbor-advert @th,64,128 != {targets} drop",
    )
    text = "".join(f"    {rule}\n" for rule in rules)
    return f"  chain {names.outer_device(port.id)} {{\n{text}  }}\n"


def _link_local(mac: str) -> str:
    return str(EUI(mac).ipv6_link_local())


def _set(values: set[str]) -> str:
    return "{ " + ", ".join(sorted(values)) + " }"
