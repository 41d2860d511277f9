"""inotify(7) on one directory, because Python has no binding."""

import os
import struct
from collections.abc import Iterator

from a9fe.linux.kernel import libc

IN_MOVED_FROM = 0x40
IN_DELETE = 0x200
IN_NONBLOCK = os.O_NONBLOCK
IN_CLOEXEC = os.O_CLOEXEC
EVENT = struct.Struct("=iIII")
READ_SIZE = 1 << 16


def open_removals(directory: str) -> int:
    """A descriptor that reports names removed from the directory. Raises OSError."""
    fd = libc.inotify_init(IN_NONBLOCK | IN_CLOEXEC)
    try:
        libc.inotify_add_watch(fd, directory, IN_DELETE | IN_MOVED_FROM)
    except OSError:
        os.close(fd)
        raise
    return fd


def read(fd: int) -> Iterator[str]:
    """The names of all pending events; "" for one without a name, such as an overflow."""
    try:
        data = os.read(fd, READ_SIZE)
    except BlockingIOError:
        return
    offset = 0
    while offset + EVENT.size <= len(data):
        length = EVENT.unpack_from(data, offset)[3]
        offset += EVENT.size
        yield os.fsdecode(data[offset : offset + length].rstrip(b"\0"))
        offset += length
