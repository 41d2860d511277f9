"""Tokens of our own: their text, of which only a hash is kept, and whom one stands for. Pure."""

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
    """What is kept of a token. `role` is admin, member or agent; `host` that of an agent.

    `sha256` is the hash of the whole text, hexadecimal; the text itself is shown once.
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
        """Whom it stands for."""
        return Caller(
            project_id=self.project_id,
            roles=frozenset({self.role}),
            is_admin=self.role == ADMIN,
            host=self.host if self.role == AGENT else "",
        )


def text_of(random_bytes: bytes) -> str:
    """A token's text from RANDOM_BYTES bytes: a9fe_<id>_<secret>."""
    return f"{PREFIX}_{random_bytes[:ID_BYTES].hex()}_{random_bytes[ID_BYTES:].hex()}"


def id_of(text: str) -> str | None:
    """The id in a token's text; None: it is no token of ours."""
    found = _TEXT.fullmatch(text)
    return found[1] if found else None


def hash_of(text: str) -> str:
    """What is kept of the text. It is random enough to need no salt."""
    return hashlib.sha256(text.encode()).hexdigest()


def matches(token: ApiToken, text: str) -> bool:
    """Whether that is the token's text, in a time that tells nothing."""
    return hmac.compare_digest(token.sha256, hash_of(text))
