"""The nftables tables of the host's namespace, read by netlink.

Source: linux/netfilter/nf_tables.h.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from a9fe.linux.kernel import netlink, nfnetlink
from a9fe.linux.kernel.nfnetlink import (
    BRIDGE,
    CHAIN_HOOK,
    CHAIN_NAME,
    CHAIN_POLICY,
    CHAIN_TABLE,
    CHAIN_TYPE,
    DELETE_TABLE,
    GET_CHAIN,
    GET_RULE,
    GET_TABLE,
    RULE_CHAIN,
    RULE_EXPRESSIONS,
    RULE_TABLE,
    TABLE_NAME,
    TABLE_USERDATA,
)
from a9fe.plan.filters import bridge_filter, fingerprint
from a9fe.plan.mark import Mark

DIGEST_PREFIX = "read-"  # the name of an empty chain: `digest_marker`
MARKERS = (bridge_filter.RULES_PREFIX, fingerprint.PREFIX, DIGEST_PREFIX)
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


def rules_are_whole(mark: Mark) -> bool:
    """Whether the chains and rules are those that were loaded: their digest is in the name of a
    chain. O(rules).
    """
    found = _starting(DIGEST_PREFIX, _chains(bridge_filter.BRIDGE, mark.table))
    return found == digest_marker(mark)


def digest_marker(mark: Mark) -> str:
    """The name of the chain that marks the chains and rules as they are in the kernel. O(rules).

    It covers what `nft` made of the text: chains with hook and policy, and the rules' expressions
    without the state of counters.
    """
    digest = hashlib.sha256()
    for family, protocol in PROTOCOLS.items():
        for chain in _chains(family, mark.table):
            name = netlink.text(chain, CHAIN_NAME)
            if not name.startswith(MARKERS):
                hooked = [chain.get(kind, b"") for kind in (CHAIN_HOOK, CHAIN_POLICY, CHAIN_TYPE)]
                digest.update(repr((family, name, hooked)).encode())
        where = netlink.attribute(RULE_TABLE, mark.table)
        for rule in nfnetlink.dump(protocol, GET_RULE, where):
            place = family, netlink.text(rule, RULE_CHAIN)
            digest.update(repr((place, _expressions(rule))).encode())
    return f"{DIGEST_PREFIX}{digest.hexdigest()}"


def _expressions(rule: netlink.Attributes) -> list[bytes]:
    """The expressions of a rule; of a counter only its name."""
    listed = netlink.attribute_list(rule.get(RULE_EXPRESSIONS, b""))
    return [b"counter" if b"counter\0" in body[:16] else body for _, body in listed]


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


def _chains(family: str, table: str) -> list[netlink.Attributes]:
    found = nfnetlink.dump(PROTOCOLS[family], GET_CHAIN)
    return [chain for chain in found if netlink.text(chain, CHAIN_TABLE) == table]


def _starting(prefix: str, chains: Iterable[netlink.Attributes]) -> str:
    names = (netlink.text(chain, CHAIN_NAME) for chain in chains)
    return next((name for name in names if name.startswith(prefix)), "")


def _comment(userdata: bytes) -> str:
    """The comment in a table's user data: type, length and value of each entry."""
    while len(userdata) >= 2:
        kind, length = userdata[0], userdata[1]
        if kind == COMMENT:
            return userdata[2 : 2 + length].rstrip(b"\0").decode(errors="replace")
        userdata = userdata[2 + length :]
    return ""
