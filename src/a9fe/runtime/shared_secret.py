"""The shared secret of the metadata agent and service: made once, never empty, root's alone.

It stands in <state_path>/secret, mode 0600. The two processes read it while they are still root.
"""

import secrets
from pathlib import Path

from a9fe.runtime import whole_files
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
    """Make the secret unless the option or the file has one."""
    path = path_of(config)
    if not (config.metadata_proxy_shared_secret or path.exists()):
        whole_files.replace(path, f"{secrets.token_hex(SECRET_BYTES)}\n".encode())
