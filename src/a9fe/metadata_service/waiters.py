"""Guests that wait for a change (GCE's wait_for_change): counted, bounded, woken only by theirs.

A waiter is a future with a timer, and its keys at the replica. While nothing changes none of them
costs anything. When much changes at once, they are woken a few at a time, so that others are
answered in between.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Protocol

from a9fe.metadata.instance_view import InstanceView
from a9fe.wire.limits import MAX_WAITERS, MAX_WAITERS_PER_INSTANCE

WOKEN_AT_ONCE = 32  # each renders its document: some ms in all

Key = tuple[str, str]


class Watched(Protocol):
    """What tells of changes: a replica."""

    def watch(self, keys: Collection[Key], wake: Callable[[], None], /) -> Callable[[], None]:
        """Call `wake` at each change of one of `keys`; the result ends that."""
        ...


def keys_of(view: InstanceView) -> frozenset[Key]:
    """All that a view is made of. Its ports come with the instance."""
    instance = ("instance", view.instance.id)
    networks = (("network", id) for id in view.networks)
    subnets = (("subnet", id) for id in view.subnets)
    groups = (("security_group", id) for port in view.ports for id in port.security_groups)
    return frozenset((instance, *networks, *subnets, *groups))


class Waiter:
    """One that waits: `changed` is set once something may be other, or the time is over."""

    __slots__ = ("_waiters", "changed")

    def __init__(self, waiters: "Waiters", loop: asyncio.AbstractEventLoop) -> None:
        """Not woken yet."""
        self._waiters = waiters
        self.changed: asyncio.Future[None] = loop.create_future()

    def wake(self) -> None:
        """Let it look again, when it is its turn."""
        self._waiters.wake(self)

    def release(self) -> None:
        """Let it look again now."""
        if not self.changed.done():
            self.changed.set_result(None)


class Waiters:
    """All that wait in this process, at most `most`, and of one instance `most_of_one`."""

    def __init__(
        self,
        watched: Watched,
        *,
        most: int = MAX_WAITERS,
        most_of_one: int = MAX_WAITERS_PER_INSTANCE,
    ) -> None:
        """Nobody waits."""
        self._watched = watched
        self._most = most
        self._most_of_one = most_of_one
        self._of: Counter[str] = Counter()
        self._count = 0
        self._waiting: set[Waiter] = set()
        self._woken: deque[Waiter] = deque()
        self.closed = False

    def __len__(self) -> int:
        """How many wait."""
        return self._count

    @contextmanager
    def place(self, instance_id: str) -> Iterator[bool]:
        """A place to wait; false: there is none."""
        if self._count >= self._most or self._of[instance_id] >= self._most_of_one:
            yield False
            return
        self._count += 1
        self._of[instance_id] += 1
        try:
            yield True
        finally:
            self._count -= 1
            self._of[instance_id] -= 1
            if not self._of[instance_id]:
                del self._of[instance_id]

    @contextmanager
    def watching(self, keys: Collection[Key], deadline: float) -> Iterator[Waiter]:
        """A waiter for changes of `keys` from now on, until `deadline` in loop time."""
        loop = asyncio.get_running_loop()
        waiter = Waiter(self, loop)
        timer = loop.call_at(deadline, waiter.release)
        forget = self._watched.watch(keys, waiter.wake)
        self._waiting.add(waiter)
        try:
            yield waiter
        finally:
            forget()
            timer.cancel()
            self._waiting.discard(waiter)

    def wake(self, waiter: Waiter) -> None:
        """Its turn will come."""
        if not self._woken:
            asyncio.get_running_loop().call_soon(self._wake_some)
        self._woken.append(waiter)

    def close(self) -> None:
        """All get what there is now, and nobody waits any more."""
        self.closed = True
        for waiter in self._waiting:
            waiter.release()

    def _wake_some(self) -> None:
        for _ in range(min(WOKEN_AT_ONCE, len(self._woken))):
            self._woken.popleft().release()
        if self._woken:
            asyncio.get_running_loop().call_soon(self._wake_some)
