"""The shared secret of the metadata agent and service: made once, never empty, root's alone.

It stands in <state_path>/secret, mode 0600. The two processes read it while they are still root.
"""

import os
import secrets
from pathlib import Path

from a9fe.runtime.config import Config
from a9fe.runtime.errors import InvalidOption, StartError

SECRET_BYTES = 32


def path_of(config: Config) -> Path:
    """Where the secret of this state directory is kept."""
    return Path(config.state_path) / "secret"


def read(config: Config) -> str:
    """The secret: the option if set, else the file's. Raises where there is none."""
    if config.metadata_proxy_shared_secret:
        return config.metadata_proxy_shared_secret
    path = path_of(config)
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise InvalidOption(
            "metadata_proxy_shared_secret",
            "",
            f"a secret, or the file {path} that `a9fe up` makes",
            "default",
        ) from None
    except (OSError, ValueError) as error:
        raise StartError(f"cannot read the secret in {path}: {error}") from error
    if not secret:
        raise InvalidOption(
            "metadata_proxy_shared_secret", "", "a secret of one character or more", str(path)
        )
    return secret


def ensure(config: Config) -> None:
    """Make the secret unless there is one. Whole or not at all, whenever we are killed."""
    path = path_of(config)
    if config.metadata_proxy_shared_secret or path.exists():
        return
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(secrets.token_hex(SECRET_BYTES) + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
