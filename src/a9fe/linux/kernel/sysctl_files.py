"""Reads settings below /proc/sys in the calling thread's network namespace.

A procfs keeps the directories net/ipv4 of all namespaces in one list, so that a look-up of one
costs O(namespaces). So we read in a procfs of our own, to which no path leads, and replace it
after some look-ups. Settings are written in /proc/sys, which an operator may make read-only.
Source: fsopen(2), fs/proc/proc_sysctl.c.
"""

import os
import threading
import weakref
from collections.abc import Collection

from a9fe.linux.kernel import libc

SETTINGS = "/proc/sys"
ROOTS = ("net/ipv4", "net/ipv6")
LOOK_UPS = 64  # of ROOTS in one procfs; making one costs about as much as 20 look-ups in it


class _Procfs:
    """A directory of settings, and the look-ups that are left until it is replaced."""

    def __init__(self) -> None:
        """Mount a procfs; use /proc where the kernel or a container refuses that."""
        flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
        self.left = LOOK_UPS
        try:
            mount = libc.detached_mount("proc")
        except OSError:
            self.settings = os.open(SETTINGS, flags)
        else:
            try:
                self.settings = os.open("sys", flags, dir_fd=mount)
            finally:
                os.close(mount)
        weakref.finalize(self, os.close, self.settings)


_own = threading.local()


def read(keys: Collection[str]) -> dict[str, str]:
    """The values of keys below ROOTS, without those that do not exist. O(keys)."""
    found: dict[str, str] = {}
    for root in ROOTS:
        names = [key.removeprefix(f"{root}/") for key in keys if key.startswith(f"{root}/")]
        if not names:
            continue
        try:
            directory = os.open(root, os.O_PATH | os.O_CLOEXEC, dir_fd=_settings())
        except FileNotFoundError:  # no IPv6 in the kernel
            continue
        try:
            values = {name: _read_in(directory, name) for name in names}
        finally:
            os.close(directory)
        found |= {f"{root}/{name}": text for name, text in values.items() if text is not None}
    return found


def _settings() -> int:
    procfs: _Procfs | None = getattr(_own, "procfs", None)
    if procfs is None or not procfs.left:
        procfs = _own.procfs = _Procfs()
    procfs.left -= 1
    return procfs.settings


def _read_in(directory: int, name: str) -> str | None:
    try:
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    except FileNotFoundError:
        return None
    try:
        return os.read(fd, 4096).decode().strip()
    finally:
        os.close(fd)
