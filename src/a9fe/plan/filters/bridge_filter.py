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

What a tap may send to the metadata addresses besides packets of its TCP connections is limited in
its rate (plan.filters.connect_limit).

Every decision accepts what matches and drops the rest, because nftables skips a rule whose field
lies beyond the end of a short frame.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from a9fe.plan.filters.chains import ARP_CHAINS, BRIDGE_CHAINS, INET_CHAINS, VALUES
from a9fe.plan.filters.connect_limit import ConnectLimit
from a9fe.plan.filters.counters import COUNTERS
from a9fe.plan.host import TapElements
from a9fe.plan.mark import Mark

BRIDGE = "bridge"
FAMILIES = (BRIDGE, "inet", "arp")
RULES_PREFIX = "rules-"  # the name of an empty chain: fingerprint of the loaded chains and sets
FINGERPRINT_LENGTH = 16

RATES = ("solicited", "connecting")
RATE = "typeof iifname; size 65535; flags dynamic,timeout; timeout 1m;"
"""The kernel's own sets: the rate of each tap's solicitations and connections. They are not
compared or fingerprinted."""

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


def rules_marker(mark: Mark, connects: ConnectLimit | None = None) -> str:
    """The name of the marker chain of this version's rules, in each table."""
    digest = hashlib.sha256(_fixed(mark, connects).encode()).hexdigest()
    return f"{RULES_PREFIX}{digest[:FINGERPRINT_LENGTH]}"


def whole(
    taps: Taps,
    marker: str,
    mark: Mark,
    *,
    connects: ConnectLimit | None = None,
    created: bool = False,
) -> str:
    """Replace all tables in one transaction; counters restart at 0. With `created` it fails if a
    table exists meanwhile, so that the L3 agent never replaces the DHCP agent's.

    `marker` is that of the taps.
    """
    verb = "create" if created else "add"
    tables = "".join(_table(verb, family, mark) for family in FAMILIES)
    first = tables if created else f"{removal(mark)}{tables}"
    rules = "".join(_chain(family, rules_marker(mark, connects), mark) for family in FAMILIES)
    last = f"{_chain(BRIDGE, marker, mark)}{_elements(taps, mark)}"
    return f"{first}{_fixed(mark, connects)}{rules}{last}"


def removal(mark: Mark) -> str:
    """Remove all tables, existing or not."""
    tables = [f"table {family} {mark.table}\n" for family in FAMILIES]
    return "".join(f"add {table}delete {table}" for table in tables)


def _table(verb: str, family: str, mark: Mark) -> str:
    return f'{verb} table {family} {mark.table} {{ comment "{mark.text}" ; }}\n'


def _chain(family: str, name: str, mark: Mark) -> str:
    return f"add chain {family} {mark.table} {name}\n"


def _fixed(mark: Mark, connects: ConnectLimit | None) -> str:
    """The chains, the counters and the empty sets."""
    counters = "".join(f"  counter refused_{name} {{\n  }}\n" for name in COUNTERS)
    sets = "".join(f"  set {name} {{ {keys.text} }}\n" for name, keys in SETS.items())
    sets += "".join(f"  set {name} {{ {RATE} }}\n" for name in RATES)
    bridge = f"table bridge $TABLE {{\n{counters}{sets}{BRIDGE_CHAINS}}}\n"
    others = f"table inet $TABLE {{{INET_CHAINS}}}\ntable arp $TABLE {{{ARP_CHAINS}}}\n"
    text = bridge + others
    here = {
        "GROUP": str(mark.group),
        "UPLINKS": str(mark.uplink_group),
        "TABLE": mark.table,
        "CONNECTS": connects.rule if connects else "",
    }
    for name, value in {**VALUES, **here}.items():
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
