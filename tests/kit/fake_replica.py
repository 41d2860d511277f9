"""A replica as the converging loop reads it."""

import asyncio
from collections.abc import Iterable

from a9fe.model.resources import Resource
from a9fe.wire.freshness import Freshness
from tests.kit.fake_model import FakeModel


class FakeReplica(FakeModel):
    """A replica. With `synced` False it never had a whole snapshot."""

    def __init__(self, resources: Iterable[Resource] = (), *, synced: bool = True) -> None:
        super().__init__(resources)
        self.synced = synced
        self.changed = asyncio.Event()

    def freshness(self, now: float) -> Freshness:
        return Freshness(ever_synced=self.synced, synced_now=self.synced, lost_for=0.0)

    async def wait_change(self, after_revision: int) -> int:
        if self.revision == after_revision:
            await self.changed.wait()
        return self.revision

    def put(self, resource: Resource) -> None:
        super().put(resource)
        self.notify()

    def drop(self, resource: Resource) -> None:
        super().drop(resource)
        self.notify()

    def sync(self) -> None:
        self.synced = True
        self.notify()

    def notify(self) -> None:
        if hasattr(self, "changed"):
            self.changed.set()
            self.changed = asyncio.Event()
