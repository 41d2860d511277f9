"""Points at which tests kill a process, to prove that the next one recovers.

Whatever changes the host (a netlink message, a file, a mount, a program, a signal) calls `reached`
before it does so. A point is the operation, the number of the step in it, and the kind of the
step: "AddLink 2 netlink". So a new operation has points without more code. Unless armed, a call
costs one empty loop. Steps outside of operations are no points.

VARIABLE names a file that holds a point, or its first words: "AddLink 2". The first process that
reaches such a point renames the file to `<file>.reached` and sends itself SIGKILL.
"""

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

VARIABLE = "A9FE_FAILPOINT"
Action = Callable[[str], None]


class _Counter:
    """Names the points that are reached, and calls `action` with each."""

    def __init__(self, action: Action) -> None:
        self._action = action
        self._operation = ""
        self._step = 0

    def enter(self, operation: str) -> None:
        self._operation, self._step = operation, 0

    def reached(self, kind: str) -> None:
        if self._operation:
            self._action(f"{self._operation} {self._step} {kind}")
            self._step += 1


_armed: list[_Counter] = []  # at most one


@contextmanager
def operation(name: str) -> Iterator[None]:
    """Count the steps of the block as those of an operation; the last one is "end"."""
    for counter in _armed:
        counter.enter(name)
    try:
        yield
        reached("end")
    finally:
        for counter in _armed:
            counter.enter("")


def reached(kind: str) -> None:
    """Note that a step of this kind is about to be done."""
    for counter in _armed:
        counter.reached(kind)


def arm(action: Action) -> None:
    """Call `action` with each point from now on."""
    _armed[:] = [_Counter(action)]


def arm_from(environ: Mapping[str, str]) -> None:
    """Arm as VARIABLE requests, if it is set."""
    path = environ.get(VARIABLE)
    if path:
        arm(kill_once(Path(path)))


def kill_once(path: Path) -> Action:
    """Return the action that kills this process at the point in the file."""

    def action(point: str) -> None:
        with suppress(FileNotFoundError):  # not requested, or another process was first
            wanted = path.read_text().split()
            if wanted and point.split()[: len(wanted)] == wanted:
                path.rename(f"{path}.reached")
                kill()

    return action


def kill() -> None:
    """End this process as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()  # the signal may be delivered to another thread
