"""Directories of our processes: who owns them, and that their users can get there.

<state_path>/            root, 0711      <run_path>/   root, 0755
<state_path>/<process>/  its user, 0700
"""

import os
import stat
from pathlib import Path

from a9fe.runtime.errors import StartError

STATE_MODE = 0o711  # users of ours pass through, and list nothing
RUN_MODE = 0o755
OWN_MODE = 0o700


def ensure(option: str, path: str, mode: int) -> None:
    """Make the directory of an option, or see that all may pass through it."""
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
    """Make a directory and what is missing above it, all with this mode, whatever the umask is."""
    above = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(above):
        _make(above, mode)
    try:
        os.mkdir(path)
    except FileExistsError:  # another process of ours was faster
        if not os.path.isdir(path):
            raise
    os.chmod(path, mode)


def _is_closed(path: str) -> bool:
    return os.stat(path).st_mode & stat.S_IXOTH == 0


def _is_ours(path: str) -> bool:
    return os.stat(path).st_uid == os.geteuid()


def check_passable(option: str, path: str) -> None:
    """See that users without privileges can get to `path`."""
    for parent in (Path(path), *Path(path).parents):
        if _is_closed(str(parent)):
            raise StartError(
                f"{option}: {path!r} is closed to the users of our processes by {parent},"
                " expected a path that all may pass through"
            )


def ensure_own(path: str, owner: tuple[int, int] | None) -> None:
    """Make a directory that is one user's alone: uid and gid; None: it is ours."""
    try:
        os.makedirs(path, mode=OWN_MODE, exist_ok=True)
        if owner is not None:
            os.chown(path, *owner, follow_symlinks=False)
            _give_files(path, *owner)
    except OSError as error:
        raise StartError(f"state_path: cannot make {path}: {error.strerror}") from error


def _give_files(path: str, uid: int, gid: int) -> None:
    """What another user made there, as when a process ran by hand as root, is the owner's too."""
    for entry in os.scandir(path):
        if entry.is_file(follow_symlinks=False) and entry.stat().st_uid != uid:
            os.chown(entry.path, uid, gid, follow_symlinks=False)
