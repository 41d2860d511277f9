"""The filters of our bridges as nftables tables of the host's namespace.

`nft` loads them as a whole. Elements of some taps are changed by our own netlink messages, and all
reading is by netlink, so that a change starts no process and costs its elements.

The elements of each tap are known to the process that loaded them, or that compared them with its
plan (`recognise`). They stay known as long as no event tells that another process changed our
tables; after such an event, or lost events, they are compared again.
"""

import errno
import socket
import weakref
from collections.abc import Iterable, Mapping

from a9fe.linux.kernel import netlink, nfnetlink
from a9fe.linux.kernel.namespace import NotOurs
from a9fe.linux.processes import programs
from a9fe.linux.processes.programs import ProgramFailed
from a9fe.linux.rulesets import set_elements, tables
from a9fe.linux.rulesets.rule_events import RuleEvents
from a9fe.linux.rulesets.tables import Loaded
from a9fe.model.errors import A9feError
from a9fe.plan.filters import bridge_filter, fingerprint, port_security
from a9fe.plan.filters.bridge_filter import Taps
from a9fe.plan.filters.connect_limit import ConnectLimit
from a9fe.plan.filters.fingerprint import NOTHING
from a9fe.plan.host import ANY_FILTER, PortSecurity, TapElements
from a9fe.plan.mark import Mark

OTHER = "other"
ATTEMPTS = 5  # transactions, while other processes also change nftables
TapChanges = Mapping[str, TapElements | None]


class Unrecognised(A9feError):
    """The loaded elements are not known: a whole pass must compare or load them."""


class Nftables:
    """Reads and sets the tables."""

    def __init__(self, mark: Mark, connects: ConnectLimit | None = None) -> None:
        """The tables' name and comment are those of the mark. `connects` None: no limit."""
        self._mark = mark
        self._connects = connects
        self._rules = bridge_filter.rules_marker(mark, connects)
        self._events = RuleEvents(mark.table)
        self._kept: socket.socket | None = None
        self._generation = 0  # of the state below
        self._loaded = Loaded()
        self._taps: dict[str, TapElements] | None = None  # the loaded ones, None: not known
        self._is_foreign = False  # whether another process changed our tables since we loaded them

    def observe(self) -> PortSecurity | None:
        """Return the loaded elements by their marker; None if no table of ours exists.

        The marker is "" if a table is missing, OTHER if another version of a9fe loaded them.
        """
        found = self._look()
        if not found.any or not found.ours:
            return None
        marker = found.elements if found.rules == self._rules else OTHER
        return PortSecurity(marker=marker if found.whole else "")

    def recognise(self, wanted: PortSecurity) -> bool:
        """Whether exactly these taps are loaded; they are then known. Raises OSError.

        O(taps) if the loaded elements are known already, else O(elements): it reads them.
        """
        for _ in range(ATTEMPTS):
            found = self._look()
            if self._is_foreign or not self._is_ours(found) or found.elements != wanted.marker:
                return False
            if self._taps is not None:
                return True
            self._events.start()
            same = self._is_loaded(wanted.taps)
            if self._now() == self._generation:
                self._taps = dict(wanted.taps) if same else None
                return same
        return False

    def loaded(self, devices: Iterable[str]) -> dict[str, TapElements] | None:
        """The loaded elements of those devices that have any; None if unknown. O(devices)."""
        self._look()
        taps = self._taps
        if taps is None:
            return None
        return {device: taps[device] for device in devices if device in taps}

    def apply(self, wanted: PortSecurity | None) -> None:
        """Load the tables in one transaction; None removes them. Raises NotOurs.

        Costs O(taps) and the difference if the loaded elements are known, else O(elements).
        Tried again if the other agent made the tables meanwhile, which `nft` then refuses to make.
        """
        for _ in range(ATTEMPTS):
            before = self._look()
            try:
                self._apply(wanted, before)
            except ProgramFailed:
                if self._look() == before:
                    raise
            else:
                return
        raise Unrecognised("other processes change port security again and again")

    def _apply(self, wanted: PortSecurity | None, found: Loaded) -> None:
        if not found.ours:
            raise NotOurs(f"nftables table {self._mark.table}", found.comment)
        if wanted is None:
            self._load(bridge_filter.removal(self._mark), None)
        elif wanted != ANY_FILTER and self._taps is not None:
            self.change(port_security.changes(wanted.taps, self._taps))
        elif wanted != ANY_FILTER:
            self._load(self._whole(wanted), wanted)
        elif not found.whole:
            self._load(self._whole(NOTHING, created=not found.any), NOTHING)

    def _whole(self, wanted: PortSecurity, *, created: bool = False) -> str:
        return bridge_filter.whole(
            wanted.taps, wanted.marker, self._mark, connects=self._connects, created=created
        )

    def change(self, taps: TapChanges) -> None:
        """Set the elements of these taps, None removes a tap, in one transaction.

        O(elements of these taps); with prefixes in address pairs also O(prefixes of all taps).
        Raises Unrecognised, and nothing is changed, if the loaded elements are not known.
        """
        for _ in range(ATTEMPTS):
            self._look()
            if self._taps is None:
                break
            old = {device: self._taps[device] for device in taps if device in self._taps}
            new = {device: found for device, found in taps.items() if found is not None}
            if old == new or self._changed(self._taps, old, new):
                return
        raise Unrecognised("the loaded port security is not known: another process changed it")

    def _changed(self, known: dict[str, TapElements], old: Taps, new: Taps) -> bool:
        """Change elements; False if another process changed nftables meanwhile."""
        table, before = self._mark.table, self._loaded.elements
        marker = fingerprint.changed(before, old, new)
        requests = [
            *set_elements.requests(table, old, new),
            (nfnetlink.DELETE_CHAIN, 0, tables.chain(table, before)),
            (nfnetlink.NEW_CHAIN, netlink.NLM_F_CREATE, tables.chain(table, marker)),
        ]
        try:
            nfnetlink.transaction(nfnetlink.BRIDGE, requests, self._generation, self._socket())
        except OSError as error:
            self._close()
            if error.errno != errno.ERESTART:
                self._taps = None
                raise
            return False
        for device in old:
            del known[device]
        known.update(new)
        self._settle(self._generation + 1, marker)
        self._events.is_touched(self._generation, self._generation)  # reads our own events
        return True

    def _load(self, text: str, wanted: PortSecurity | None) -> None:
        """Run `nft`. The elements are known unless another process changed nftables meanwhile."""
        before, self._taps, self._is_foreign = self._generation, None, False
        self._events.stop()  # there may be too many to read
        programs.run(("nft", "-f", "-"), text)
        if wanted is not None:
            self._mark_rules()
        self._events.start()
        after = before + (1 if wanted is None else 2)
        if self._now() != after:
            return
        self._generation, self._loaded = after, Loaded()
        if wanted is not None:
            self._taps = dict(wanted.taps)
            self._settle(after, wanted.marker)

    def _mark_rules(self) -> None:
        """Mark the rules as `nft` made them, so that a later agent notices another one."""
        marker = tables.chain(self._mark.table, tables.digest_marker(self._mark))
        made = (nfnetlink.NEW_CHAIN, netlink.NLM_F_CREATE, marker)
        nfnetlink.transaction(nfnetlink.BRIDGE, [made])

    def _settle(self, generation: int, marker: str) -> None:
        """Note the result of our own transaction."""
        self._generation = generation
        self._loaded = Loaded(any=True, whole=True, rules=self._rules, elements=marker)

    def _look(self) -> Loaded:
        """Return the tables as they are; forget the elements if others may have changed them."""
        before, now = self._generation, self._now()
        is_touched = now != before and self._events.is_touched(before, now)
        if is_touched is not False:
            self._loaded, self._taps = tables.read(self._mark), None
        self._is_foreign = self._is_foreign or is_touched is True
        self._generation = now
        return self._loaded

    def _now(self) -> int:
        try:
            return nfnetlink.ruleset_generation(self._socket())
        except OSError:
            self._close()
            raise

    def _socket(self) -> socket.socket:
        if self._kept is None:
            self._kept = nfnetlink.opened()
            weakref.finalize(self, self._kept.close)
        return self._kept

    def _close(self) -> None:
        if self._kept is not None:
            self._kept.close()
        self._kept = None

    def _is_ours(self, found: Loaded) -> bool:
        return found.whole and found.ours and found.rules == self._rules

    def _is_loaded(self, taps: Taps) -> bool:
        return tables.rules_are_whole(self._mark) and set_elements.loaded(
            self._mark.table
        ) == set_elements.encoded(taps)
