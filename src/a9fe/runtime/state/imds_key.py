"""The key of this host's IMDSv2 tokens in the host shape: made at the first start, kept.

It is in <state_path>/imds/key, mode 0600, in a directory of the metadata host's user. That process
makes it; no other process and no other host needs it, so it is not the shared secret.
"""

import re
import secrets
from pathlib import Path

import structlog

from a9fe.runtime import whole_files
from a9fe.runtime.config import Config

KEY_BYTES = 32
_TEXT = re.compile(rf"[0-9a-f]{{{2 * KEY_BYTES}}}")

log = structlog.get_logger()


def directory_of(config: Config) -> Path:
    """Return the directory of the key."""
    return Path(config.state_path) / "imds"


def ensure(config: Config) -> str:
    """Return the key, made if there is none. Call it as the metadata host's user.

    A damaged file is replaced. If it cannot be written, the key is valid until the process ends.
    """
    path = directory_of(config) / "key"
    found = _read(path)
    if found:
        return found
    made = secrets.token_hex(KEY_BYTES)
    try:
        whole_files.replace(path, f"{made}\n".encode())
    except OSError as error:
        log.warning(
            "cannot store the key of IMDSv2 tokens; they end with this process",
            path=str(path),
            reason=error.strerror,
        )
    return made


def _read(path: Path) -> str:
    """Return the key, "" if there is none."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        log.warning("the key of IMDSv2 tokens is unreadable", path=str(path), reason=str(error))
        return ""
    if not _TEXT.fullmatch(text):
        log.warning("the key of IMDSv2 tokens is damaged, replaced", path=str(path))
        return ""
    return text
