"""The IPv4 and IPv6 rulesets of a namespace, as iptables-nft keeps them, by netlink.

No program is started: the messages are those of iptables-nft (ADR 28), so that its programs show
and change the rules. An observation costs one request if the rules are unchanged: the kernel
counts the changes of a namespace's rules, and a ruleset is valid until the count changes.
"""

import socket

from a9fe.linux.kernel import namespace, netlink, nfnetlink
from a9fe.linux.processes import programs
from a9fe.linux.rulesets import nft_tables
from a9fe.model.errors import A9feError

FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}

_Version = tuple[int, int]  # cookie of the namespace, generation of its ruleset


class RulesRefused(A9feError):
    """The kernel refused a ruleset; the message names the namespace and the reason."""


class Iptables:
    """Reads and sets rulesets; caches those it read."""

    def __init__(self) -> None:
        """Start with an empty cache."""
        self._known: dict[tuple[str, int], tuple[_Version, str]] = {}

    def observe(self, space: str, ip_version: int) -> str:
        """Return the ruleset in canonical form. The calling thread must be in the namespace."""
        version = namespace.own_cookie(), nfnetlink.ruleset_generation()
        known = self._known.get((space, ip_version))
        if known is not None and known[0] == version:
            return known[1]
        rules = read(ip_version)
        self._known[space, ip_version] = (version, rules)
        return rules

    def apply(self, space: str, rules: str, ip_version: int) -> None:
        """Replace the ruleset of a namespace in one transaction; "" removes it.

        Raises UnknownRule or RulesRefused, and changes nothing then.
        """
        with namespace.inside(space):
            _replace(space, rules, ip_version)

    def forget(self, space: str) -> None:
        """Drop the cached rulesets of a removed namespace."""
        for ip_version in FAMILIES:
            self._known.pop((space, ip_version), None)


def read(ip_version: int) -> str:
    """The ruleset of the calling thread's namespace in canonical form."""
    kinds = (nfnetlink.GET_TABLE, nfnetlink.GET_CHAIN, nfnetlink.GET_RULE)
    found = [nfnetlink.dump(FAMILIES[ip_version], kind) for kind in kinds]
    return nft_tables.ruleset(found[0], found[1], found[2], ip_version)


def is_legacy() -> bool:
    """Whether the host's program `iptables` keeps its rules apart from nftables (ADR 28)."""
    try:
        return "legacy" in programs.run(("iptables", "--version"))
    except programs.MissingProgram:
        return False


def _replace(space: str, rules: str, ip_version: int) -> None:
    family = FAMILIES[ip_version]
    present = nft_tables.names(nfnetlink.dump(family, nfnetlink.GET_TABLE))
    wanted = list(nft_tables.requests(rules, ip_version, present))
    try:
        nfnetlink.transaction(family, wanted)
    except netlink.Refused as error:
        raise RulesRefused(f"IPv{ip_version} rules in {space}: {error}") from error
