"""API tokens that a9fe issues: their text and hash, and the caller of each. Pure."""

import hashlib
import hmac
import re
from dataclasses import dataclass

from a9fe.model.policy import ADMIN, AGENT, Caller

PREFIX = "a9fe"
ID_BYTES, SECRET_BYTES = 8, 32
RANDOM_BYTES = ID_BYTES + SECRET_BYTES
_TEXT = re.compile(rf"{PREFIX}_([0-9a-f]{{{2 * ID_BYTES}}})_[0-9a-f]{{{2 * SECRET_BYTES}}}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """The record of a token. `role` is admin, member or agent; `host` is an agent's host.

    `sha256` is the hexadecimal hash of the token's text, which is not stored.
    """

    id: str
    sha256: str
    project_id: str = ""
    role: str = ""
    host: str = ""
    description: str = ""
    created_at: str = ""

    @property
    def caller(self) -> Caller:
        """The caller that the token authenticates."""
        return Caller(
            project_id=self.project_id,
            roles=frozenset({self.role}),
            is_admin=self.role == ADMIN,
            host=self.host if self.role == AGENT else "",
        )


def text_of(random_bytes: bytes) -> str:
    """Return a token's text, a9fe_<id>_<secret>, made from RANDOM_BYTES bytes."""
    return f"{PREFIX}_{random_bytes[:ID_BYTES].hex()}_{random_bytes[ID_BYTES:].hex()}"


def id_of(text: str) -> str | None:
    """Return the id in a token's text; None if it is not a token of a9fe."""
    found = _TEXT.fullmatch(text)
    return found[1] if found else None


def hash_of(text: str) -> str:
    """Return the hash of a token's text, which is random enough to need no salt."""
    return hashlib.sha256(text.encode()).hexdigest()


def matches(token: ApiToken, text: str) -> bool:
    """Return whether the text is the token's, in constant time."""
    return hmac.compare_digest(token.sha256, hash_of(text))
