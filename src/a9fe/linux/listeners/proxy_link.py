"""The host agent's link to the metadata proxy (docs/contracts/listener-hand-over.md).

An agent opens a listener's socket in its namespace, keeps it, and gives the proxy a copy. As both
hold it, either may restart while the kernel queues connections: a restarted agent gets its sockets
back in answer to `hello`, a restarted proxy is given all again. The proxy's side:
metadata_proxy.control.

Sockets of a deleted namespace are recognised by its number (SO_NETNS_COOKIE) and dropped, so that
they do not keep it alive.
"""

import asyncio
import socket
import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import replace

import structlog

from a9fe.linux.kernel import namespace
from a9fe.linux.listeners import sockets as listeners
from a9fe.linux.listeners.identity import identity
from a9fe.linux.listeners.kept import Held, Kept
from a9fe.linux.listeners.seqpacket import Broken, Channel
from a9fe.model.errors import A9feError
from a9fe.runtime import failpoints
from a9fe.wire.handover import Drop, Give, Refused
from a9fe.wire.message import Listener

log = structlog.get_logger("a9fe.linux")

FIRST_PAUSE = 0.05  # s before connecting again
LAST_PAUSE = 1.0  # s
OPEN_TIMEOUT = 3.0  # s that `open` waits to be acknowledged


class HandoverError(A9feError):
    """The proxy refused a listener, or is not connected."""


class ProxyLink:
    """The listeners of an agent, given to the proxy and again to each restarted proxy.

    Thread-safe, except for `run`.
    """

    def __init__(
        self,
        path: str,
        owner: str,
        *,
        backlog: int = 4096,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """`path` of the proxy's control socket; `owner` "l3_agent" or "dhcp_agent".

        `changed` is called in the event loop's thread when the proxy connects or disconnects.
        """
        self._path = path
        self._owner = owner
        self._backlog = backlog
        self._changed = changed
        self._held = Kept()
        self._dropped: set[str] = set()
        self._refused: dict[str, str] = {}
        self._synced = False
        self._waited = False
        self._state = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._wake = asyncio.Event()
        self._settled = asyncio.Event()
        self._mirrors: list[Callable[[], None]] = []
        self._recalled = True  # the listener holder, if any, has given our sockets back

    # For linux.host, from any thread.

    def open(self, listener: Listener) -> None:
        """Have the proxy serve a listener. Raises HandoverError if it does not confirm in time.

        The socket is kept all the same, and given when the proxy connects.
        """
        cookie = namespace.cookie(listener.namespace)
        with self._state:
            self._wait_for_proxy()
            held = self._held.get(listener.key)
            if held is not None and _is_only_renamed(held, listener, cookie):
                self._held[listener.key] = replace(held, listener=listener, acknowledged=False)
            elif held is None or not _is_for(held, listener, cookie):
                self._replace(listener, cookie)
            self._refused.pop(listener.key, None)
            self._notify()
            self._wait(lambda: self._is_settled(listener.key))
            self._require_acknowledged(listener)

    def close(self, listener: Listener) -> None:
        """Have the proxy drop a listener, now or when it connects. Raises nothing."""
        with self._state:
            self._forget(listener.key)
            self._notify()
            self._wait(lambda: listener.key not in self._dropped)

    def observed(
        self, cookies: Mapping[str, int], spaces: Collection[str] | None = None
    ) -> dict[str, frozenset[Listener]]:
        """Return the listeners that the proxy holds now in `spaces`, None for all, by namespace.

        `cookies` are the numbers of those that exist. Drops sockets of former namespaces and
        sockets bound to a deleted device. O(listeners in `spaces`).
        """
        with self._state:
            looked = self._held if spaces is None else self._held.within(spaces)
            gone = [
                key
                for key, held in looked.items()
                if not _is_for(held, held.listener, cookies.get(held.listener.namespace, 0))
            ]
            for key in gone:
                self._forget(key)
            if gone:
                self._notify()
            found: dict[str, set[Listener]] = {}
            for key, held in looked.items():
                if held.acknowledged and key in self._held:
                    found.setdefault(held.listener.namespace, set()).add(held.listener)
            return {name: frozenset(all_) for name, all_ in found.items()}

    # For holder_link.HolderLink, in the event loop.

    def mirror(self, changed: Callable[[], None]) -> None:
        """Call `changed` in the event loop when the kept sockets change; wait for `recalled`."""
        self._mirrors.append(changed)
        self._recalled = False

    def adopt(self, listener: Listener, sock: socket.socket) -> int:
        """Keep a returned socket, unless its key has one. Return the returned one's identity."""
        number = identity(sock)
        with self._state:
            if listener.key in self._held:
                sock.close()
            else:
                self._keep(listener, sock, acknowledged=False)
                self._notify()
        return number

    async def settled(self) -> None:
        """Wait, at most OPEN_TIMEOUT, until proxy and holder have given our sockets back."""
        with suppress(TimeoutError):
            async with asyncio.timeout(OPEN_TIMEOUT):
                await self._settled.wait()
        self._waited = True

    def recalled(self) -> None:
        """Note that all returned sockets have been adopted."""
        with self._state:
            first, self._recalled = not self._recalled, True
            self._state.notify_all()
        self._note_settled()
        if first:
            self._changed()

    def kept(self) -> dict[str, int]:
        """Return the identities of all kept sockets, by key."""
        with self._state:
            return {key: held.number for key, held in self._held.items()}

    def copy_of(self, key: str) -> tuple[Listener, socket.socket] | None:
        """Return a listener and a copy of its socket; None if it is not kept."""
        with self._state:
            held = self._held.get(key)
            if held is None:
                return None
            return held.listener, held.sock.dup()

    @property
    def connected(self) -> bool:
        """Return whether the proxy is connected and has answered `hello`."""
        return self._synced

    # The connection to the proxy, in the event loop.

    async def run(self) -> None:
        """Keep connected until cancelled. The proxy keeps the listeners then."""
        self._loop, self._loop_thread = asyncio.get_running_loop(), threading.get_ident()
        pause = FIRST_PAUSE
        try:
            while True:
                try:
                    await self._connected_once()
                    pause = FIRST_PAUSE
                except (OSError, Broken, TimeoutError, ValueError) as error:
                    was = self._disconnected()
                    pause = FIRST_PAUSE if was else min(pause * 2, LAST_PAUSE)
                    level = log.warning if was else log.debug
                    level("metadata proxy not connected", path=self._path, reason=str(error))
                await asyncio.sleep(pause)
        finally:
            self._disconnected()
            self._loop = None

    async def _connected_once(self) -> None:
        with Channel.connect(self._path) as channel:
            await self._hello(channel)
            log.info("metadata proxy connected", path=self._path, listeners=len(self._held))
            self._changed()
            while True:
                self._wake.clear()
                await self._drop_all(channel)
                await self._give_all(channel)
                await channel.idle(self._wake)

    async def _hello(self, channel: Channel) -> None:
        """Ask what the proxy holds, and take back the sockets that we do not have."""
        found = await channel.hello(self._owner)
        with self._state:
            for listener, sock in found:
                self._take_back(listener, sock)
            self._synced = True
            self._notify()
            self._state.notify_all()
        self._note_settled()

    def _note_settled(self) -> None:
        if self._synced and self._recalled:
            self._settled.set()

    async def _drop_all(self, channel: Channel) -> None:
        with self._state:
            keys = sorted(self._dropped)
        for key in keys:
            await channel.ask(Drop(key=key))
            with self._state:
                self._dropped.discard(key)
                self._state.notify_all()

    async def _give_all(self, channel: Channel) -> None:
        with self._state:
            new = [
                held
                for key, held in self._held.items()
                if not held.acknowledged and key not in self._refused
            ]
        for held in sorted(new, key=lambda held: held.listener.key):
            await self._give(channel, held)

    async def _give(self, channel: Channel, held: Held) -> None:
        """Give a copy of a socket: another thread may close the socket meanwhile."""
        with self._state:
            if self._held.get(held.listener.key) is not held:
                return
            copy = held.sock.dup()
        failpoints.reached("hand-over")
        with copy:
            reply = await channel.ask(Give(listener=held.listener), [copy])
        with self._state:
            if isinstance(reply, Refused):
                self._refused[held.listener.key] = reply.message
            else:
                held.acknowledged = True
            self._state.notify_all()

    # The state; call these with the lock held.

    def _take_back(self, listener: Listener, sock: socket.socket) -> None:
        ours = self._held.get(listener.key)
        if ours is not None:
            ours.acknowledged = ours.number == identity(sock)
            sock.close()
        else:
            self._keep(listener, sock, acknowledged=True)

    def _keep(self, listener: Listener, sock: socket.socket, *, acknowledged: bool) -> None:
        sock.settimeout(0)
        space = namespace.socket_cookie(sock)  # its namespace may be deleted: see `observed`
        self._held[listener.key] = Held(
            listener=listener, sock=sock, space=space, acknowledged=acknowledged
        )

    def _replace(self, listener: Listener, cookie: int) -> None:
        """Close our old copy, then have the proxy drop its copy: both hold the address."""
        old = self._held.take(listener.key)
        if old is not None:
            old.sock.close()
            if old.space == cookie:
                self._drop_and_wait(listener.key)
        self._dropped.discard(listener.key)
        sock = listeners.open_socket(listener, self._backlog)
        self._held[listener.key] = Held(listener=listener, sock=sock, space=cookie)

    def _drop_and_wait(self, key: str) -> None:
        self._dropped.add(key)
        self._notify()
        self._wait(lambda: key not in self._dropped)

    def _forget(self, key: str) -> None:
        held = self._held.take(key)
        if held is not None:
            held.sock.close()
        if self._synced:  # else the answer to hello shows what the proxy must drop
            self._dropped.add(key)

    def _is_settled(self, key: str) -> bool:
        held = self._held.get(key)
        return held is None or held.acknowledged or key in self._refused

    def _require_acknowledged(self, listener: Listener) -> None:
        held = self._held.get(listener.key)
        if held is not None and held.acknowledged:
            return
        refused = self._refused.get(listener.key)
        if refused is not None:
            raise HandoverError(f"listener {listener.key}: the proxy refused it: {refused}")
        raise HandoverError(
            f"listener {listener.key}: open, but the metadata proxy at {self._path} has not taken"
            " it yet; connections wait"
        )

    def _disconnected(self) -> bool:
        """Mark all listeners as not acknowledged. Return whether the proxy was connected."""
        with self._state:
            was, self._synced = self._synced, False
            for held in self._held.values():
                held.acknowledged = False
            self._dropped.clear()  # the next hello shows what the proxy must drop
            self._refused.clear()
            self._state.notify_all()
        if was:
            self._changed()
        return was

    def _wait(self, done: Callable[[], bool]) -> None:
        """Wait for the event loop, unless this is its thread or the proxy is not connected."""
        if self._loop is None or threading.get_ident() == self._loop_thread:
            return
        if self._synced:
            self._state.wait_for(lambda: done() or not self._synced, OPEN_TIMEOUT)

    def _wait_for_proxy(self) -> None:
        """Wait, once, for the listeners that the proxy or the holder may give back."""
        if threading.get_ident() == self._loop_thread or self._waited:
            return
        self._waited = True
        self._state.wait_for(lambda: self._synced and self._recalled, OPEN_TIMEOUT)

    def _notify(self) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has been closed
                for wake in (self._wake.set, *self._mirrors):
                    self._loop.call_soon_threadsafe(wake)


def _is_only_renamed(held: Held, listener: Listener, cookie: int) -> bool:
    """Return whether a kept socket can serve this listener, which serves another resource.

    Not one of a device: connections that wait on it belong to the network that it is wired to.
    """
    return held.space == cookie and held.listener != listener and not listener.device


def _is_for(held: Held, listener: Listener, cookie: int) -> bool:
    """Return whether a kept socket is this listener's, in the namespace with this number."""
    return (
        held.space == cookie
        and held.listener == listener
        and listeners.is_bound(held.sock, listener)
    )
