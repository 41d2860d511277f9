"""A replica as the converging loop reads it."""

from collections.abc import Callable, Iterable

from a9fe.host_agent.converger import Change
from a9fe.model.resources import KIND_OF, Resource
from a9fe.wire.freshness import Freshness
from tests.kit.fake_model import FakeModel


class FakeReplica(FakeModel):
    """A replica. With `synced` False it never had a whole snapshot."""

    def __init__(self, resources: Iterable[Resource] = (), *, synced: bool = True) -> None:
        self.told: list[Callable[[Change | None], None]] = []
        super().__init__(resources)
        self.synced = synced

    def freshness(self, now: float) -> Freshness:
        return Freshness(ever_synced=self.synced, synced_now=self.synced, lost_for=0.0)

    def tell(self, changed: Callable[[Change | None], None]) -> Callable[[], None]:
        self.told.append(changed)
        return lambda: self.told.remove(changed)

    def put(self, resource: Resource) -> None:
        before = self.get(KIND_OF[type(resource)], resource.id)
        super().put(resource)
        self.notify((KIND_OF[type(resource)], before, resource))

    def drop(self, resource: Resource) -> None:
        before = self.get(KIND_OF[type(resource)], resource.id)
        super().drop(resource)
        self.notify((KIND_OF[type(resource)], before, None))

    def sync(self) -> None:
        self.synced = True
        self.notify(None)

    def notify(self, change: Change | None) -> None:
        for tell in tuple(self.told):
            tell(change)
