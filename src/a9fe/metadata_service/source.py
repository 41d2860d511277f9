"""Where the service knows instances from, and how much that may be believed."""

from typing import Protocol

from a9fe.metadata.gather import Resources
from a9fe.replica import KnownInstance
from a9fe.wire.refusals import Refusal


class Freshness(Protocol):
    """How much a source may be believed when it does not know something."""

    @property
    def ever_synced(self) -> bool:
        """It has had a complete state once, perhaps before a restart."""
        ...

    @property
    def synced_now(self) -> bool:
        """It follows the server, and is complete."""
        ...

    @property
    def lost_for(self) -> float:
        """Seconds since it last heard of the server."""
        ...


class Source(Resources, Protocol):
    """What the service asks of a replica. Nothing here waits, `get` raises ReplicaUnreadable."""

    def instance(self, id: str) -> KnownInstance | None:
        """An instance, whose user data need not be read yet. Raises ReplicaUnreadable."""
        ...

    def freshness(self, now: float) -> Freshness:
        """How current it is at `now`, UNIX seconds."""
        ...


def doubt(freshness: Freshness, source_lost_after: float) -> Refusal | None:
    """Why what the source does not know may exist all the same; None: it is certain.

    Only a source that is complete at this moment can be certain that something does not exist;
    one that has not heard of the server for over `source_lost_after` seconds is not.
    """
    if freshness.ever_synced and freshness.lost_for > source_lost_after:
        return Refusal.SOURCE_LOST
    return None if freshness.synced_now else Refusal.NOT_SYNCED
