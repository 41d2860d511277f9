"""The nftables tables of a host as text for `nft -f`: fixed chains, and sets that name the taps.

Three tables of one name, that of the installation (plan.mark):

- bridge: what a VM's tap may send (port security, metadata and DHCP from its own addresses), and
  that only known devices exchange frames on our bridges;
- inet and arp: the host's own IP stack neither answers nor sends through our bridges.

Our devices (bridges, and outer ends of our pairs) are known by their device group (plan.mark), set
at creation. So are uplinks (plan.uplinks), which no metadata frame passes. VM taps are known by
name, from the model. Not every kernel has `meta ibrname`, so no rule matches a frame's bridge: a
frame is forwarded if both of its devices are known, or neither (a foreign bridge). Port isolation
separates two unknown devices on one of our bridges (plan.filters.admission).

Every decision accepts what matches and drops the rest, because nftables skips a rule whose field
lies beyond the end of a short frame.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address

from a9fe.model.resources import METADATA_IPV4, METADATA_IPV6
from a9fe.plan.filters.counters import COUNTERS
from a9fe.plan.host import TapElements
from a9fe.plan.mark import Mark

BRIDGE = "bridge"
FAMILIES = (BRIDGE, "inet", "arp")
RULES_PREFIX = "rules-"  # the name of an empty chain: fingerprint of the loaded chains and sets
FINGERPRINT_LENGTH = 16

Taps = Mapping[str, TapElements]

FIELDS = {
    "mac": "ether saddr",
    "ipv4": "ip saddr",
    "ipv6": "ip6 saddr",
    "chaddr": "@th,288,48",
    "target": "@th,64,128",
}
"""The fields of keys as nftables' expressions."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a set: the device, then these fields. In an interval the last one is a range.

    Only ports with prefixes in their pairs have elements in sets of intervals, because the kernel
    copies such a set when it changes.
    """

    fields: tuple[str, ...] = ()
    is_interval: bool = False

    @property
    def text(self) -> str:
        """The type of the set for `nft`."""
        key = " . ".join(("iifname", *(FIELDS[field] for field in self.fields)))
        return f"typeof {key};{' flags interval;' if self.is_interval else ''}"


SETS = {
    # every VM's tap, and those without port security
    "taps": Keys(),
    "open": Keys(),
    # source MACs of a guarded tap: the port's own and those of its pairs
    "macs": Keys(("mac",)),
    # the port's own MAC with its fixed addresses: identity, for metadata
    "own4": Keys(("mac", "ipv4")),
    "own6": Keys(("mac", "ipv6")),
    # allowed_address_pairs: addresses, and prefixes
    "pairs4": Keys(("mac", "ipv4")),
    "pairs6": Keys(("mac", "ipv6")),
    "wide4": Keys(("mac", "ipv4"), is_interval=True),
    "wide6": Keys(("mac", "ipv6"), is_interval=True),
    # addresses that a guarded tap may announce by neighbour discovery
    "targets": Keys(("target",)),
    "wide_targets": Keys(("target",), is_interval=True),
    # client hardware address of DHCP requests
    "chaddrs": Keys(("chaddr",)),
    # gateways, DHCP ports and router interfaces, for taps that could otherwise claim them
    "reserved4": Keys(("ipv4",)),
    "reserved6": Keys(("target",)),
    "reserved_macs": Keys(("mac",)),
}

_VALUES = {
    # The kernel hands frames to these MACs to the stack past the bridge (LLDP's even past the
    # bridge's hooks), as if the port were the host's own. IP and ARP are never sent to them.
    "LINK_GROUP": "01:80:c2:00:00:00-01:80:c2:00:00:0f",
    "METADATA4": METADATA_IPV4,
    "METADATA6": METADATA_IPV6,
    # Neighbour discovery: all of it may tell a MAC for its source address. It is never fragmented
    # (RFC 6980), and fragments could hide its target.
    "DISCOVERY": "{ 133, 134, 135, 136, 137 }",
    "SOURCE6": "@nh,64,128",  # ip6 saddr, in the type of the sets' targets
    "TARGET6": hex(int(IPv6Address(METADATA_IPV6))),
}

_BRIDGE_CHAINS = """
  chain prerouting {
    type filter hook prerouting priority -300; policy accept;
    iifgroup $GROUP accept
    iifgroup $UPLINKS goto not_metadata
    iifname @taps goto tap
  }
  chain forward {
    type filter hook forward priority -300; policy accept;
    iifgroup { $GROUP, $UPLINKS } goto to_known
    iifname @taps goto to_known
    oifgroup { $GROUP, $UPLINKS } counter name refused_stranger drop
    oifname @taps counter name refused_stranger drop
  }
  chain to_known {
    oifgroup $GROUP accept
    oifgroup $UPLINKS iifgroup != $UPLINKS goto not_metadata
    oifname @taps goto to_tap
    counter name refused_stranger drop
  }
  chain to_tap {
    ip saddr $METADATA4 oifname . ether daddr . ip daddr @own4 accept
    ip saddr $METADATA4 counter name refused_metadata drop
    ip daddr $METADATA4 counter name refused_metadata drop
    ip6 saddr $METADATA6 meta l4proto icmpv6 accept
    ip6 saddr $METADATA6 oifname . ether daddr . ip6 daddr @own6 accept
    ip6 saddr $METADATA6 counter name refused_metadata drop
    ip6 daddr $METADATA6 counter name refused_metadata drop
    accept
  }
  chain not_metadata {
    ip saddr $METADATA4 counter name refused_metadata drop
    ip daddr $METADATA4 counter name refused_metadata drop
    ip6 saddr $METADATA6 counter name refused_metadata drop
    ip6 daddr $METADATA6 counter name refused_metadata drop
    arp saddr ip $METADATA4 counter name refused_metadata drop
    arp daddr ip $METADATA4 counter name refused_metadata drop
    icmpv6 type nd-neighbor-solicit @th,64,128 $TARGET6 counter name refused_metadata drop
    icmpv6 type nd-neighbor-advert @th,64,128 $TARGET6 counter name refused_metadata drop
    accept
  }
  chain input {
    type filter hook input priority -300; policy accept;
    iifgroup { $GROUP, $UPLINKS } counter name refused_host drop
    iifname @taps counter name refused_host drop
  }
  chain output {
    type filter hook output priority -300; policy accept;
    oifgroup { $GROUP, $UPLINKS } counter name refused_host drop
    oifname @taps counter name refused_host drop
  }
  chain tap {
    iifname . ether saddr @reserved_macs counter name refused_claim drop
    iifname @open goto free
    iifname . ether saddr @macs goto guarded
    counter name refused_mac drop
  }
  chain free {
    @ll,96,16 { 0x8100, 0x88a8, 0x9100 } @ll,116,12 0 counter name refused_priority_tag drop
    ether type arp jump arp_services
    ether type ip jump ip_services
    ether type ip6 jump ip6_services
    accept
  }
  chain guarded {
    ether type arp goto arp_form
    ether type ip meta l4proto != 255 goto ip_guarded
    ether type ip6 meta l4proto != 255 goto ip6_guarded
    counter name refused_ethertype drop
  }
  chain arp_form {
    arp htype 1 arp ptype ip arp hlen 6 arp plen 4 arp operation { 1, 2 } goto arp_guarded
    counter name refused_arp drop
  }
  chain arp_services {
    arp daddr ip $METADATA4 goto arp_metadata
    arp saddr ip $METADATA4 counter name refused_metadata drop
    iifname . arp saddr ip @reserved4 counter name refused_claim drop
  }
  chain arp_metadata {
    iifname . ether saddr . arp saddr ip != @own4 counter name refused_metadata drop
    iifname . arp saddr ether . arp saddr ip @own4 accept
    counter name refused_metadata drop
  }
  chain arp_guarded {
    jump arp_services
    iifname . arp saddr ether . arp saddr ip @own4 accept
    iifname . arp saddr ether . arp saddr ip @pairs4 accept
    iifname . arp saddr ether . arp saddr ip @wide4 accept
    arp saddr ip 0.0.0.0 goto arp_probe
    counter name refused_arp drop
  }
  chain arp_probe {
    iifname . arp daddr ip @reserved4 counter name refused_claim drop
    iifname . arp saddr ether . arp daddr ip @own4 accept
    iifname . arp saddr ether . arp daddr ip @pairs4 accept
    iifname . arp saddr ether . arp daddr ip @wide4 accept
    counter name refused_arp drop
  }
  chain ip_services {
    udp dport 67 goto dhcp
    ip daddr $METADATA4 iifname . ether saddr . ip saddr @own4 accept
    ip daddr $METADATA4 counter name refused_metadata drop
    ip saddr $METADATA4 counter name refused_metadata drop
  }
  chain dhcp {
    ip frag-off & 0x3fff != 0 counter name refused_dhcp drop
    iifname . @th,288,48 @chaddrs goto dhcp_client
    counter name refused_dhcp drop
  }
  chain dhcp_client {
    iifname @open accept
    ip saddr 0.0.0.0 udp sport 68 accept
    iifname . ether saddr . ip saddr @own4 accept
    counter name refused_address drop
  }
  chain ip_guarded {
    udp sport 67 counter name refused_dhcp drop
    udp dport 68 counter name refused_dhcp drop
    jump ip_services
    iifname . ip saddr @reserved4 counter name refused_claim drop
    iifname . ether saddr . ip saddr @own4 accept
    iifname . ether saddr . ip saddr @pairs4 accept
    iifname . ether saddr . ip saddr @wide4 accept
    counter name refused_address drop
  }
  chain ip6_services {
    ip6 daddr $METADATA6 iifname . ether saddr . ip6 saddr @own6 accept
    ip6 daddr $METADATA6 counter name refused_metadata drop
    ip6 saddr $METADATA6 counter name refused_metadata drop
    icmpv6 type nd-neighbor-solicit @th,64,128 $TARGET6 goto nd_metadata
    icmpv6 type nd-neighbor-advert @th,64,128 $TARGET6 goto nd_metadata
    icmpv6 type nd-neighbor-advert iifname . @th,64,128 @reserved6 counter name refused_claim drop
    icmpv6 type $DISCOVERY iifname . $SOURCE6 @reserved6 counter name refused_claim drop
    exthdr frag exists icmpv6 type $DISCOVERY counter name refused_claim drop
  }
  chain nd_metadata {
    icmpv6 type nd-neighbor-solicit iifname . ether saddr . ip6 saddr @own6 accept
    counter name refused_metadata drop
  }
  chain ip6_guarded {
    exthdr frag exists jump fragment6
    udp sport 547 counter name refused_dhcp drop
    udp dport 546 counter name refused_dhcp drop
    icmpv6 type { nd-router-advert, nd-redirect, 138 } counter name refused_router_advert drop
    jump ip6_services
    iifname . $SOURCE6 @reserved6 counter name refused_claim drop
    icmpv6 type nd-neighbor-advert goto advert
    ip6 saddr :: goto unspecified
    goto sender6
  }
  chain fragment6 {
    frag nexthdr { tcp, udp, esp, sctp, udplite, dccp } return
    counter name refused_fragment drop
  }
  chain advert {
    iifname . @th,64,128 @targets goto sender6
    iifname . @th,64,128 @wide_targets goto sender6
    counter name refused_neighbour_advert drop
  }
  chain unspecified {
    icmpv6 type nd-neighbor-solicit iifname . @th,64,128 @targets accept
    icmpv6 type nd-neighbor-solicit iifname . @th,64,128 @wide_targets accept
    icmpv6 type { nd-router-solicit, 131, 132, 143 } accept
    counter name refused_neighbour_advert drop
  }
  chain sender6 {
    iifname . ether saddr . ip6 saddr @own6 accept
    iifname . ether saddr . ip6 saddr @pairs6 accept
    iifname . ether saddr . ip6 saddr @wide6 accept
    counter name refused_address drop
  }
"""

_INPUT = """
  chain input {
    type filter hook input priority -300; policy accept;
    iifgroup $GROUP counter drop
    ether daddr $LINK_GROUP counter drop
  }
"""

_FORWARD = """\
  chain forward {
    type filter hook forward priority -300; policy accept;
    ether daddr $LINK_GROUP counter drop
    iifgroup $GROUP oifgroup != $GROUP counter drop
    iifgroup != $GROUP oifgroup $GROUP counter drop
  }
"""

_OUTPUT = """\
  chain output {
    type filter hook output priority -300; policy accept;
    oifgroup $GROUP counter drop
  }
"""

_INET_CHAINS = _INPUT + _FORWARD + _OUTPUT
_ARP_CHAINS = _INPUT + _OUTPUT


def rules_marker(mark: Mark) -> str:
    """The name of the marker chain of this version's rules, in each table."""
    digest = hashlib.sha256(_fixed(mark).encode()).hexdigest()
    return f"{RULES_PREFIX}{digest[:FINGERPRINT_LENGTH]}"


def whole(taps: Taps, marker: str, mark: Mark, *, created: bool = False) -> str:
    """Replace all tables in one transaction; counters restart at 0. With `created` it fails if a
    table exists meanwhile, so that the L3 agent never replaces the DHCP agent's.

    `marker` is that of the taps.
    """
    verb = "create" if created else "add"
    tables = "".join(_table(verb, family, mark) for family in FAMILIES)
    first = tables if created else f"{removal(mark)}{tables}"
    rules = "".join(_chain(family, rules_marker(mark), mark) for family in FAMILIES)
    return f"{first}{_fixed(mark)}{rules}{_chain(BRIDGE, marker, mark)}{_elements(taps, mark)}"


def rule_counts(mark: Mark) -> Counter[tuple[str, str]]:
    """The number of rules by family and chain, as loaded."""
    found: Counter[tuple[str, str]] = Counter()
    family = chain = ""
    for line in _fixed(mark).splitlines():
        words = line.split()
        if words[:1] in (["table"], ["chain"], ["set"], ["counter"]) and words[-1] == "{":
            family = words[1] if words[0] == "table" else family
            chain = words[1] if words[0] == "chain" else ""
        elif chain and words not in ([], ["}"]) and words[0] != "type":
            found[family, chain] += 1
    return found


def removal(mark: Mark) -> str:
    """Remove all tables, existing or not."""
    tables = [f"table {family} {mark.table}\n" for family in FAMILIES]
    return "".join(f"add {table}delete {table}" for table in tables)


def _table(verb: str, family: str, mark: Mark) -> str:
    return f'{verb} table {family} {mark.table} {{ comment "{mark.text}" ; }}\n'


def _chain(family: str, name: str, mark: Mark) -> str:
    return f"add chain {family} {mark.table} {name}\n"


def _fixed(mark: Mark) -> str:
    """The chains, the counters and the empty sets."""
    counters = "".join(f"  counter refused_{name} {{\n  }}\n" for name in COUNTERS)
    sets = "".join(f"  set {name} {{ {keys.text} }}\n" for name, keys in SETS.items())
    bridge = f"table bridge $TABLE {{\n{counters}{sets}{_BRIDGE_CHAINS}}}\n"
    others = f"table inet $TABLE {{{_INET_CHAINS}}}\ntable arp $TABLE {{{_ARP_CHAINS}}}\n"
    text = bridge + others
    groups = {"GROUP": str(mark.group), "UPLINKS": str(mark.uplink_group)}
    for name, value in {**_VALUES, **groups, "TABLE": mark.table}.items():
        text = re.sub(rf"\${name}\b", value, text)
    return text


def _elements(taps: Taps, mark: Mark) -> str:
    sets: dict[str, list[str]] = {}
    for device, elements in taps.items():
        for name, rest in elements:
            key = f'"{device}" . {rest}' if rest else f'"{device}"'
            sets.setdefault(name, []).append(key)
    return "".join(
        f"add element {BRIDGE} {mark.table} {name} {{ {', '.join(sets[name])} }}\n"
        for name in SETS
        if name in sets
    )
