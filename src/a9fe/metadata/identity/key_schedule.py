"""When a key that signs identities is made, published, used and removed. Pure.

A key is published `lead` before it signs, so that verifiers have fetched it by then, and stays
published until the last token that it signed has expired:

    made, published    signs_from        successor signs    expires_at
    |------- lead -----|---- lifetime ---|---- lead + token lifetime ---|

A successor that cannot be published does not sign. Then the key continues to sign, until one
token lifetime before it expires.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LEAD_MIN = 3600.0
LEAD_SHARE = 0.1  # of the lifetime
PUBLISH_AGAIN = 3600.0
"""Seconds until a key is published again, as a restored database may have lost it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How long a key signs and how long a token is valid, in seconds."""

    lifetime: float
    token_lifetime: float

    @property
    def lead(self) -> float:
        """Seconds from the publication of a key to its first signature."""
        return max(LEAD_MIN, self.lifetime * LEAD_SHARE)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTimes:
    """One key's times, in UNIX seconds. `published_at`: the first time, None if never."""

    id: str
    signs_from: float
    expires_at: float
    published_at: float | None = None


def times_of_next(keys: Iterable[KeyTimes], now: float, policy: Policy) -> tuple[float, float]:
    """Return `signs_from` and `expires_at` of a key made now. The first key signs at once."""
    newest = max((key.signs_from for key in keys), default=None)
    begin = now if newest is None else max(now + policy.lead, newest + policy.lifetime)
    return begin, begin + policy.lifetime + policy.lead + policy.token_lifetime


def is_next_due(keys: Iterable[KeyTimes], now: float, policy: Policy) -> bool:
    """Return whether a key must be made now."""
    newest = max((key.signs_from for key in keys), default=None)
    return newest is None or now >= newest + policy.lifetime - policy.lead


def expired(keys: Iterable[KeyTimes], now: float) -> list[KeyTimes]:
    """Return the keys whose last token has expired."""
    return [key for key in keys if key.expires_at <= now]


def to_sign_with(keys: Sequence[KeyTimes], now: float, policy: Policy) -> KeyTimes | None:
    """Return the key that signs now, None if none may."""
    usable = [key for key in keys if _is_usable(key, now, policy)]
    ripe = [key for key in usable if now >= max(key.signs_from, _published(key) + policy.lead)]
    if ripe:
        return max(ripe, key=lambda key: (key.signs_from, key.id))
    return min(usable, key=lambda key: (key.signs_from, key.id), default=None)


def _is_usable(key: KeyTimes, now: float, policy: Policy) -> bool:
    """Return whether the key is published and outlives a token issued now."""
    return key.published_at is not None and now + policy.token_lifetime <= key.expires_at


def _published(key: KeyTimes) -> float:
    return 0.0 if key.published_at is None else key.published_at
