"""Directories of our processes: making them, and checking that the processes' users reach them.

| directory               | owner              | mode |
|-------------------------|--------------------|------|
| <state_path>/           | root               | 0711 |
| <run_path>/             | root               | 0755 |
| <state_path>/<process>/ | the process's user | 0700 |
"""

import os
import stat
from pathlib import Path

from a9fe.runtime.errors import StartError

STATE_MODE = 0o711  # our users may pass through, but not list
RUN_MODE = 0o755
OWN_MODE = 0o700


def ensure(option: str, path: str, mode: int) -> None:
    """Make the directory of an option, or let all users pass through it if it is ours.

    Raises StartError if it cannot be made or written.
    """
    try:
        if not os.path.isdir(path):
            _make(path, mode)
        elif _is_closed(path) and _is_ours(path):
            os.chmod(path, mode)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise StartError(
            f"{option}: {path!r} cannot be used ({error.strerror}),"
            " expected a directory that we can write to"
        ) from error


def _make(path: str, mode: int) -> None:
    """Make a directory and its missing parents, all with this mode, whatever the umask is."""
    above = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(above):
        _make(above, mode)
    try:
        os.mkdir(path)
    except FileExistsError:  # another process of ours made it at the same time
        if not os.path.isdir(path):
            raise
    os.chmod(path, mode)


def _is_closed(path: str) -> bool:
    return os.stat(path).st_mode & stat.S_IXOTH == 0


def _is_ours(path: str) -> bool:
    return os.stat(path).st_uid == os.geteuid()


def check_passable(option: str, path: str) -> None:
    """Raise StartError unless all users may pass through `path` and its parents."""
    for parent in (Path(path), *Path(path).parents):
        if _is_closed(str(parent)):
            raise StartError(
                f"{option}: {path!r} is closed to the users of our processes by {parent},"
                " expected a path that all users may pass through"
            )


def ensure_own(path: str, owner: tuple[int, int] | None) -> None:
    """Make a directory for one user alone. `owner` is (uid, gid), None for the current user.

    Raises StartError.
    """
    try:
        os.makedirs(path, mode=OWN_MODE, exist_ok=True)
        if owner is not None:
            os.chown(path, *owner, follow_symlinks=False)
            _chown_files(path, *owner)
    except OSError as error:
        raise StartError(f"state_path: cannot make {path}: {error.strerror}") from error


def _chown_files(path: str, uid: int, gid: int) -> None:
    """Give the files in it to the owner: a process started by hand ran as root."""
    for entry in os.scandir(path):
        if entry.is_file(follow_symlinks=False) and entry.stat().st_uid != uid:
            os.chown(entry.path, uid, gid, follow_symlinks=False)
