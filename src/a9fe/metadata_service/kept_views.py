"""Views of instances that are kept while they are current, and what is made from them.

A view reads its instance, the instance's ports, and their networks, subnets and security groups
(`waiters.keys_of`). A change of one of them removes the view at once, before the next request; a
snapshot removes all views. So what is kept belongs to one revision of all that it was made from.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from a9fe.metadata import tree
from a9fe.metadata.instance_view import InstanceView
from a9fe.metadata.rendered import Rendered
from a9fe.metadata.tree import Place
from a9fe.metadata_service.waiters import ChangeSource, keys_of

MOST = 4096  # views in memory, some 4 KiB each without pages
PAGE_BYTES = 32 * 1024 * 1024  # of all views
PAGES = 256  # of one view; guests read some 40
PATH_LENGTH = 128  # characters: guests choose paths


class ViewSource(ChangeSource, Protocol):
    """A source of changes and snapshots: the replica."""

    def tell(self, changed: Callable[[object], None], /) -> Callable[[], None]:
        """Call `changed` at each change; None: a snapshot may have changed all."""
        ...


@dataclass(frozen=True, slots=True)
class Page:
    """A document that is made from a view alone. `unfinished` lacks its random parts."""

    place: Place
    unfinished: Rendered

    def finished(self) -> Rendered:
        """Return the document with its random parts."""
        return tree.finished(self.place, self.unfinished)


@dataclass(slots=True)
class KeptView:
    """A view, and the pages that were read from it, by path. `size`: bytes of the pages.

    `forget` ends watching its resources.
    """

    view: InstanceView
    forget: Callable[[], None] = lambda: None
    pages: dict[str, Page] = field(default_factory=dict)
    size: int = 0


class KeptViews:
    """The views by instance id; of more than `most`, the least recently used is removed.

    A look-up costs the same whatever the number of views. A change costs the views that read the
    changed resource.
    """

    def __init__(self, source: ViewSource, most: int = MOST, page_bytes: int = PAGE_BYTES) -> None:
        """`source` reports the changes from now on. `page_bytes`: most bytes of all pages."""
        self._source = source
        self._most = most
        self._page_bytes = page_bytes
        self.size = 0  # bytes of all pages
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

    def keep_page(self, kept: KeptView, path: str, page: Page) -> None:
        """Keep a page of a view, unless it depends on more than the view."""
        node = page.place.node
        is_current = self._kept.get(kept.view.instance.id) is kept
        if not is_current or (node is not None and node.is_volatile):
            return
        if len(path) > PATH_LENGTH or len(kept.pages) >= PAGES or path in kept.pages:
            return
        kept.pages[path] = page
        size = len(page.unfinished.body)
        kept.size += size
        self.size += size
        while self.size > self._page_bytes:
            self._remove(next(iter(self._kept)))

    def _remove(self, instance_id: str) -> None:
        kept = self._kept.pop(instance_id, None)
        if kept is not None:
            self.size -= kept.size
            kept.forget()

    def _changed(self, change: object) -> None:
        if change is None:
            for id in list(self._kept):
                self._remove(id)
