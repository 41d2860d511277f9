"""Views of instances that are kept while they are current, and what is made from them.

A view reads its instance, the instance's ports, and their networks, subnets and security groups
(`waiters.keys_of`). A change of one of them removes the view at once, before the next request; a
snapshot removes all views. So what is kept belongs to one revision of all that it was made from.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from a9fe.metadata.instance_view import InstanceView
from a9fe.metadata_service.waiters import keys_of
from a9fe.model.resources import Resource, ResourceKey

MOST = 1024  # views in memory, some 4 KiB each without documents

Change = tuple[str, Resource | None, Resource | None]


class ViewSource(Protocol):
    """A source of changes: the replica."""

    def watch(
        self, keys: Collection[ResourceKey], wake: Callable[[], None], /
    ) -> Callable[[], None]:
        """Call `wake` at each change of one of `keys`, until the returned function is called."""
        ...

    def tell(self, changed: Callable[[Change | None], None], /) -> Callable[[], None]:
        """Call `changed` at each change; None: a snapshot may have changed all."""
        ...


@dataclass(slots=True)
class KeptView:
    """A view, and what is made from it alone. `forget` ends watching its resources."""

    view: InstanceView
    forget: Callable[[], None]
    made: dict[bytes, object] = field(default_factory=dict)


class KeptViews:
    """The views by instance id; of more than `most`, the least recently used is removed.

    A look-up costs the same whatever the number of views. A change costs the views that read the
    changed resource.
    """

    def __init__(self, source: ViewSource, most: int = MOST) -> None:
        """`source` reports the changes from now on."""
        self._source = source
        self._most = most
        self._kept: OrderedDict[str, KeptView] = OrderedDict()
        source.tell(self._changed)

    def __len__(self) -> int:
        """Return the number of views."""
        return len(self._kept)

    def get(self, instance_id: str) -> KeptView | None:
        """Return what is kept of an instance; None if nothing is, or it is no longer current."""
        found = self._kept.get(instance_id)
        if found is not None:
            self._kept.move_to_end(instance_id)
        return found

    def keep(self, view: InstanceView) -> KeptView:
        """Keep a view that was just made, in place of an older one of its instance."""
        id = view.instance.id
        self._remove(id)
        kept = KeptView(view, self._source.watch(keys_of(view), partial(self._remove, id)))
        self._kept[id] = kept
        if len(self._kept) > self._most:
            self._remove(next(iter(self._kept)))
        return kept

    def _remove(self, instance_id: str) -> None:
        kept = self._kept.pop(instance_id, None)
        if kept is not None:
            kept.forget()

    def _changed(self, change: Change | None) -> None:
        if change is None:
            for id in list(self._kept):
                self._remove(id)
