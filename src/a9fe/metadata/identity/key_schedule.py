"""When a key that signs identities is made, published, used and forgotten. Pure: decisions only.

A key is published `lead` before it signs, so that who verifies has it by then, and stays
published until the last token signed with it has expired:

    made, published    signs_from        successor signs    expires_at
    |------- lead -----|---- lifetime ---|---- lead + token lifetime ---|

A successor that cannot be published does not sign: then the key signs on, up to a token's life
before its own end.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LEAD_MIN = 3600.0
LEAD_SHARE = 0.1  # of the lifetime
PUBLISH_AGAIN = 3600.0
"""Seconds after which a published key is published again: a database may have been restored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How long a key signs and how long a token holds, in seconds."""

    lifetime: float
    token_lifetime: float

    @property
    def lead(self) -> float:
        """How long a key is published before it signs."""
        return max(LEAD_MIN, self.lifetime * LEAD_SHARE)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTimes:
    """One key's times, in UNIX seconds. `published_at`: first, None before."""

    id: str
    signs_from: float
    expires_at: float
    published_at: float | None = None


def times_of_next(keys: Iterable[KeyTimes], now: float, policy: Policy) -> tuple[float, float]:
    """`signs_from` and `expires_at` of a key that is made now. The first one signs at once."""
    newest = max((key.signs_from for key in keys), default=None)
    begin = now if newest is None else max(now + policy.lead, newest + policy.lifetime)
    return begin, begin + policy.lifetime + policy.lead + policy.token_lifetime


def is_next_due(keys: Iterable[KeyTimes], now: float, policy: Policy) -> bool:
    """Whether a key is to be made now."""
    newest = max((key.signs_from for key in keys), default=None)
    return newest is None or now >= newest + policy.lifetime - policy.lead


def expired(keys: Iterable[KeyTimes], now: float) -> list[KeyTimes]:
    """Return the keys whose last token has expired."""
    return [key for key in keys if key.expires_at <= now]


def to_sign_with(keys: Sequence[KeyTimes], now: float, policy: Policy) -> KeyTimes | None:
    """The key that signs now; None: none may."""
    usable = [key for key in keys if _is_usable(key, now, policy)]
    ripe = [key for key in usable if now >= max(key.signs_from, _published(key) + policy.lead)]
    if ripe:
        return max(ripe, key=lambda key: (key.signs_from, key.id))
    return min(usable, key=lambda key: (key.signs_from, key.id), default=None)


def _is_usable(key: KeyTimes, now: float, policy: Policy) -> bool:
    """Published, and so for as long as a token of now lives."""
    return key.published_at is not None and now + policy.token_lifetime <= key.expires_at


def _published(key: KeyTimes) -> float:
    return 0.0 if key.published_at is None else key.published_at
