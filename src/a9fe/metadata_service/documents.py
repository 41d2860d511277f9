"""Documents and listings: plain at once, else after what they need, or after a change."""

import asyncio
from collections.abc import Awaitable, Callable

from a9fe.metadata import tree
from a9fe.metadata.instance_view import InstanceView
from a9fe.metadata.recursive import recursive
from a9fe.metadata.rendered import Rendered
from a9fe.metadata.tree import Place
from a9fe.metadata_service.guest_call import GuestCall, Outcome, Refused, Result
from a9fe.metadata_service.read_options import PLAIN, Wish, outcome, wish_of
from a9fe.metadata_service.waiters import Waiters, keys_of
from a9fe.wire.refusals import Refusal

Prepare = Callable[[InstanceView, frozenset[str]], Awaitable[InstanceView | Refusal]]
"""The view with what entries need (Entry.needs), or why that cannot be had."""
Renew = Callable[[], GuestCall | Refusal]
"""The same call over what is known now."""


async def unprepared(view: InstanceView, _: frozenset[str]) -> InstanceView:
    """Nothing is to be had."""
    return view


class Documents:
    """Answers GET and HEAD."""

    def __init__(
        self,
        waiters: Waiters | None = None,
        *,
        wait_max: float = 0.0,
        prepare: Prepare = unprepared,
    ) -> None:
        """`waiters` None: a change is not waited for. `wait_max` in seconds."""
        self._waiters = waiters
        self._wait_max = wait_max
        self._prepare = prepare

    def answer(self, call: GuestCall, place: Place, renew: Renew) -> Result:
        """The document at `place`, which is that of the call's path."""
        wish = wish_of(call.query, call.request.target) if call.query else PLAIN
        if isinstance(wish, Refused):
            return wish
        waits = wish.wait and wish.last_etag
        if not waits and not _needs(place, wish):
            return outcome(call.request, _form(place, wish))
        return self._changed(wish, renew) if waits else self._prepared(call, wish)

    async def _prepared(self, call: GuestCall, wish: Wish) -> Outcome:
        found = await self._now(call, wish)
        return outcome(call.request, found) if isinstance(found, Rendered) else found

    async def _changed(self, wish: Wish, renew: Renew) -> Outcome:
        call = renew()
        if isinstance(call, Refusal):
            return call
        if self._waiters is None:
            return await self._prepared(call, wish)
        with self._waiters.place(call.view.instance.id) as may_wait:
            if not may_wait:
                return Refusal.TOO_MANY_WAITERS
            found = await self._awaited(self._waiters, wish, renew)
        return outcome(call.request, found) if isinstance(found, Rendered) else found

    async def _awaited(self, waiters: Waiters, wish: Wish, renew: Renew) -> Rendered | Refusal:
        """The document once it differs, or the time is over."""
        loop = asyncio.get_running_loop()
        most = self._wait_max if wish.timeout is None else min(wish.timeout, self._wait_max)
        deadline = loop.time() + most
        while True:
            call = renew()
            if isinstance(call, Refusal):
                return call
            with waiters.watching(keys_of(call.view), deadline) as waiter:
                found = await self._now(call, wish)
                if not isinstance(found, Rendered) or found.etag != wish.last_etag:
                    return found
                if waiters.closed or loop.time() >= deadline:
                    return found
                del call  # a view for each of thousands that wait
                await waiter.changed

    async def _now(self, call: GuestCall, wish: Wish) -> Rendered | Refusal:
        place = tree.find(call.view, call.path)
        if place is None:
            return Refusal.NO_SUCH_PATH
        needs = _needs(place, wish)
        if not needs:
            return _form(place, wish)
        view = await self._prepare(call.view, needs)
        if isinstance(view, Refusal):
            return view
        place = tree.find(view, call.path)
        return Refusal.NO_SUCH_PATH if place is None else _form(place, wish)


def _needs(place: Place, wish: Wish) -> frozenset[str]:
    """What must be had before; a plain directory lists names only."""
    node = place.node
    is_read = node is not None and (wish.recursive or node.entry is not None)
    return node.needs if node is not None and is_read else frozenset()


def _form(place: Place, wish: Wish) -> Rendered:
    return recursive(place) if wish.recursive else tree.rendered(place)
