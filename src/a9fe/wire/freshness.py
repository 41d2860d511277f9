"""How up to date a replica is, and when a miss in it is certain. Pure.

A resource that a replica does not have may still exist on the server. Such a miss is certain
only while the replica follows the feed and is complete (docs/contracts/statuses.md):

| replica                                                | a miss is          |
|--------------------------------------------------------|--------------------|
| never complete                                         | 503 NOT_SYNCED     |
| no contact with the server for over source_lost_after  | 503 SOURCE_LOST    |
| does not follow the feed, or is not yet complete again | 503 NOT_SYNCED     |
| follows the feed and is complete                       | certain            |

A certain miss is 404, but only after the server has confirmed it.
"""

from dataclasses import dataclass

from a9fe.wire.refusals import Refusal

NOT_FOUND = 404


@dataclass(slots=True, kw_only=True, unsafe_hash=True)  # frozen ones take 1 us longer to make
class Freshness:
    """How up to date a replica is.

    `ever_synced`: it has been complete once, perhaps before a restart. `synced_now`: it follows
    the feed and is complete. `lost_for`: seconds since it last was; 0.0 now, infinite if never.
    """

    ever_synced: bool
    synced_now: bool
    lost_for: float


def uncertainty(freshness: Freshness, source_lost_after: float) -> Refusal | None:
    """Return why a miss is uncertain, None if it is certain. `source_lost_after` in seconds."""
    if not freshness.ever_synced:
        return Refusal.NOT_SYNCED
    if freshness.lost_for > source_lost_after:
        return Refusal.SOURCE_LOST
    return None if freshness.synced_now else Refusal.NOT_SYNCED


def unconfirmed(refusal: Refusal) -> Refusal:
    """Return the refusal of a miss that the server did not confirm: no 404."""
    return Refusal.UNCONFIRMED if refusal.value.status == NOT_FOUND else refusal
