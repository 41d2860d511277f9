"""The secret with which the metadata agent signs instance ids and the service verifies them.

It is in <state_path>/secret, mode 0600, unless the option metadata_proxy_shared_secret is set. The
two processes read it while they are still root. It is never empty.
"""

import secrets
from pathlib import Path

from a9fe.runtime import whole_files
from a9fe.runtime.config import Config
from a9fe.runtime.errors import InvalidOption, StartError

SECRET_BYTES = 32


def path_of(config: Config) -> Path:
    """Return the path of the file with the secret."""
    return Path(config.state_path) / "secret"


def read(config: Config) -> str:
    """Return the secret of the option or the file. Raises InvalidOption or StartError."""
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
    """Make the secret unless the option or the file has one."""
    path = path_of(config)
    if not (config.metadata_proxy_shared_secret or path.exists()):
        whole_files.replace(path, f"{secrets.token_hex(SECRET_BYTES)}\n".encode())
