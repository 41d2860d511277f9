"""What processes that have ended leave in the run path, removed by `a9fe clean`."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress

from a9fe.cli.processes import HOLDER, PROCESSES
from a9fe.linux.handover import HOLDER_SOCKET
from a9fe.replica.agent import CONTROL_SOCKET
from a9fe.runtime.config import Config

OF_A_PROCESS = ("pid", "notify", "metrics.sock")


def remove(config: Config) -> None:
    """Remove our sockets and files, and the directory if nothing is left in it. Hold the lock."""
    ours = re.compile(rf"({'|'.join(map(re.escape, _names(config)))})(\\.[0-9]+)?")
    for name in os.listdir(config.run_path):
        if ours.fullmatch(name):
            with suppress(FileNotFoundError, IsADirectoryError):
                os.unlink(os.path.join(config.run_path, name))


def remove_directory(config: Config) -> None:
    """Remove the run path if it is empty: `a9fe up` makes it."""
    with suppress(OSError):
        os.rmdir(config.run_path)


def _names(config: Config) -> Iterator[str]:
    """With the number of a process after it, it is one that was killed while it made a socket."""
    yield from (CONTROL_SOCKET, HOLDER_SOCKET)
    directory, name = os.path.split(config.metadata_proxy_socket)
    if directory == config.run_path.rstrip("/"):
        yield name
    for process in {*PROCESSES, HOLDER}:
        yield from (f"{process.name}.{ending}" for ending in OF_A_PROCESS)
