"""The file with the pid of a process of `a9fe up`."""

from pathlib import Path

import structlog

from a9fe.linux.processes import process as processes
from a9fe.linux.processes.fork_server import interpreter

log = structlog.get_logger()


class PidFile:
    """`<run_path>/<process>.pid`. Its process may be one that a killed `a9fe up` left running."""

    def __init__(self, name: str, run_path: str) -> None:
        """`name` of the table of processes."""
        self._name = name
        self._path = Path(run_path) / f"{name}.pid"

    def write(self, pid: int) -> None:
        """Write a pid."""
        self._path.write_text(f"{pid}\n")

    def remove(self) -> None:
        """Remove the file, if it exists."""
        self._path.unlink(missing_ok=True)

    def running(self) -> int:
        """Return the pid of the process if it runs, else 0."""
        try:
            pid = int(self._path.read_text())
        except (FileNotFoundError, ValueError):
            return 0
        return pid if self.is_ours(pid) and processes.alive(pid) else 0

    def is_ours(self, pid: int) -> bool:
        """Whether the pid is that of such a process."""
        return processes.command_line(pid)[1:5] == (*interpreter()[1:], self._name)

    def end_orphan(self) -> bool:
        """End the process if a killed `a9fe up` left it running. Returns whether it did."""
        pid = self.running()
        ended = bool(pid) and processes.end(pid, self.is_ours)
        if ended:
            log.info("ended a process of a killed a9fe up", child=self._name, pid=pid)
        return ended
