"""The transaction that an operation runs in, with its caller, configuration and time."""

import secrets
import uuid
from dataclasses import dataclass

from a9fe.model.policy import Caller
from a9fe.model.rules import addresses as rules
from a9fe.model.rules.scheduling import timestamp
from a9fe.runtime.config import Config
from a9fe.store import Session

Json = dict[str, object]
"""An object of an answer, as JSON shows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One database transaction of one caller; `now` in UNIX seconds."""

    session: Session
    config: Config
    now: float
    caller: Caller

    @property
    def project_id(self) -> str:
        """The caller's project."""
        return self.caller.project_id

    @property
    def at(self) -> str:
        """`now` as ISO 8601 in UTC."""
        return timestamp(self.now)

    def random_mac(self) -> str:
        """Return a random MAC with the prefix of base_mac."""
        return rules.random_mac(self.config.base_mac, secrets.token_bytes(6))


def new_id() -> str:
    """Return a random UUID for a new resource."""
    return str(uuid.uuid4())
