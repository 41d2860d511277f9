"""The nftables tables of the host's namespace, by `nft`; read only after a change of the rules."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from a9fe.linux.kernel import nfnetlink
from a9fe.linux.kernel.namespace import NotOurs
from a9fe.linux.processes import programs
from a9fe.model.errors import A9feError
from a9fe.plan.filters import bridge_filter, fingerprint, port_security
from a9fe.plan.filters.fingerprint import NOTHING
from a9fe.plan.host import ANY_FILTER, PortSecurity, TapElements
from a9fe.plan.mark import Mark

FAMILY = "bridge"
OTHER = "other"
TapChanges = Mapping[str, TapElements | None]


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


class Unrecognised(A9feError):
    """The loaded tables are not those that this process knows: observe and apply the whole."""


class Nftables:
    """Reads and sets the tables. Knows the elements of each tap that it loaded or recognised."""

    def __init__(self, mark: Mark) -> None:
        """The tables' name and comment are those of the mark."""
        self._mark = mark
        self._rules = bridge_filter.rules_marker(mark)
        self._generation: int | None = None
        self._known = _Loaded()
        self._marker = NOTHING.marker
        self._taps: dict[str, TapElements] = {}  # those of `_marker`

    def observe(self) -> PortSecurity | None:
        """Return the loaded elements by their marker; None if no table of ours exists.

        The marker is "" if a table is missing, OTHER if another version of a9fe loaded them.
        """
        known = self._look()
        if not known.any or not known.ours:
            return None
        marker = known.elements if known.rules == self._rules else OTHER
        return PortSecurity(marker=marker if known.whole else "")

    def recognise(self, wanted: PortSecurity) -> None:
        """Know these elements as the loaded ones, if they are by their marker. O(taps)."""
        if self._look().elements == wanted.marker != self._marker:
            self._remember(wanted)

    def loaded(self, devices: Iterable[str]) -> dict[str, TapElements] | None:
        """The loaded elements of those devices that have any; None if unknown. O(devices)."""
        if not self._is_known(self._look()):
            return None
        return {device: self._taps[device] for device in devices if device in self._taps}

    def apply(self, wanted: PortSecurity | None) -> None:
        """Load the tables in one transaction; None removes them. Raises NotOurs.

        Costs O(taps) and the difference if the loaded elements are known, else O(elements).
        """
        known = self._look()
        if not known.ours:
            raise NotOurs(f"nftables table {self._mark.table}", known.comment)
        if wanted not in (None, ANY_FILTER) and self._is_known(known):
            self._change(port_security.changes(wanted.taps, self._taps), wanted.marker)
            return
        text, before = self._text(wanted, known), self._generation
        programs.run(("nft", "-f", "-"), text)
        if text:
            self._remember(NOTHING if wanted in (None, ANY_FILTER) else wanted)
            self._loaded(before, exists=wanted is not None)

    def change(self, taps: TapChanges) -> None:
        """Set the elements of these taps, None removes a tap, in one transaction.

        O(elements of these taps). Raises Unrecognised, and nothing is changed, if the loaded
        elements are not known.
        """
        if not self._is_known(self._look()):
            raise Unrecognised("the loaded port security is not what this process knows")
        old, new = self._before(taps), _present(taps)
        if old != new:
            self._change(taps, fingerprint.changed(self._marker, old, new))

    def _change(self, taps: TapChanges, marker: str) -> None:
        before, old, new = self._generation, self._before(taps), _present(taps)
        programs.run(
            ("nft", "-f", "-"), bridge_filter.change(old, self._marker, new, marker, self._mark)
        )
        for device in old:
            del self._taps[device]
        self._taps |= new
        self._marker = marker
        self._loaded(before)

    def _before(self, taps: TapChanges) -> dict[str, TapElements]:
        return {device: self._taps[device] for device in taps if device in self._taps}

    def _is_known(self, found: _Loaded) -> bool:
        is_ours = found.whole and found.ours and found.rules == self._rules
        return is_ours and found.elements == self._marker

    def _remember(self, loaded: PortSecurity) -> None:
        self._marker, self._taps = loaded.marker, dict(loaded.taps)

    def _loaded(self, before: int | None, *, exists: bool = True) -> None:
        """Cache the tables as loaded, unless another process also changed nftables."""
        now = nfnetlink.ruleset_generation()
        if before is None or now != before + 1:
            return
        self._generation, self._known = now, _Loaded()
        if exists:
            self._known = _Loaded(any=True, whole=True, rules=self._rules, elements=self._marker)

    def _text(self, wanted: PortSecurity | None, known: _Loaded) -> str:
        """Return the text for `nft` that loads all, or removes the tables."""
        if wanted is None:
            return bridge_filter.removal(self._mark)
        if wanted != ANY_FILTER:
            return bridge_filter.whole(wanted.taps, wanted.marker, self._mark)
        if known.whole:
            return ""
        missing = not known.any
        return bridge_filter.whole({}, NOTHING.marker, self._mark, created=missing)

    def _look(self) -> _Loaded:
        generation = nfnetlink.ruleset_generation()
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


def _present(taps: TapChanges) -> dict[str, TapElements]:
    return {device: found for device, found in taps.items() if found is not None}


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
