"""API tokens of this host: one for its agents, and one for commands that root runs.

They are in <state_path>/agent-token and <state_path>/admin-token, mode 0600, and are read as root.
`a9fe up` makes them if auth_strategy needs them, and the server on this host loads their hashes at
its start. With Keystone, admins use Keystone's tokens, so only the agent's is made.
"""

import secrets
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from a9fe.model import api_tokens as tokens
from a9fe.model.api_tokens import ApiToken
from a9fe.model.policy import ADMIN, AGENT, ANY_HOST
from a9fe.runtime import whole_files
from a9fe.runtime.config import Config

SERVICE = "service"
"""Role of the token of a metadata service that serves the VMs of all hosts."""
ROLES = (ADMIN, AGENT)
MADE = {"none": (), "token": ROLES, "keystone": (AGENT,)}
"""Roles of the tokens that are made, by auth_strategy."""


def _made(config: Config) -> tuple[str, ...]:
    made = MADE[config.auth_strategy]
    is_central = bool(made) and config.metadata_service_hosts == ANY_HOST
    return (*made, SERVICE) if is_central else made


def path_of(state_path: str, role: str) -> Path:
    """Return the path of a token's file. `role` is ADMIN, AGENT or SERVICE."""
    return Path(state_path) / f"{role}-token"


def ensure(config: Config) -> None:
    """Make the tokens that are needed and missing."""
    for role in _made(config):
        path = path_of(config.state_path, role)
        if not path.exists():
            text = tokens.text_of(secrets.token_bytes(tokens.RANDOM_BYTES))
            whole_files.replace(path, f"{text}\n".encode())


def read(state_path: str, role: str) -> str:
    """Return the token, "" if it is missing or unreadable."""
    try:
        return path_of(state_path, role).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def records(state_path: str, host: str) -> list[ApiToken]:
    """Return the records (with hashes) of this host's tokens, for its server. Call it as root."""
    found = [(role, read(state_path, role)) for role in (*ROLES, SERVICE)]
    return [_token(role, text, host) for role, text in found if tokens.id_of(text)]


def _token(role: str, text: str, host: str) -> ApiToken:
    return ApiToken(
        id=tokens.id_of(text) or "",
        sha256=tokens.hash_of(text),
        project_id="default" if role == ADMIN else "",
        role=ADMIN if role == ADMIN else AGENT,
        host={AGENT: host, SERVICE: ANY_HOST}.get(role, ""),
        description=description(host),
    )


def description(host: str) -> str:
    """Return the description that marks the records of a host's own tokens."""
    return f"of {host} itself"


def for_agent(config: Config, *, is_service: bool = False) -> str:
    """Return the token that a process of this host sends, "" for none.

    `is_service`: the process is the metadata service.
    """
    of_all = _read_if_made(config, SERVICE) if is_service else ""
    return config.auth_token or of_all or _read_if_made(config, AGENT)


def for_command(config: Config) -> str:
    """Return the token that a command sends, "" for none.

    The admin token of this host is only sent to a server on this host.
    """
    if config.auth_token or not all(_is_here(url) for url in config.server_url.split(",")):
        return config.auth_token
    return _read_if_made(config, ADMIN)


def _read_if_made(config: Config, role: str) -> str:
    return read(config.state_path, role) if role in _made(config) else ""


def _is_here(url: str) -> bool:
    name = urlsplit(url).hostname or ""
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False
