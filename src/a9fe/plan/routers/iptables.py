"""iptables rulesets as comparable text.

iptables-save prints tables in its own order, with counters and comments. `canonical` removes these
differences, so that a loaded ruleset equals its plan and is not loaded again.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

BUILTIN_CHAINS = {
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
}
COUNTERS = re.compile(r" *\[\d+:\d+\] *")


def ruleset(rules: Mapping[str, Sequence[str]]) -> str:
    """The canonical text of the rules ("-A CHAIN ...", in iptables-save form) of each table.

    It is "" if there are no rules.
    """
    return _text({}, rules)


def canonical(saved: str) -> str:
    """Convert the output of iptables-save to the form of `ruleset`. Other tables are left out.

    Chains that are not built in, and policies other than ACCEPT, are kept: they differ from any
    plan.
    """
    policies: dict[str, dict[str, str]] = {table: {} for table in BUILTIN_CHAINS}
    rules: dict[str, list[str]] = {table: [] for table in BUILTIN_CHAINS}
    table = ""
    for line in (COUNTERS.sub(" ", raw).strip() for raw in saved.splitlines()):
        if line.startswith("*"):
            table = line[1:]
        elif table in BUILTIN_CHAINS and line.startswith(":"):
            chain, _, policy = line[1:].partition(" ")
            policies[table][chain] = policy
        elif table in BUILTIN_CHAINS and line.startswith("-"):
            rules[table].append(line)
    return _text(policies, rules)


def _text(policies: Mapping[str, Mapping[str, str]], rules: Mapping[str, Sequence[str]]) -> str:
    tables = (_table(t, policies.get(t, {}), rules.get(t, ())) for t in BUILTIN_CHAINS)
    text = "".join(tables)
    return "" if text == NO_RULES else text


def _table(table: str, policies: Mapping[str, str], rules: Iterable[str]) -> str:
    chains = {**dict.fromkeys(BUILTIN_CHAINS[table], "ACCEPT"), **policies}
    lines = (f":{chain} {policy}" for chain, policy in chains.items())
    return "".join(f"{line}\n" for line in (f"*{table}", *lines, *rules, "COMMIT"))


NO_RULES = "".join(_table(table, {}, ()) for table in BUILTIN_CHAINS)
