"""Reads of documents and listings: at once, after fetching what they need, or after a change."""

import asyncio
from collections.abc import Awaitable, Callable

from a9fe.metadata import tree
from a9fe.metadata.instance_view import InstanceView
from a9fe.metadata.recursive import recursive
from a9fe.metadata.rendered import Rendered
from a9fe.metadata.tree import Place
from a9fe.metadata_service.guest_call import DetailedRefusal, GuestCall, Outcome, Result
from a9fe.metadata_service.kept_views import Page
from a9fe.metadata_service.read_options import DEFAULT, ReadOptions, conditional, read_options
from a9fe.metadata_service.waiters import Waiters, keys_of
from a9fe.wire.refusals import Refusal

Prepare = Callable[[InstanceView, frozenset[str]], Awaitable[InstanceView | Refusal]]
"""Return the view with what entries need (Entry.needs), or why it cannot be fetched."""
Refresh = Callable[[], GuestCall | Refusal]
"""Return the same call with the instance's present view."""


Keep = Callable[[Page], None]


def keep_nothing(_: Page) -> None:
    """Keep no page."""


async def unprepared(view: InstanceView, _: frozenset[str]) -> InstanceView:
    """Return the view as it is: nothing can be fetched."""
    return view


class DocumentReader:
    """Answers GET and HEAD."""

    def __init__(
        self,
        waiters: Waiters | None = None,
        *,
        wait_max: float = 0.0,
        prepare: Prepare = unprepared,
    ) -> None:
        """Without `waiters`, requests to wait are answered at once. `wait_max` in seconds."""
        self._waiters = waiters
        self._wait_max = wait_max
        self._prepare = prepare

    def answer(
        self, call: GuestCall, place: Place, refresh: Refresh, keep: Keep = keep_nothing
    ) -> Result:
        """Return the document at `place`, the place of the call's path.

        `keep` gets the page, if it is the same for each request by this path.
        """
        options = read_options(call.query, call.request.target) if call.query else DEFAULT
        if isinstance(options, DetailedRefusal):
            return options
        waits = options.wait and options.last_etag
        if not waits and not _needs(place, options):
            if options is not DEFAULT:
                return conditional(call.request, _rendered(place, options))
            page = Page(place, tree.unfinished(place))
            keep(page)
            return conditional(call.request, page.finished())
        return self._changed(options, refresh) if waits else self._prepared(call, options)

    async def _prepared(self, call: GuestCall, options: ReadOptions) -> Outcome:
        found = await self._read(call, options)
        return conditional(call.request, found) if isinstance(found, Rendered) else found

    async def _changed(self, options: ReadOptions, refresh: Refresh) -> Outcome:
        call = refresh()
        if isinstance(call, Refusal):
            return call
        if self._waiters is None:
            return await self._prepared(call, options)
        with self._waiters.place(call.view.instance.id) as may_wait:
            if not may_wait:
                return Refusal.TOO_MANY_WAITERS
            found = await self._wait(self._waiters, options, refresh)
        return conditional(call.request, found) if isinstance(found, Rendered) else found

    async def _wait(
        self, waiters: Waiters, options: ReadOptions, refresh: Refresh
    ) -> Rendered | Refusal:
        """Return the document once its tag differs from `last_etag`, or when the time is over."""
        loop = asyncio.get_running_loop()
        asked = self._wait_max if options.timeout is None else options.timeout
        deadline = loop.time() + min(asked, self._wait_max)
        while True:
            call = refresh()
            if isinstance(call, Refusal):
                return call
            with waiters.watching(keys_of(call.view), deadline) as waiter:
                found = await self._read(call, options)
                if not isinstance(found, Rendered) or found.etag != options.last_etag:
                    return found
                if waiters.closed or loop.time() >= deadline:
                    return found
                del call  # thousands may wait: keep no view for each
                await waiter.changed

    async def _read(self, call: GuestCall, options: ReadOptions) -> Rendered | Refusal:
        place = tree.find(call.view, call.path)
        if place is None:
            return Refusal.NO_SUCH_PATH
        needs = _needs(place, options)
        if not needs:
            return _rendered(place, options)
        view = await self._prepare(call.view, needs)
        if isinstance(view, Refusal):
            return view
        place = tree.find(view, call.path)
        return Refusal.NO_SUCH_PATH if place is None else _rendered(place, options)


def _needs(place: Place, options: ReadOptions) -> frozenset[str]:
    """Return what must be fetched first; a plain listing has names only and needs nothing."""
    node = place.node
    is_read = node is not None and (options.recursive or node.entry is not None)
    return node.needs if node is not None and is_read else frozenset()


def _rendered(place: Place, options: ReadOptions) -> Rendered:
    return recursive(place) if options.recursive else tree.rendered(place)
