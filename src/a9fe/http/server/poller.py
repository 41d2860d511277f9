"""Which sockets are ready: one epoll instance, which the event loop watches.

A socket costs the loop nothing, neither a handle nor a system call when it is closed.
"""

import asyncio
import select
from collections.abc import Callable

READ, WRITE = select.EPOLLIN, select.EPOLLOUT
BROKEN = select.EPOLLERR | select.EPOLLHUP  # always reported


class Rounds:
    """How often sockets were polled in this process. What arrives in one round came together."""

    count = 0


ROUNDS = Rounds()

Ready = Callable[[int], None]
"""Called with what a socket is ready for: READ, WRITE, BROKEN."""


class Poller:
    """Calls a function for each socket that is ready, once in each iteration of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start without sockets."""
        self._loop = loop
        self._epoll = select.epoll()
        self._ready: dict[int, Ready] = {}
        loop.add_reader(self._epoll.fileno(), self._poll)

    def watch(self, fd: int, events: int, ready: Ready) -> None:
        """Call `ready` when the socket is ready for one of `events`, or broken."""
        self._epoll.register(fd, events)
        self._ready[fd] = ready

    def change(self, fd: int, events: int) -> None:
        """Watch a socket for other events."""
        self._epoll.modify(fd, events)

    def forget(self, fd: int, *, is_closing: bool = False) -> None:
        """Stop watching. `is_closing`: its only descriptor is closed next, which ends that too."""
        if self._ready.pop(fd, None) is not None and not is_closing:
            self._epoll.unregister(fd)

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call a function after that time."""
        self._loop.call_later(seconds, call)

    def close(self) -> None:
        """Stop watching all; repeating it does nothing."""
        if self._epoll.closed:
            return
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
        self._ready.clear()

    def _poll(self) -> None:
        ROUNDS.count += 1
        for fd, events in self._epoll.poll(0):
            ready = self._ready.get(fd)  # an earlier one of this round may have closed it
            if ready is not None:
                ready(events)
