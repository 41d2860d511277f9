"""The tables of iptables-nft as nftables' messages: built from a ruleset's text, and read as one.

Only chains with rules or with a policy are made; iptables shows the others as empty. Source:
linux/netfilter/nf_tables.h; types, hooks and priorities are those of iptables 1.8.9.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from a9fe.linux.kernel import netlink
from a9fe.linux.kernel.netlink import NLM_F_CREATE, Attributes, attribute, attributes, nested
from a9fe.linux.kernel.nfnetlink import (
    CHAIN_HOOK,
    CHAIN_NAME,
    CHAIN_POLICY,
    CHAIN_TABLE,
    CHAIN_TYPE,
    DELETE_TABLE,
    NEW_CHAIN,
    NEW_RULE,
    NEW_TABLE,
    RULE_CHAIN,
    RULE_COMPAT,
    RULE_EXPRESSIONS,
    RULE_TABLE,
    RULE_USERDATA,
    TABLE_FLAGS,
    TABLE_NAME,
    Request,
)
from a9fe.linux.rulesets import expressions, rule_lines
from a9fe.linux.rulesets.expressions import ACCEPT, DROP, Match, Target, big_endian, number
from a9fe.plan.routers.iptables import NO_POLICY, Table, chain_of, tables, text

NLM_F_APPEND = 0x800
HOOK_NUMBER, HOOK_PRIORITY = 1, 2
COMPAT_PROTOCOL, COMPAT_FLAGS = 1, 2
ELEMENT = 1
POLICIES = {"ACCEPT": ACCEPT, "DROP": DROP}
POLICY_NAMES = {number: name for name, number in POLICIES.items()}
STRANGE = "?"  # in no plan: a policy or a rule that is not iptables' own


@dataclass(frozen=True, slots=True)
class Base:
    """Where a built-in chain is hooked."""

    type: str
    hook: int
    priority: int


HOOKS = {"PREROUTING": 0, "INPUT": 1, "FORWARD": 2, "OUTPUT": 3, "POSTROUTING": 4}
BASES: Mapping[str, Mapping[str, Base]] = {
    "mangle": {
        chain: Base("route" if chain == "OUTPUT" else "filter", hook, -150)
        for chain, hook in HOOKS.items()
    },
    "nat": {
        "PREROUTING": Base("nat", 0, -100),
        "INPUT": Base("nat", 1, 100),
        "OUTPUT": Base("nat", 3, -100),
        "POSTROUTING": Base("nat", 4, 100),
    },
    "filter": {c: Base("filter", HOOKS[c], 0) for c in ("INPUT", "FORWARD", "OUTPUT")},
}


def requests(ruleset: str, ip_version: int, present: Iterable[str]) -> Iterator[Request]:
    """The transaction that replaces the `present` tables by a ruleset in canonical form.

    Raises UnknownRule. A table is made before it is removed, so that it may be missing by then.
    """
    wanted = tables(ruleset)
    for name in sorted(BASES.keys() & set(present)):
        yield NEW_TABLE, NLM_F_CREATE, attribute(TABLE_NAME, name)
        yield DELETE_TABLE, 0, attribute(TABLE_NAME, name)
    for name, table in wanted.items():
        if table.rules or any(p not in ("ACCEPT", NO_POLICY) for p in table.policies.values()):
            yield NEW_TABLE, NLM_F_CREATE, attribute(TABLE_NAME, name)
            yield from _chains(name, table)
            for line in table.rules:
                yield NEW_RULE, NLM_F_CREATE | NLM_F_APPEND, _rule(name, line, ip_version)


def _chains(name: str, table: Table) -> Iterator[Request]:
    used = {chain_of(rule) for rule in table.rules}
    for chain, policy in table.chains(name).items():
        base = BASES[name].get(chain)
        parts = [attribute(CHAIN_TABLE, name), attribute(CHAIN_NAME, chain)]
        if base is not None:
            if chain not in used and policy == "ACCEPT":
                continue
            if policy not in POLICIES:
                raise rule_lines.UnknownRule(f"iptables policy {policy!r} of {chain}: not known")
            hook = big_endian(HOOK_NUMBER, base.hook), big_endian(HOOK_PRIORITY, base.priority)
            parts.append(nested(CHAIN_HOOK, *hook))
            parts.append(big_endian(CHAIN_POLICY, POLICIES[policy]))
            parts.append(attribute(CHAIN_TYPE, base.type))
        yield NEW_CHAIN, NLM_F_CREATE, b"".join(parts)


def _rule(table: str, line: str, ip_version: int) -> bytes:
    rule, found = rule_lines.encode(line, ip_version)
    elements = [nested(ELEMENT, expressions.write(each)) for each in found]
    compatible = b""
    if any(isinstance(each, Match | Target) for each in found):
        protocol = big_endian(COMPAT_PROTOCOL, rule.protocol)
        compatible = nested(RULE_COMPAT, protocol, big_endian(COMPAT_FLAGS, 0))
    names = attribute(RULE_TABLE, table) + attribute(RULE_CHAIN, rule.chain)
    return names + nested(RULE_EXPRESSIONS, *elements) + compatible


def ruleset(
    found_tables: Iterable[Attributes],
    chains: Iterable[Attributes],
    rules: Iterable[Attributes],
    ip_version: int,
) -> str:
    """The canonical text of what the kernel dumped. A part that is not understood gets STRANGE."""
    policies: dict[str, dict[str, str]] = {name: {} for name in BASES}
    lines: dict[str, list[str]] = {name: [] for name in BASES}
    for table in found_tables:
        name = netlink.text(table, TABLE_NAME)
        if name in BASES and number(table, TABLE_FLAGS):  # dormant, or another program's alone
            policies[name][STRANGE] = STRANGE
    for chain in chains:
        table_name = netlink.text(chain, CHAIN_TABLE)
        if table_name in BASES:
            name = netlink.text(chain, CHAIN_NAME)
            policies[table_name][name] = _policy(BASES[table_name].get(name), chain)
    for rule in rules:
        table_name = netlink.text(rule, RULE_TABLE)
        if table_name in BASES:
            lines[table_name].append(_line(rule, ip_version))
    return text({name: Table(policies[name], lines[name]) for name in BASES})


def _policy(base: Base | None, chain: Attributes) -> str:
    hook = attributes(chain.get(CHAIN_HOOK, b""))
    if not hook:
        return NO_POLICY if base is None else STRANGE
    priority = int(struct.unpack(">i", hook[HOOK_PRIORITY])[0])
    found = Base(netlink.text(chain, CHAIN_TYPE), number(hook, HOOK_NUMBER), priority)
    if found != base:
        return STRANGE
    return POLICY_NAMES.get(number(chain, CHAIN_POLICY), STRANGE)


def _line(rule: Attributes, ip_version: int) -> str:
    chain = netlink.text(rule, RULE_CHAIN)
    elements = netlink.attribute_list(rule.get(RULE_EXPRESSIONS, b""))
    found = [expressions.read(element) for _, element in elements]
    line = None if RULE_USERDATA in rule else rule_lines.decode(chain, found, ip_version)
    return line or f"-A {chain} {STRANGE}"


def names(found: Sequence[Attributes]) -> list[str]:
    """The names of tables."""
    return [netlink.text(table, TABLE_NAME) for table in found]
