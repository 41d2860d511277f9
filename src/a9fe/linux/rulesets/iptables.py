"""The IPv4 ruleset of a namespace, by iptables-restore and iptables-save.

An iptables-save for each namespace at each observation costs 5 ms. With iptables-nft the kernel
counts the changes of a namespace's rules, so a cached ruleset is valid until the count changes;
with iptables-legacy the ruleset is read each time.
"""

from a9fe.linux.kernel import namespace, netlink
from a9fe.linux.processes import programs
from a9fe.plan.routers.iptables import canonical

RESTORE = ("iptables-restore", "--wait", "10")
SAVE = ("iptables-save",)
EMPTY = canonical("")

_Version = tuple[int, int]  # cookie of the namespace, generation of its ruleset


class Iptables:
    """Reads and sets rulesets; caches those it read."""

    def __init__(self) -> None:
        """Start with an empty cache."""
        self._known: dict[str, tuple[_Version, str]] = {}
        self._counted: bool | None = None

    def observe(self, space: str) -> str:
        """Return the ruleset in canonical form. The calling thread must be in the namespace."""
        version = self._version()
        known = self._known.get(space)
        if version is not None and known is not None and known[0] == version:
            return known[1]
        try:
            rules = canonical(programs.run(SAVE))
        except programs.MissingProgram:
            return EMPTY  # `apply` will report it
        if version is not None:
            self._known[space] = (version, rules)
        return rules

    def apply(self, space: str, rules: str) -> None:
        """Replace the ruleset of a namespace; "" empties it."""
        text = rules or EMPTY
        namespace.call_inside(space, lambda: programs.run(RESTORE, text))

    def forget(self, space: str) -> None:
        """Drop the cached ruleset of a removed namespace."""
        self._known.pop(space, None)

    def _version(self) -> _Version | None:
        """The namespace and the count of its changes; None if the kernel does not count them."""
        if self._counted is None:
            try:
                self._counted = "nf_tables" in programs.run((*SAVE, "--version"))
            except programs.MissingProgram:
                return None
        if not self._counted:
            return None
        return namespace.own_cookie(), netlink.ruleset_generation()
