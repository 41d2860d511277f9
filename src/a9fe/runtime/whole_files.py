"""Reading a file up to a size; writing a whole file so that no reader or crash sees half of it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from a9fe.model.errors import A9feError

OWNER_ONLY = 0o600


class TooLarge(A9feError):
    """The file has more bytes than its reader takes."""


def read(path: Path, limit: int) -> bytes:
    """Return the content of a file of at most `limit` bytes. Raises OSError or TooLarge."""
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise TooLarge(f"more than {limit} bytes")
    return content


def replace(path: Path, content: bytes, *, mode: int = OWNER_ONLY, durable: bool = True) -> None:
    """Write a file in place of any old one. Raises OSError, and then the old one is unchanged.

    The content goes to a draft beside `path` that has `mode` before it has any content, and that
    is then renamed. With `durable` the file also survives a power cut once this returns. One
    writer at a time: a draft that a killed writer left is overwritten.
    """
    with _draft(path.with_name(f".{path.name}.new"), content, mode, durable=durable) as draft:
        draft.replace(path)
        if durable:
            _sync_directory(path.parent)


def create(path: Path, content: bytes, *, mode: int = OWNER_ONLY) -> None:
    """Write a durable file that is not there yet; of several writers at once one wins.

    Raises FileExistsError, or another OSError; then `path` is as it was before.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with _draft(beside, content, mode, durable=True) as draft:
        os.link(draft, path)
        _sync_directory(path.parent)


@contextmanager
def _draft(path: Path, content: bytes, mode: int, *, durable: bool) -> Iterator[Path]:
    """A complete file for the block, removed afterwards unless it was renamed."""
    path.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            os.fchmod(file.fileno(), mode)  # whatever the umask is
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        yield path
    finally:
        path.unlink(missing_ok=True)


def _sync_directory(path: Path) -> None:
    """Make the directory's new entry survive a power cut."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
