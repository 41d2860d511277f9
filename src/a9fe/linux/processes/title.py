"""The command line that `ps` shows for this process."""

import os
from collections.abc import Sequence

from a9fe.linux.kernel import libc

# Fields of /proc/<pid>/stat after the name: where the kernel reads the command line, proc(5).
ARG_START, ARG_END = 45, 46


def set_title(argv: Sequence[str], name: str) -> None:
    """Show `argv` as our command line, and `name` as our name (comm).

    It is written over the command line that we were started with, and cut to its length.
    """
    start, end = _bounds()
    libc.overwrite(start, end, as_shown(argv)[: end - start - 1] + b"\0")
    libc.set_name(name)


def as_shown(argv: Sequence[str]) -> bytes:
    """Return a command line as in /proc/<pid>/cmdline."""
    return b"".join(os.fsencode(word) + b"\0" for word in argv)


def _bounds() -> tuple[int, int]:
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    return int(fields[ARG_START]), int(fields[ARG_END])
