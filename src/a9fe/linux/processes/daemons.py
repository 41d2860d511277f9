"""Daemons of one program, each with a directory of its own: recognise, end and remove them.

A daemon outlives our processes. It is recognised by its pid file, its command line, which names
the directory, and its namespace. It runs as user nobody and reads its files again at SIGHUP, so
all directories above them must be searchable by all users.

The file `loaded` has the digest of the files that the daemon read last. It is written after
SIGHUP. So an observation shows when an agent was killed after it wrote the files and before it
sent the signal.
"""

import hashlib
import os
import shutil
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from a9fe.linux.kernel import namespace
from a9fe.linux.processes import process
from a9fe.model.errors import A9feError
from a9fe.plan.host import PID_FILE
from a9fe.runtime import failpoints, whole_files

LOADED_FILE = "loaded"
NOT_LOADED = "not loaded"  # equals no planned text, because those end with a newline


class DirectoryError(A9feError):
    """A daemon could not read its files; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """The daemons of a program. `pid_option` is the argument before the path of the pid file."""

    program: str
    pid_option: str

    def directory_of(self, pid: int) -> str:
        """The directory in the command line of our daemon; "" for any other process."""
        argv = process.command_line(pid)
        if not argv or os.path.basename(argv[0]) != self.program:
            return ""
        option, ending = self.pid_option, f"/{PID_FILE}"
        given = (a.removeprefix(option) for a in argv if a.startswith(option))
        return next((path.removesuffix(ending) for path in given if path.endswith(ending)), "")

    def is_ours(self, pid: int, directory: str) -> bool:
        """Whether the process is a running daemon with this directory."""
        return self.directory_of(pid) == directory and process.alive(pid)

    def pid_of(self, directory: str) -> int | None:
        """The pid of the running daemon with this directory, by its pid file; None for none."""
        text = read_text(directory, PID_FILE).strip()
        if not text.isdigit() or not self.is_ours(int(text), directory):
            return None
        return int(text)

    def running_in(self, space: str, directory: str) -> int | None:
        """The pid of the daemon with this directory if it runs in the namespace, else None."""
        pid = self.pid_of(directory)
        # A hidden process is recognised by its directory.
        where = (namespace.inode(space), process.HIDDEN)
        return pid if pid is not None and process.network_namespace(pid) in where else None

    def reload(self, directory: str) -> bool:
        """Let the daemon read its files again. Return False if none runs."""
        pid = self.pid_of(directory)
        return pid is not None and process.signal_if(
            pid, signal.SIGHUP, lambda found: self.is_ours(found, directory)
        )

    def stop(self, directory: str) -> list[int]:
        """End every daemon with this directory; return their pids."""
        pid = self.pid_of(directory)
        candidates = [pid] if pid is not None else process.all_pids()
        ended = [p for p in candidates if self.is_ours(p, directory) and self._end(p, directory)]
        failpoints.reached("unlink")
        with suppress(FileNotFoundError):
            os.unlink(f"{directory}/{PID_FILE}")
        return ended

    def remove(self, directory: str) -> None:
        """End the daemon with this directory, and remove the directory."""
        if os.path.isdir(directory):
            self.stop(directory)
            remove_files(directory)

    def end_in(self, space: str, confs: str) -> list[int]:
        """End every daemon with a directory below `confs` in a namespace; return their pids.

        O(processes) if the namespace has a socket like a running daemon's; else O(1).
        """
        try:
            with namespace.inside(space):
                if not _has_sockets():
                    return []
        except namespace.NoSuchNamespace:
            return []
        inode = namespace.inode(space)
        here = [pid for pid in process.all_pids() if process.network_namespace(pid) == inode]
        return [
            pid
            for pid in here
            if (directory := self.directory_of(pid)).startswith(f"{confs}/")
            and self._end(pid, directory)
        ]

    def _end(self, pid: int, directory: str) -> bool:
        return process.end(pid, lambda found: self.is_ours(found, directory))


def _has_sockets() -> bool:
    """Whether the calling thread's namespace has a UDP socket (dnsmasq) or a raw one (radvd)."""
    for name in ("udp", "udp6", "raw6"):
        with suppress(FileNotFoundError), open(f"/proc/thread-self/net/{name}") as file:
            next(file)  # the header
            if next(file, ""):
                return True
    return False


def remove_files(directory: str) -> None:
    """Remove the directory of a daemon that has ended."""
    failpoints.reached("rmtree")
    shutil.rmtree(directory, ignore_errors=True)


def make_directory(directory: str, program: str) -> None:
    """Make a daemon's directory. Raises DirectoryError if user nobody cannot search it."""
    os.makedirs(directory, mode=0o755, exist_ok=True)
    for path in (Path(directory), *Path(directory).parents):
        if not path.stat().st_mode & 0o001:
            raise DirectoryError(
                f"{path}: mode {path.stat().st_mode & 0o777:03o} keeps {program} (user nobody)"
                f" from its files below, expected one searchable by all (chmod a+x {path})"
            )


def is_loaded(directory: str, files: Mapping[str, str]) -> bool:
    """Whether the daemon has read these files (texts by name)."""
    return read_text(directory, LOADED_FILE) == _digest(files)


def mark_loaded(directory: str, files: Mapping[str, str]) -> None:
    """Record that the daemon has read these files."""
    write_text(directory, LOADED_FILE, _digest(files))


def read_text(directory: str, name: str) -> str:
    """The text of a file in the directory, "" if there is none."""
    try:
        return Path(directory, name).read_text(errors="replace")
    except OSError:  # also a damaged disk: it is written again, which fails for this daemon only
        return ""


def write_text(directory: str, name: str, text: str) -> None:
    """Not durable: a power cut also ends the daemon, and a start writes the files again."""
    failpoints.reached("write")
    whole_files.replace(Path(directory, name), text.encode(), mode=0o644, durable=False)


def _digest(files: Mapping[str, str]) -> str:
    return hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()
