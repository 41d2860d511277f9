"""The nftables tables of the host's namespace, read by netlink.

Source: linux/netfilter/nf_tables.h.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from a9fe.linux.kernel import netlink, nfnetlink
from a9fe.linux.kernel.nfnetlink import (
    BRIDGE,
    CHAIN_HANDLE,
    CHAIN_NAME,
    CHAIN_TABLE,
    DELETE_TABLE,
    GET_CHAIN,
    GET_RULE,
    GET_TABLE,
    RULE_CHAIN,
    RULE_HANDLE,
    RULE_TABLE,
    TABLE_NAME,
    TABLE_USERDATA,
)
from a9fe.plan.filters import bridge_filter, fingerprint
from a9fe.plan.filters.connect_limit import ConnectLimit
from a9fe.plan.mark import Mark

COMMENT = 0  # NFTNL_UDATA_TABLE_COMMENT
PROTOCOLS = {"inet": 1, "arp": 3, "bridge": BRIDGE}  # NFPROTO_* of bridge_filter.FAMILIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The loaded tables with our name.

    `any`, `whole`: one exists, all exist. `rules`: the marker of the rules, "" if not the same in
    all; `elements`: that of the elements, "" for none. `ours`: all have our mark; if not,
    `comment` is the other owner's.
    """

    any: bool = False
    whole: bool = False
    rules: str = ""
    elements: str = ""
    ours: bool = True
    comment: str = ""


def read(mark: Mark) -> Loaded:
    """Read the tables. O(tables and chains of all owners), not of rules and elements."""
    comments = {family: comments_of(family).get(mark.table) for family in PROTOCOLS}
    present = [comment for comment in comments.values() if comment is not None]
    foreign = [comment for comment in present if comment != mark.text]
    chains = {family: _chains(family, mark.table) for family in PROTOCOLS}
    rules = {_starting(bridge_filter.RULES_PREFIX, found) for found in chains.values()}
    return Loaded(
        any=bool(present),
        whole=len(present) == len(PROTOCOLS),
        rules=rules.pop() if len(rules) == 1 else "",
        elements=_starting(fingerprint.PREFIX, chains[bridge_filter.BRIDGE]),
        ours=not foreign,
        comment=foreign[0] if foreign else "",
    )


def rules_are_whole(mark: Mark, connects: ConnectLimit | None = None) -> bool:
    """Whether no rule was added or removed since they were loaded. O(rules).

    The kernel numbers the objects of a table in the order in which they were made, and the marker
    of the rules was made after them. A replaced rule keeps its number and is not noticed.
    """
    found: Counter[tuple[str, str]] = Counter()
    for family, protocol in PROTOCOLS.items():
        last = _chains(family, mark.table).get(bridge_filter.rules_marker(mark, connects), 0)
        where = netlink.attribute(RULE_TABLE, mark.table)
        for rule in nfnetlink.dump(protocol, GET_RULE, where):
            if _number(rule, RULE_HANDLE) > last:
                return False
            found[family, netlink.text(rule, RULE_CHAIN)] += 1
    return found == bridge_filter.rule_counts(mark, connects)


def comments_of(family: str = bridge_filter.BRIDGE) -> dict[str, str]:
    """The comment of each table of a family by name, "" for none."""
    return {
        netlink.text(table, TABLE_NAME): _comment(table.get(TABLE_USERDATA, b""))
        for table in nfnetlink.dump(PROTOCOLS[family], GET_TABLE)
    }


def remove(table: str) -> None:
    """Remove a table of the bridge family."""
    name = netlink.attribute(TABLE_NAME, table)
    nfnetlink.transaction(BRIDGE, [(DELETE_TABLE, 0, name)])


def chain(table: str, name: str) -> bytes:
    """The attributes of a request about a chain."""
    return netlink.attribute(CHAIN_TABLE, table) + netlink.attribute(CHAIN_NAME, name)


def _chains(family: str, table: str) -> dict[str, int]:
    """The handles of a table's chains by name."""
    return {
        netlink.text(chain, CHAIN_NAME): _number(chain, CHAIN_HANDLE)
        for chain in nfnetlink.dump(PROTOCOLS[family], GET_CHAIN)
        if netlink.text(chain, CHAIN_TABLE) == table
    }


def _starting(prefix: str, chains: Mapping[str, int]) -> str:
    return next((name for name in chains if name.startswith(prefix)), "")


def _number(has: netlink.Attributes, kind: int) -> int:
    return int.from_bytes(has.get(kind, b""), "big")


def _comment(userdata: bytes) -> str:
    """The comment in a table's user data: type, length and value of each entry."""
    while len(userdata) >= 2:
        kind, length = userdata[0], userdata[1]
        if kind == COMMENT:
            return userdata[2 : 2 + length].rstrip(b"\0").decode(errors="replace")
        userdata = userdata[2 + length :]
    return ""
