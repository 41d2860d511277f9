"""The nftables tables of the host's namespace, by `nft`; read only after a change of the rules."""

import re
from dataclasses import dataclass

from a9fe.linux.kernel import netlink
from a9fe.linux.kernel.namespace import NotOurs
from a9fe.linux.processes import programs
from a9fe.plan.filters import bridge_filter, port_security
from a9fe.plan.host import ANY_FILTER, PortSecurity
from a9fe.plan.mark import Mark

FAMILY = "bridge"
OTHER = "other"
NOTHING = port_security.of_ports(())  # tables without elements: no tap is known


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loaded:
    """The loaded tables with our name.

    `any`, `whole`: one exists, all exist. `rules`, `elements`: their markers, "" for none. `ours`:
    all have our mark; if not, `comment` is the other owner's.
    """

    any: bool = False
    whole: bool = False
    rules: str = ""
    elements: str = ""
    ours: bool = True
    comment: str = ""


class Nftables:
    """Reads and sets the tables. Caches the last state."""

    def __init__(self, mark: Mark) -> None:
        """The tables' name and comment are those of the mark."""
        self._mark = mark
        self._rules = bridge_filter.rules_marker(mark)
        self._generation: int | None = None
        self._known = _Loaded()
        self._applied = NOTHING

    def observe(self) -> PortSecurity | None:
        """Return the loaded elements by their marker; None if no table of ours exists.

        The marker is "" if a table is missing, OTHER if another version of a9fe loaded them.
        """
        known = self._look()
        if not known.any or not known.ours:
            return None
        marker = known.elements if known.rules == self._rules else OTHER
        return PortSecurity(marker=marker if known.whole else "")

    def apply(self, wanted: PortSecurity | None) -> None:
        """Load the tables in one transaction; None removes them. Raises NotOurs.

        Costs the difference if this process loaded the elements, else O(elements).
        """
        known = self._look()
        if not known.ours:
            raise NotOurs(f"nftables table {self._mark.table}", known.comment)
        text, before = self._text(wanted, known), self._generation
        programs.run(("nft", "-f", "-"), text)
        self._applied = NOTHING if wanted is None or wanted == ANY_FILTER else wanted
        if text:
            self._loaded(wanted, before)

    def _loaded(self, wanted: PortSecurity | None, before: int | None) -> None:
        """Cache the tables as loaded, unless another process also changed nftables."""
        now = netlink.ruleset_generation()
        if before is None or now != before + 1:
            return
        self._generation, self._known = now, _Loaded()
        if wanted is not None:
            marker = self._applied.marker
            self._known = _Loaded(any=True, whole=True, rules=self._rules, elements=marker)

    def _text(self, wanted: PortSecurity | None, known: _Loaded) -> str:
        """Return the text for `nft`: the difference if the loaded elements are known, else all."""
        applied, mark = self._applied, self._mark
        if wanted is None:
            return bridge_filter.removal(mark)
        if wanted == ANY_FILTER:
            if known.whole:
                return ""
            missing = not known.any
            return bridge_filter.whole(NOTHING.elements, NOTHING.marker, mark, created=missing)
        if known.rules == self._rules and known.elements == applied.marker and known.whole:
            return bridge_filter.change(
                applied.elements, applied.marker, wanted.elements, wanted.marker, mark
            )
        return bridge_filter.whole(wanted.elements, wanted.marker, mark)

    def _look(self) -> _Loaded:
        generation = netlink.ruleset_generation()
        if generation != self._generation:
            self._known = self._read()
            self._generation = generation
        return self._known

    def _read(self) -> _Loaded:
        """Read the names of tables and chains only, so that the cost does not grow with the ports.

        The marker of our rules includes our mark.
        """
        try:
            shown = programs.run(("nft", "list", "tables")).splitlines()
        except programs.MissingProgram:
            return _Loaded()  # `apply` will report it
        ours = [f for f in bridge_filter.FAMILIES if f"table {f} {self._mark.table}" in shown]
        chains = programs.run(("nft", "list", "chains", FAMILY)) if FAMILY in ours else ""
        rules, elements = bridge_filter.markers(chains, self._mark)
        foreign = None if rules == self._rules else self._foreign(ours)
        return _Loaded(
            any=bool(ours),
            whole=len(ours) == len(bridge_filter.FAMILIES),
            rules=rules,
            elements=elements,
            ours=foreign is None,
            comment=foreign or "",
        )

    def _foreign(self, families: list[str]) -> str | None:
        """The comment of one of these tables that is not ours; None if all are."""
        for family in families:
            text = comment(programs.run(("nft", "list", "table", family, self._mark.table)))
            if text != self._mark.text:
                return text
        return None


def tables() -> list[str]:
    """The names of all tables of the bridge family in this namespace."""
    shown = programs.run(("nft", "list", "tables", FAMILY))
    return [line.removeprefix(f"table {FAMILY} ") for line in shown.splitlines()]


def remove(table: str) -> None:
    """Remove a table of the bridge family."""
    programs.run(("nft", "delete", "table", FAMILY, table))


def comment_of(table: str) -> str:
    """The comment of a table of the bridge family; "" if there is no comment or no table."""
    if table not in tables():
        return ""
    return comment(programs.run(("nft", "list", "table", FAMILY, table)))


def comment(shown: str) -> str:
    """Return the comment in the output of `nft list table`; "" for none."""
    found = re.search(r'\A\s*table [^{]*\{\s*comment "([^"]*)"', shown)
    return found.group(1) if found else ""
