"""Log lines about passes: lasting failures, repaired damage, work done."""

import structlog

from a9fe.host_agent.converge import Outcome
from a9fe.plan.damage import Damage, damages
from a9fe.plan.operations import scope

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
        self._logged: dict[str, str] = {}  # reason by scope
        self._passes: dict[str, int] = {}  # passes in a row in which the scope failed

    def passed(self, failures: dict[str, str]) -> None:
        """Log the failures of a pass: reason by scope."""
        self._passes = {where: self._passes.get(where, 0) + 1 for where in failures}
        for where, reason in failures.items():
            if self._passes[where] < LASTS:
                log.info("cannot converge yet, will retry", where=where, reason=reason)
            elif self._logged.get(where) != reason:
                log.error("cannot converge", where=where, reason=reason)
                self._logged[where] = reason
        for where in sorted(self._logged.keys() - failures.keys()):
            log.info("converges again", where=where)
            del self._logged[where]


def log_work(outcome: Outcome, *, was_settled: bool) -> None:
    """Log the work of a pass. `was_settled`: the host matched this plan before: it was damaged."""
    repaired = tuple(damages(outcome.applied)) if was_settled else ()
    if repaired:
        _log_damages(repaired)
    elif outcome.applied:
        spaces = {scope(o).partition(" ")[0] for o in outcome.applied}
        log.info("converged", operations=len(outcome.applied), of=_few(spaces))


def log_unsettled(outcome: Outcome) -> None:
    """Warn that passes with the same plan change the host again and again."""
    kinds = {type(operation).__name__ for operation in outcome.applied}
    log.warning("host does not stay as planned", operations=_few(kinds))


def _log_damages(found: tuple[Damage, ...]) -> None:
    for one in found[:DAMAGES_LOGGED]:
        log.warning("damage repaired", where=one.where, wrong=one.wrong, done=one.done)
    if found[DAMAGES_LOGGED:]:
        log.warning("more damage repaired", count=len(found) - DAMAGES_LOGGED)


def _few(words: set[str]) -> str:
    shown = sorted(words)[:NAMED]
    rest = len(words) - len(shown)
    return " ".join([*shown, f"and {rest} more"] if rest else shown)
