"""Starting, watching and ending processes by their pid.

A pid is only ever signalled through a pidfd, so that a reused number hits nobody else.
"""

import asyncio
import os
import select
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from a9fe.linux.processes import privileges

log = structlog.get_logger("a9fe.linux")

# Reading of a process in /proc fails so when it has gone, and so when we may not look at it: root
# without CAP_SYS_PTRACE, a process of another user namespace, /proc mounted with hidepid.
GONE = (FileNotFoundError, ProcessLookupError)
UNREADABLE = (*GONE, PermissionError)

PROC = "/proc"
HIDDEN = -1  # as an inode: no namespace has it

GRACE = 5.0  # s from SIGTERM to SIGKILL: in-flight requests end well before


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run: a short name for the log, the command line, and variables to add.

    `survives`: it outlives us, so it does not get our stdout, whose reader would wait for it.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    survives: bool = False


class Child:
    """A process of ours, in its own session (a Ctrl-C is not for it), that dies with us."""

    def __init__(self, program: Program, process: asyncio.subprocess.Process) -> None:
        """Use `start`."""
        self.program = program
        self._process = process

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def wait(self) -> int:
        """Its exit status; negative for a signal."""
        return await self._process.wait()

    async def stop(self, grace: float = GRACE) -> int:
        """SIGTERM, and after `grace` s SIGKILL; its exit status."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            return await asyncio.wait_for(self._process.wait(), grace)
        except TimeoutError:
            log.warning("killed: did not end in time", child=self.program.name, pid=self.pid)
            with suppress(ProcessLookupError):
                self._process.kill()
            return await self._process.wait()


async def start(program: Program) -> Child:
    """Start it with our stderr and stdout. Call from the main thread (PR_SET_PDEATHSIG)."""
    env = {
        **os.environ,
        **program.env,
        privileges.PARENT_DEATH: "0" if program.survives else "1",
        privileges.PARENT_PID: str(os.getpid()),
    }
    nothing = asyncio.subprocess.DEVNULL
    output = nothing if program.survives else None
    process = await asyncio.create_subprocess_exec(
        *program.argv, env=env, stdin=nothing, stdout=output, stderr=output, start_new_session=True
    )
    return Child(program, process)


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
    return tuple(os.fsdecode(part) for part in raw.split(b"\0")[:-1])


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
    """Every process there is now."""
    return [int(name) for name in os.listdir(PROC) if name.isdigit()]


def signal_if(pid: int, number: signal.Signals, is_it: Callable[[int], bool]) -> bool:
    """Signal `pid` if, seen through a pidfd, it still is who we mean. False if it is not."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if not is_it(pid):
            return False
        signal.pidfd_send_signal(fd, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(fd)
    return True


async def ended(pid: int) -> None:
    """Wait until a process ends, which need not be our child."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(fd, over.set)
    try:
        await over.wait()
    finally:
        loop.remove_reader(fd)
        os.close(fd)


def end(pid: int, is_it: Callable[[int], bool] = alive, grace: float = GRACE) -> bool:
    """SIGTERM, wait for its end, after `grace` s SIGKILL. False if it was not there."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if not is_it(pid):
            return False
        return _end(fd, grace)
    finally:
        os.close(fd)


def _end(fd: int, grace: float) -> bool:
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(fd, signal.SIGTERM)
        if not _ended(fd, grace):
            signal.pidfd_send_signal(fd, signal.SIGKILL)
            _ended(fd, grace)
    return True


def _ended(fd: int, timeout: float) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(timeout * 1000))
