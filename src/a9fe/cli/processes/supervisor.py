"""Supervision of processes: start, readiness, restart."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from a9fe.cli.flags import as_arguments
from a9fe.cli.processes.pid_file import PidFile
from a9fe.cli.processes.process_table import Process
from a9fe.cli.processes.run_process import HOPELESS
from a9fe.linux.processes import privileges
from a9fe.linux.processes import process as processes
from a9fe.linux.processes.fork_server import NO_MODULE, ForkServer
from a9fe.runtime import readiness
from a9fe.runtime.config import Config
from a9fe.runtime.errors import StartError
from a9fe.runtime.options import BY_NAME
from a9fe.runtime.tasks import Backoff, jittered

log = structlog.get_logger()

RESTART = Backoff(first=0.2, ceiling=5.0)
STABLE = 10.0  # s of running after which an end is not a failed start
CRASH_LOOP = 3  # failures in a row that are logged as a crash loop
UNKNOWN_STATUS = -signal.SIGKILL  # the kernel reports the status of children alone
READY_WITHIN = 30.0  # s; a start takes about one


class Supervised:
    """One process: start it, watch it, restart it. `ready` is set while it serves."""

    def __init__(
        self,
        process: Process,
        config: Config,
        flags: Mapping[str, str],
        forks: ForkServer,
        *,
        goes_on: bool = False,
    ) -> None:
        """`flags` pass our configuration to the process. `goes_on`: the other processes can serve
        without it, so it is restarted even if it was never ready.
        """
        self._forks = forks
        self.process = process
        self.pid = 0
        self.ready = asyncio.Event()
        self.ended = asyncio.Event()  # after `keep` was cancelled
        self.stops_after: Supervised | None = None
        self.stays = False  # when `keep` is cancelled: it survives us
        self._was_ready = goes_on
        self._run_path = config.run_path
        self._pid_file = PidFile(process.name, config.run_path)
        self._user = process.user(config)
        self._flags = flags

    async def keep(self) -> None:
        """Run the process until cancelled. Raises StartError if it never gets ready."""
        try:
            await self._keep()
        finally:
            self.ended.set()

    async def _keep(self) -> None:
        failures = 0
        with self._notifications():
            while True:
                began = time.monotonic()
                status = await self._run_once()
                is_planned = status == os.EX_OK and self._was_ready
                is_first = is_planned or time.monotonic() - began > STABLE
                failures = 1 if is_first else failures + 1
                # The first restart has no delay: no other process does this work.
                delay = jittered(RESTART, failures - 1) if failures > 1 else 0.0
                self._log_end(status, failures, delay)
                await asyncio.sleep(delay)

    async def _run_once(self) -> int:
        left = self._pid_file.running() if self.process.survives else 0
        if left:
            return await self._go_on_with(left)
        module = NO_MODULE if self.process.alone else self.process.imported
        try:
            child = await self._forks.fork(self._program(), module)
        except OSError as error:
            log.error("process not started", child=self.process.name, reason=str(error))  # noqa: TRY400
            return os.EX_OSERR
        self.pid = child.pid
        self._pid_file.write(child.pid)
        try:
            return await child.wait()
        except asyncio.CancelledError:
            if self.stops_after is not None:
                await self.stops_after.ended.wait()
            if not self.stays:
                await child.stop()
            raise
        finally:
            self._ended()

    def _ended(self) -> None:
        self.ready.clear()
        if not self.stays:
            self._pid_file.remove()

    async def _go_on_with(self, pid: int) -> int:
        """Watch a process of a former `a9fe up` like a child of our own."""
        log.info("found running", child=self.process.name, pid=pid)
        self.pid, self._was_ready = pid, True
        self.ready.set()
        try:
            await processes.ended(pid)
        except asyncio.CancelledError:
            if not self.stays:
                await asyncio.to_thread(processes.end, pid, self._pid_file.is_ours)
            raise
        finally:
            self._ended()
        return UNKNOWN_STATUS

    def _log_end(self, status: int, failures: int, delay: float) -> None:
        name, how = self.process.name, described(status)
        if not self._was_ready and (status == HOPELESS or failures == CRASH_LOOP):
            raise StartError(f"{name} cannot start ({how}): see its log lines above")
        log.error("process ended", child=name, how=how, again_in=round(delay, 2))
        if failures == CRASH_LOOP:
            log.error(
                "process keeps ending, see its log lines above",
                child=name,
                times_in_a_row=failures,
            )

    def _program(self) -> processes.Program:
        env = {readiness.VARIABLE: self._notify_path}
        if not self.process.secret:
            env[BY_NAME["metadata_proxy_shared_secret"].variable] = ""
        if not self.process.follows:
            env[BY_NAME["auth_token"].variable] = ""
        survives = self.process.survives
        return processes.Program(
            name=self.process.name,
            command=(self.process.name, *as_arguments(self._flags)),
            flags=self._flags,
            env=env,
            survives=survives,
        )

    @property
    def _notify_path(self) -> str:
        return str(Path(self._run_path) / f"{self.process.name}.notify")

    @contextmanager
    def _notifications(self) -> Iterator[None]:
        """Receive READY=1 from the process, which runs as its own user."""
        path, loop = self._notify_path, asyncio.get_running_loop()
        Path(path).unlink(missing_ok=True)
        user = privileges.find_user(self._user)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as receiver:
            receiver.bind(path)
            os.chmod(path, 0o600)
            os.chown(path, user.pw_uid, user.pw_gid)
            loop.add_reader(receiver, self._receive, receiver)
            try:
                yield
            finally:
                loop.remove_reader(receiver)
                Path(path).unlink(missing_ok=True)

    def _receive(self, receiver: socket.socket) -> None:
        with suppress(BlockingIOError):
            if b"READY=1" in receiver.recv(4096).split(b"\n"):
                self.ready.set()
                self._was_ready = True


def described(status: int) -> str:
    """Return an exit status as text."""
    if status >= 0:
        return f"exit status {status}"
    return f"killed by {signal.Signals(-status).name}"


async def all_ready(supervised: Sequence[Supervised], within: float = READY_WITHIN) -> bool:
    """Wait until every process is ready; False if one still is not."""
    try:
        async with asyncio.timeout(within):
            for one in supervised:
                await one.ready.wait()
    except TimeoutError:
        return False
    return True
