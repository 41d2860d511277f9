"""Guests that wait for a change (GCE's wait_for_change): bounded, woken only by their own changes.

A waiter is a future with a timer and its keys at the replica, so an idle waiter costs no CPU time.
When many waiters are woken together, they continue a few at a time, so that other requests are
answered in between.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Protocol

from a9fe.metadata.instance_view import InstanceView
from a9fe.model.resources import ResourceKey
from a9fe.wire.limits import MAX_WAITERS, MAX_WAITERS_PER_INSTANCE

WOKEN_AT_ONCE = 32  # each renders its document: some ms in all


class ChangeSource(Protocol):
    """A source of changes: the replica."""

    def watch(
        self, keys: Collection[ResourceKey], wake: Callable[[], None], /
    ) -> Callable[[], None]:
        """Call `wake` at each change of one of `keys`, until the returned function is called."""
        ...


def keys_of(view: InstanceView) -> frozenset[ResourceKey]:
    """Return the keys of everything in the view; the instance's key includes its ports."""
    instance = ("instance", view.instance.id)
    networks = (("network", id) for id in view.networks)
    subnets = (("subnet", id) for id in view.subnets)
    groups = (("security_group", id) for port in view.ports for id in port.security_groups)
    return frozenset((instance, *networks, *subnets, *groups))


class Waiter:
    """One waiting request. `changed` completes after a change or at the deadline."""

    __slots__ = ("_waiters", "changed")

    def __init__(self, waiters: "Waiters", loop: asyncio.AbstractEventLoop) -> None:
        """Create it in the waiting state."""
        self._waiters = waiters
        self.changed: asyncio.Future[None] = loop.create_future()

    def wake(self) -> None:
        """Release it in its turn."""
        self._waiters.wake(self)

    def release(self) -> None:
        """Complete `changed` now."""
        if not self.changed.done():
            self.changed.set_result(None)


class Waiters:
    """All waiting requests of this process: at most `most`, and `most_of_one` per instance."""

    def __init__(
        self,
        source: ChangeSource,
        *,
        most: int = MAX_WAITERS,
        most_of_one: int = MAX_WAITERS_PER_INSTANCE,
    ) -> None:
        """`source` reports the changes."""
        self._source = source
        self._most = most
        self._most_of_one = most_of_one
        self._per_instance: Counter[str] = Counter()
        self._count = 0
        self._waiting: set[Waiter] = set()
        self._woken: deque[Waiter] = deque()
        self.closed = False

    def __len__(self) -> int:
        """Return the number of waiting requests."""
        return self._count

    @contextmanager
    def place(self, instance_id: str) -> Iterator[bool]:
        """Take one of the bounded places for the block; yield False if none is free."""
        if self._count >= self._most or self._per_instance[instance_id] >= self._most_of_one:
            yield False
            return
        self._count += 1
        self._per_instance[instance_id] += 1
        try:
            yield True
        finally:
            self._count -= 1
            self._per_instance[instance_id] -= 1
            if not self._per_instance[instance_id]:
                del self._per_instance[instance_id]

    @contextmanager
    def watching(self, keys: Collection[ResourceKey], deadline: float) -> Iterator[Waiter]:
        """Yield a waiter for changes of `keys` from now on, until `deadline` in loop time."""
        loop = asyncio.get_running_loop()
        waiter = Waiter(self, loop)
        timer = loop.call_at(deadline, waiter.release)
        unwatch = self._source.watch(keys, waiter.wake)
        self._waiting.add(waiter)
        try:
            yield waiter
        finally:
            unwatch()
            timer.cancel()
            self._waiting.discard(waiter)

    def wake(self, waiter: Waiter) -> None:
        """Queue a waiter for release, WOKEN_AT_ONCE in each iteration of the loop."""
        if not self._woken:
            asyncio.get_running_loop().call_soon(self._wake_some)
        self._woken.append(waiter)

    async def run(self) -> None:
        """Wait until cancelled, then close: waiting guests are answered before the server ends."""
        try:
            await asyncio.Event().wait()
        finally:
            self.close()

    def close(self) -> None:
        """Release all waiters; from now on no request waits."""
        self.closed = True
        for waiter in self._waiting:
            waiter.release()

    def _wake_some(self) -> None:
        for _ in range(min(WOKEN_AT_ONCE, len(self._woken))):
            self._woken.popleft().release()
        if self._woken:
            asyncio.get_running_loop().call_soon(self._wake_some)
