"""Watchers of resources: a change wakes only those that watch the resource.

A key is a kind and an id. The key ("instance", id) stands for an instance and all its ports.
"""

from collections.abc import Callable, Collection, Iterator

from a9fe.model.resources import Port, Resource, ResourceKey
from a9fe.replica.state import State

Wake = Callable[[], None]

PORT, DEVICE = "port", "instance"


class Watchers:
    """Callables by the keys that they watch; called at once, in the event loop's thread."""

    def __init__(self) -> None:
        """Start without watchers."""
        self._by_key: dict[ResourceKey, set[Wake]] = {}

    def add(self, keys: Collection[ResourceKey], wake: Wake) -> Callable[[], None]:
        """Call `wake` at each change of one of `keys`, until the returned function is called."""
        for key in keys:
            self._by_key.setdefault(key, set()).add(wake)

        def forget() -> None:
            for key in keys:
                waiting = self._by_key.get(key)
                if waiting is not None:
                    waiting.discard(wake)
                    if not waiting:
                        del self._by_key[key]

        return forget

    def __len__(self) -> int:
        """Return the number of keys that are watched."""
        return len(self._by_key)

    def changed(self, key: ResourceKey, before: Resource | None, after: Resource | None) -> None:
        """Wake the watchers of a resource that was created, changed or deleted."""
        if not self._by_key:
            return
        self._wake(key)
        devices = {port.device_id for port in (before, after) if isinstance(port, Port)}
        for device in devices - {""}:
            self._wake((DEVICE, device))

    def replaced(self, before: State, after: State) -> None:
        """After a snapshot, wake the watchers whose resources differ."""
        for key in [key for key in self._by_key if _differ(key, before, after)]:
            self._wake(key)

    def _wake(self, key: ResourceKey) -> None:
        for wake in tuple(self._by_key.get(key, ())):
            wake()


def _differ(key: ResourceKey, before: State, after: State) -> bool:
    return list(_known(key, before)) != list(_known(key, after))


def _known(key: ResourceKey, state: State) -> Iterator[object]:
    kind, id = key
    entry = state.entry(kind, id)
    yield entry and (entry.resource, entry.has_user_data)
    if kind == DEVICE:
        yield {port.id: port for port in state.by_device.find(id)}
