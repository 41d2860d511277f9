"""The files that ended processes left in run_path, which `a9fe clean` removes."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress

from a9fe.cli.processes.process_table import HOLDER, PROCESSES
from a9fe.runtime.config import Config
from a9fe.wire.handover import HOLDER_SOCKET, PROXY_SOCKET

OF_A_PROCESS = ("pid", "notify", "metrics.sock")


def remove(config: Config) -> None:
    """Remove our processes' sockets and files. The caller holds the lock of run_path."""
    ours = re.compile(rf"({'|'.join(map(re.escape, _names(config)))})(\\.[0-9]+)?")
    for name in os.listdir(config.run_path):
        if ours.fullmatch(name):
            with suppress(FileNotFoundError, IsADirectoryError):
                os.unlink(os.path.join(config.run_path, name))


def remove_directory(config: Config) -> None:
    """Remove run_path if it is empty; `a9fe up` makes it again."""
    with suppress(OSError):
        os.rmdir(config.run_path)


def _names(config: Config) -> Iterator[str]:
    """Yield the names of files. With a process id appended, a name is a draft that a process
    left when it was killed while creating a socket."""
    yield from (PROXY_SOCKET, HOLDER_SOCKET)
    directory, name = os.path.split(config.metadata_proxy_socket)
    if directory == config.run_path.rstrip("/"):
        yield name
    for process in {*PROCESSES, HOLDER}:
        yield from (f"{process.name}.{ending}" for ending in OF_A_PROCESS)
