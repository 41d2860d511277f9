"""Log lines about passes: lasting failures, repaired damage, work done."""

from collections.abc import Iterable, Mapping

import structlog

from a9fe.plan.damage import Damage, damages
from a9fe.plan.operations import Operation, scope

log = structlog.get_logger()

LASTS = 5  # passes in a row in which one scope fails: 3 s, longer than a restart takes
DAMAGES_LOGGED = 10  # of one pass
NAMED = 5  # names in one line


class FailureLog:
    """Logs a failure when it lasts or its reason changes, and when it ends.

    A failure that does not last is logged as info: other processes may still be starting.
    """

    def __init__(self) -> None:
        """Start without failures."""
        self._logged: dict[str, dict[str, str]] = {}  # reason by scope, by part
        self._passes: dict[str, dict[str, int]] = {}  # passes in a row in which the scope failed

    def passed(self, part: str, failures: Mapping[str, str]) -> None:
        """Log the failures of a pass in one part: reason by scope."""
        before, logged = self._passes.pop(part, {}), self._logged.pop(part, {})
        passes = {where: before.get(where, 0) + 1 for where in failures}
        for where, reason in failures.items():
            if passes[where] < LASTS:
                log.info("cannot converge yet, will retry", where=where, reason=reason)
            elif logged.get(where) != reason:
                log.error("cannot converge", where=where, reason=reason)
                logged[where] = reason
        for where in sorted(logged.keys() - failures.keys()):
            log.info("converges again", where=where)
            del logged[where]
        if failures:
            self._passes[part] = passes
        if logged:
            self._logged[part] = logged


def log_work(applied: Iterable[Operation], repairs: Iterable[Operation]) -> None:
    """Log the work of a pass. `repairs` are in parts that matched the same plan before."""
    repaired = tuple(damages(repairs))
    if repaired:
        _log_damages(repaired)
    done = tuple(applied)
    if done:
        spaces = {scope(o).partition(" ")[0] for o in done}
        log.info("converged", operations=len(done), of=_few(spaces))


def log_unsettled(part: str, applied: Iterable[Operation]) -> None:
    """Warn that passes with the same plan change a part again and again."""
    kinds = {type(operation).__name__ for operation in applied}
    log.warning("host does not stay as planned", where=part, operations=_few(kinds))


def _log_damages(found: tuple[Damage, ...]) -> None:
    for one in found[:DAMAGES_LOGGED]:
        log.warning("damage repaired", where=one.where, wrong=one.wrong, done=one.done)
    if found[DAMAGES_LOGGED:]:
        log.warning("more damage repaired", count=len(found) - DAMAGES_LOGGED)


def _few(words: set[str]) -> str:
    shown = sorted(words)[:NAMED]
    rest = len(words) - len(shown)
    return " ".join([*shown, f"and {rest} more"] if rest else shown)
