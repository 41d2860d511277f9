"""The lock of a state directory, which allows one `a9fe up`: a lock file with its pid."""

import fcntl
import os
from contextlib import suppress
from types import TracebackType

from a9fe.model.errors import A9feError


class AlreadyRunning(A9feError):
    """Another process holds the lock. `pid` is its id, "" if it has not written it yet."""

    def __init__(self, path: str, pid: str) -> None:
        """`path` is the lock file."""
        super().__init__(f"{path}: a9fe is already running here, as pid {pid or 'unknown'}")
        self.pid = pid


class StateLock:
    """Held from `acquire` to `release` or the end of the process, however it ends.

    The kernel releases the lock when its holder ends, so a left-over file does not block.
    """

    def __init__(self, path: str) -> None:
        """`path` is the lock file; its directory must exist."""
        self._path = path
        self._fd: int | None = None

    def acquire(self) -> None:
        """Take the lock and write our pid. Raises AlreadyRunning with the holder's pid."""
        while not self._acquired():
            pass  # a former holder removed the file before we locked it

    def _acquired(self) -> bool:
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
            os.close(fd)
            raise AlreadyRunning(self._path, pid) from error
        if not _is_at(fd, self._path):
            os.close(fd)
            return False
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd
        return True

    def release(self) -> None:
        """Release the lock and keep the file."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def remove(self) -> None:
        """Remove the file and release the lock. A waiter on the old file opens a new one."""
        if self._fd is not None:
            with suppress(FileNotFoundError):
                os.unlink(self._path)

    def __enter__(self) -> "StateLock":
        """Acquire."""
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Release."""
        self.release()


def _is_at(fd: int, path: str) -> bool:
    """Whether the path still names the open file."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False
