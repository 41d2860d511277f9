"""The IPv4 and IPv6 rulesets of a namespace, by iptables-restore and iptables-save.

An iptables-save for each namespace at each observation costs 5 ms. With iptables-nft the kernel
counts the changes of a namespace's rules, so a cached ruleset is valid until the count changes;
with iptables-legacy the ruleset is read each time.
"""

from a9fe.linux.kernel import namespace, nfnetlink
from a9fe.linux.processes import programs
from a9fe.plan.routers.iptables import BUILTIN_CHAINS, canonical

RESTORE = {4: ("iptables-restore", "--wait", "10"), 6: ("ip6tables-restore", "--wait", "10")}
SAVE = {4: ("iptables-save",), 6: ("ip6tables-save",)}
EMPTY = "".join(f"*{table}\nCOMMIT\n" for table in BUILTIN_CHAINS)

_Version = tuple[int, int]  # cookie of the namespace, generation of its ruleset


class Iptables:
    """Reads and sets rulesets; caches those it read."""

    def __init__(self) -> None:
        """Start with an empty cache."""
        self._known: dict[tuple[str, int], tuple[_Version, str]] = {}
        self._counted: bool | None = None

    def observe(self, space: str, ip_version: int) -> str:
        """Return the ruleset in canonical form. The calling thread must be in the namespace."""
        version = self._version()
        known = self._known.get((space, ip_version))
        if version is not None and known is not None and known[0] == version:
            return known[1]
        try:
            rules = canonical(programs.run(SAVE[ip_version]))
        except programs.MissingProgram:
            return ""  # `apply` will report it
        if version is not None:
            self._known[space, ip_version] = (version, rules)
        return rules

    def apply(self, space: str, rules: str, ip_version: int) -> None:
        """Replace the ruleset of a namespace; "" empties it."""
        restore, text = RESTORE[ip_version], rules or EMPTY
        namespace.call_inside(space, lambda: programs.run(restore, text))

    def forget(self, space: str) -> None:
        """Drop the cached rulesets of a removed namespace."""
        for ip_version in SAVE:
            self._known.pop((space, ip_version), None)

    def _version(self) -> _Version | None:
        """The namespace and the count of its changes; None if the kernel does not count them."""
        if self._counted is None:
            try:
                self._counted = "nf_tables" in programs.run(("iptables-save", "--version"))
            except programs.MissingProgram:
                return None
        if not self._counted:
            return None
        return namespace.own_cookie(), nfnetlink.ruleset_generation()
