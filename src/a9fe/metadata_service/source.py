"""Where the service knows instances from, and how much that may be believed."""

from typing import Protocol

from a9fe.metadata.instance_view import Resources
from a9fe.model.user_data import KnownInstance
from a9fe.wire.freshness import Freshness


class Source(Resources, Protocol):
    """What the service asks of a replica. Nothing here waits, `get` raises ReplicaUnreadable."""

    def instance(self, id: str) -> KnownInstance | None:
        """An instance, whose user data need not be read yet. Raises ReplicaUnreadable."""
        ...

    def freshness(self, now: float) -> Freshness:
        """How current it is at `now`, UNIX seconds."""
        ...
