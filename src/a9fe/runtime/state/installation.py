"""The id of this installation of a9fe: made on the first start, kept in state_path.

It marks our kernel objects (plan.mark). The file has two lines: the id, and the state path, which
shows whether the state directory was copied. Two installations with one id would remove each
other's objects.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from a9fe.plan.mark import ID
from a9fe.runtime import whole_files
from a9fe.runtime.config import Config
from a9fe.runtime.errors import StartError

ID_BYTES = 16
MODE = 0o644  # not a secret: `ip link` shows it


def path_of(config: Config) -> Path:
    """Return the path of the file with the id."""
    return Path(config.state_path) / "installation"


def read(config: Config) -> str:
    """Return the id, "" if the file is missing. Raises StartError for a file without an id."""
    found = _read(path_of(config))
    return found[0] if found else ""


def ensure(config: Config) -> str:
    """Return the id, made if missing. Raises StartError for a copied state directory."""
    path, home = path_of(config), os.path.realpath(config.state_path)
    found = _read(path)
    if found is None:
        return _write(path, secrets.token_hex(ID_BYTES), home)
    id, recorded = found
    if recorded == home:
        return id
    _refuse_copy(id, path, Path(recorded))
    return _write(path, id, home)  # the directory was moved


def _refuse_copy(id: str, path: Path, recorded: Path) -> None:
    original = recorded / path.name
    found = _read(original)
    if found and found[0] == id and not original.samefile(path):
        raise StartError(
            f"state_path: {str(path.parent)!r} is a copy of {str(recorded)!r}, with the same"
            f" installation id {id}; the two would remove each other's objects."
            f" Remove {path} to make the copy a separate installation"
        )


def _read(path: Path) -> tuple[str, str] | None:
    """Return the id and the recorded state path, None if the file is missing."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StartError(f"installation: cannot read {path}: {error}") from error
    if not lines or not ID.fullmatch(lines[0]):
        raise StartError(
            f"installation: the first line of {path} is {(lines or [''])[0][:40]!r}, expected 32"
            " hexadecimal digits; `ip link` shows the digits of our devices as alias a9fe:DIGITS"
        )
    return lines[0], lines[1] if len(lines) > 1 else ""


def _write(path: Path, id: str, home: str) -> str:
    """Write the file, unless another agent that started at the same time wrote its own id.

    Returns the id that the file then has.
    """
    content = f"{id}\n{home}\n".encode()
    try:
        with suppress(FileExistsError):
            whole_files.create(path, content, mode=MODE)
            return id
        found = _read(path)
        if found and found[0] != id:
            return found[0]
        whole_files.replace(path, content, mode=MODE)
    except OSError as error:
        raise StartError(f"installation: cannot write {path}: {error.strerror}") from error
    return id
