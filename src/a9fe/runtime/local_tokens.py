"""The tokens of this machine: an agent's for its processes, an admin's for root's commands.

With Keystone people have its tokens, root too, so there is the agent's alone. They stand in
<state_path>/admin-token and agent-token, mode 0600. `a9fe up` makes them where a token is needed,
the server learns their hashes when it starts, and all read them as root.
"""

import secrets
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from a9fe.model import tokens
from a9fe.model.policy import ADMIN, AGENT, ANY_HOST
from a9fe.model.tokens import Token
from a9fe.runtime import whole_files
from a9fe.runtime.config import Config

SERVICE = "service"
"""The file of an agent's token for every host: of a metadata service that answers for all."""
ROLES = (ADMIN, AGENT)
MADE = {"none": (), "token": ROLES, "keystone": (AGENT,)}
"""Which there are, by auth_strategy."""


def _made(config: Config) -> tuple[str, ...]:
    made = MADE[config.auth_strategy]
    is_central = bool(made) and config.metadata_service_hosts == ANY_HOST
    return (*made, SERVICE) if is_central else made


def path_of(state_path: str, role: str) -> Path:
    """The file of the admin's, the agent's or the service's token."""
    return Path(state_path) / f"{role}-token"


def ensure(config: Config) -> None:
    """Make the tokens that are needed and not there."""
    for role in _made(config):
        path = path_of(config.state_path, role)
        if not path.exists():
            text = tokens.text_of(secrets.token_bytes(tokens.RANDOM_BYTES))
            whole_files.replace(path, f"{text}\n".encode())


def read(state_path: str, role: str) -> str:
    """The token; "" if there is none that we may read."""
    try:
        return path_of(state_path, role).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def kept(state_path: str, host: str) -> list[Token]:
    """What a server keeps of the tokens of its machine. Call it as root."""
    found = [(role, read(state_path, role)) for role in (*ROLES, SERVICE)]
    return [_token(role, text, host) for role, text in found if tokens.id_of(text)]


def _token(role: str, text: str, host: str) -> Token:
    return Token(
        id=tokens.id_of(text) or "",
        sha256=tokens.hash_of(text),
        project_id="default" if role == ADMIN else "",
        role=ADMIN if role == ADMIN else AGENT,
        host={AGENT: host, SERVICE: ANY_HOST}.get(role, ""),
        description=description(host),
    )


def description(host: str) -> str:
    """Of a machine's tokens, among all others."""
    return f"of {host} itself"


def for_agent(config: Config, *, is_service: bool = False) -> str:
    """What a process of this host sends; `is_service`: the metadata service."""
    of_all = _read_if_made(config, SERVICE) if is_service else ""
    return config.auth_token or of_all or _read_if_made(config, AGENT)


def for_command(config: Config) -> str:
    """What a command sends: the option, or root's token, which no other machine is told."""
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
