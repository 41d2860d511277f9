"""Watching and ending processes by their pid.

Signals go through a pidfd, so that they cannot reach another process with a reused pid.
"""

import asyncio
import os
import select
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

import structlog

from a9fe.runtime import failpoints

log = structlog.get_logger("a9fe.linux")

# Errors of reading a process's files in /proc: it has ended, or we may not inspect it (root
# without CAP_SYS_PTRACE, a process of another user namespace, /proc mounted with hidepid).
GONE = (FileNotFoundError, ProcessLookupError)
UNREADABLE = (*GONE, PermissionError)

PROC = "/proc"
HIDDEN = -1  # no namespace has this inode

ROUND = 200  # processes that `end_all` ends at once; each needs a descriptor
GRACE = 5.0  # s from SIGTERM to SIGKILL, more than requests in progress take


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run: a short name for the log, the words after `a9fe` to show, flags by option,
    and variables to add.

    With `survives` it outlives us, and does not get our stdout or stderr: their reader would wait
    for it.
    """

    name: str
    command: tuple[str, ...]
    flags: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    survives: bool = False


class Child:
    """A child process of ours, in its own session, so that it gets no Ctrl-C."""

    def __init__(self, program: Program, pid: int) -> None:
        """Hold a started process, for which nothing else waits."""
        self.program = program
        self.pid = pid
        self._status: int | None = None

    async def wait(self) -> int:
        """Wait for its end; return its exit status, or minus the number of the signal."""
        await ended(self.pid)
        if self._status is None:
            _, status = os.waitpid(self.pid, 0)  # noqa: ASYNC222 - it has ended
            self._status = os.waitstatus_to_exitcode(status)
        return self._status

    async def stop(self, grace: float = GRACE) -> int:
        """Send SIGTERM, and after `grace` s SIGKILL. Return as `wait`."""
        if self._status is None:
            os.kill(self.pid, signal.SIGTERM)
        try:
            return await asyncio.wait_for(self.wait(), grace)
        except TimeoutError:
            log.warning(
                "process killed: it did not end in time", child=self.program.name, pid=self.pid
            )
            os.kill(self.pid, signal.SIGKILL)
            return await self.wait()


def alive(pid: int) -> bool:
    """Whether the process runs. A zombie does not; one that we may not inspect does."""
    try:
        with open(f"{PROC}/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except GONE:
        return False
    except PermissionError:
        return True


def command_line(pid: int) -> tuple[str, ...]:
    """The arguments of a process; () if it has ended, is a kernel thread, or is unreadable."""
    try:
        with open(f"{PROC}/{pid}/cmdline", "rb") as file:
            raw = file.read()
    except UNREADABLE:
        return ()
    # One that a process has overwritten (see `title`) ends with zeros.
    return tuple(os.fsdecode(part) for part in raw.rstrip(b"\0").split(b"\0")) if raw else ()


def network_namespace(pid: int) -> int:
    """The inode of the network namespace of a process; 0 if it has ended, HIDDEN if it exists but
    we may not inspect it.
    """
    try:
        return os.stat(f"{PROC}/{pid}/ns/net").st_ino
    except GONE:
        return 0
    except PermissionError:
        return HIDDEN


def all_pids() -> list[int]:
    """The ids of all processes."""
    return [int(name) for name in os.listdir(PROC) if name.isdigit()]


def signal_if(pid: int, number: signal.Signals, is_it: Callable[[int], bool]) -> bool:
    """Signal the process if `is_it(pid)`. Return False if it is another one or has ended."""
    with _pidfd(pid) as fd:
        if fd is None or not is_it(pid):
            return False
        failpoints.reached("signal")
        try:
            signal.pidfd_send_signal(fd, number)
        except ProcessLookupError:
            return False
        return True


async def ended(pid: int) -> None:
    """Wait until a process ends, which need not be our child."""
    with _pidfd(pid) as fd:
        if fd is None:
            return
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(fd, over.set)
        try:
            await over.wait()
        finally:
            loop.remove_reader(fd)


def end(pid: int, is_it: Callable[[int], bool] = alive, grace: float = GRACE) -> bool:
    """End the process if `is_it(pid)`: SIGTERM, after `grace` s SIGKILL, and wait for its end.

    Return False if it is another one or had ended.
    """
    with _pidfd(pid) as fd:
        if fd is None or not is_it(pid):
            return False
        failpoints.reached("signal")
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(fd, signal.SIGTERM)
            if not _wait(fd, grace):
                signal.pidfd_send_signal(fd, signal.SIGKILL)
                _wait(fd, grace)
        return True


def end_all(processes: Mapping[int, Callable[[int], bool]], grace: float = GRACE) -> set[int]:
    """End processes as `end` does, at once, each if its test holds; return those that it held for.

    Costs one wait for the slowest, in rounds of ROUND processes.
    """
    ended: set[int] = set()
    pids = sorted(processes)
    for start in range(0, len(pids), ROUND):
        with ExitStack() as held:
            opened = {pid: held.enter_context(_pidfd(pid)) for pid in pids[start : start + ROUND]}
            fds = {f: pid for pid, f in opened.items() if f is not None and processes[pid](pid)}
            for number in (signal.SIGTERM, signal.SIGKILL):
                left = fds if number == signal.SIGTERM else _still_there(fds)
                for fd in left:
                    with suppress(ProcessLookupError):
                        signal.pidfd_send_signal(fd, number)
                _wait_all(left, grace)
            ended.update(fds.values())
    return ended


def _wait_all(fds: Iterable[int], timeout: float) -> None:
    """Wait up to `timeout` s for the end of all processes."""
    end, left = time.monotonic() + timeout, set(fds)
    while left and time.monotonic() < end:
        if not _wait(next(iter(left)), end - time.monotonic()):
            return
        left = _still_there(left)


def _still_there(fds: Iterable[int]) -> set[int]:
    return {fd for fd in fds if not _wait(fd, 0)}


@contextmanager
def _pidfd(pid: int) -> Iterator[int | None]:
    """A descriptor of the process, for the block; None if the process has ended."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield fd
    finally:
        os.close(fd)


def _wait(fd: int, timeout: float) -> bool:
    """Wait up to `timeout` s for the end of the process. Return whether it ended."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(timeout * 1000))
