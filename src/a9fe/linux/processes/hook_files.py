"""The operator's hooks: the programs in a directory that root alone can change."""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = 0
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
HOOKS_MAX = 100
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class HookFiles:
    """The hooks to run, sorted by name, and why each other file is skipped, by its path."""

    run: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()


def find(directory: str) -> HookFiles:
    """Return the hooks in a directory; none if it is "" or does not exist.

    Only root may be able to replace a hook: it and all directories above it must belong to root
    and be writable by root only. Links are skipped.
    """
    if not directory or not os.path.isdir(directory):
        return HookFiles()
    above = next(_writable_above(directory), "")
    if above:
        return HookFiles(skipped=((directory, above),))
    run, skipped = [], []
    for name in sorted(os.listdir(directory))[:HOOKS_MAX]:
        path = f"{directory}/{name}"
        reason = _refused(name, path)
        if reason:
            skipped.append((path, reason))
        else:
            run.append(path)
    return HookFiles(run=tuple(run), skipped=tuple(skipped))


def _writable_above(directory: str) -> Iterator[str]:
    real = Path(os.path.realpath(directory))
    for path in (real, *real.parents):
        found = path.stat()
        if found.st_uid != ROOT:
            yield f"{path} belongs to user {found.st_uid}, expected root"
        elif found.st_mode & OTHERS_WRITE:
            yield f"{path} has mode {_mode(found)}, expected one that only root may write"


def _refused(name: str, path: str) -> str:
    """Return why a file is no hook, "" if it is one."""
    if not _NAME.fullmatch(name):
        return "its name has other characters than letters, digits, '.', '-' and '_'"
    try:
        found = os.lstat(path)
    except OSError as error:
        return str(error.strerror)
    if not stat.S_ISREG(found.st_mode):
        return "it is no regular file"
    if found.st_uid != ROOT:
        return f"it belongs to user {found.st_uid}, expected root"
    if found.st_mode & OTHERS_WRITE:
        return f"it has mode {_mode(found)}, expected one that only root may write"
    return "" if found.st_mode & stat.S_IXUSR else "it is not executable"


def _mode(found: os.stat_result) -> str:
    return f"{stat.S_IMODE(found.st_mode):03o}"
