"""iptables rulesets as comparable text.

The text is that of iptables-save without counters and comments, in a fixed order: so a loaded
ruleset equals its plan and is not loaded again.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

BUILTIN_CHAINS = {
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
}
COUNTERS = re.compile(r" *\[\d+:\d+\] *")
ACCEPT = "ACCEPT"
NO_POLICY = "-"  # of a chain that is not built in


@dataclass(frozen=True, slots=True)
class Table:
    """A table: the policies of its chains by name, and its rules ("-A CHAIN ...") in order."""

    policies: Mapping[str, str] = field(default_factory=dict)
    rules: Sequence[str] = ()

    def chains(self, name: str) -> dict[str, str]:
        """All chains of the table `name` with their policies: built-in ones, then own by name."""
        chains = {**dict.fromkeys(BUILTIN_CHAINS[name], ACCEPT), **self.policies}
        own = {chain_of(rule): NO_POLICY for rule in self.rules} | {
            chain: policy for chain, policy in chains.items() if chain not in BUILTIN_CHAINS[name]
        }
        builtin = {chain: chains[chain] for chain in BUILTIN_CHAINS[name]}
        return builtin | {c: own[c] for c in sorted(own.keys() - builtin.keys())}


def chain_of(rule: str) -> str:
    """The chain of a rule."""
    return rule.split(maxsplit=2)[1]


def ruleset(rules: Mapping[str, Sequence[str]]) -> str:
    """The canonical text of the rules ("-A CHAIN ...", in iptables-save form) of each table.

    It is "" if there are no rules. Own chains need no declaration.
    """
    return text({name: Table(rules=lines) for name, lines in rules.items()})


def canonical(saved: str) -> str:
    """Convert the output of iptables-save to the form of `ruleset`. Other tables are left out.

    Chains that are not built in, and policies other than ACCEPT, are kept.
    """
    return text(tables(saved))


def tables(saved: str) -> dict[str, Table]:
    """The tables of a text of iptables-save."""
    policies: dict[str, dict[str, str]] = {table: {} for table in BUILTIN_CHAINS}
    rules: dict[str, list[str]] = {table: [] for table in BUILTIN_CHAINS}
    table = ""
    for line in (COUNTERS.sub(" ", raw).strip() for raw in saved.splitlines()):
        if line.startswith("*"):
            table = line[1:]
        elif table in BUILTIN_CHAINS and line.startswith(":"):
            chain, _, policy = line[1:].partition(" ")
            policies[table][chain] = policy
        elif table in BUILTIN_CHAINS and line.startswith("-A "):
            rules[table].append(line)
    return {name: Table(policies[name], rules[name]) for name in BUILTIN_CHAINS}


def text(found: Mapping[str, Table]) -> str:
    """The canonical text of tables; "" if they have only the built-in chains, without rules."""
    whole = "".join(_lines(found))
    return "" if whole == NO_RULES else whole


def _lines(found: Mapping[str, Table]) -> Iterator[str]:
    for name in BUILTIN_CHAINS:
        table = found.get(name, Table())
        chains = table.chains(name)
        order = {chain: place for place, chain in enumerate(chains)}
        yield f"*{name}\n"
        yield from (f":{chain} {policy}\n" for chain, policy in chains.items())
        rules = sorted(table.rules, key=lambda rule: order[chain_of(rule)])
        yield from (f"{rule}\n" for rule in rules)
        yield "COMMIT\n"


NO_RULES = "".join(_lines({}))
