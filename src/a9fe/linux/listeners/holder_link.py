"""The host agent's link to the listener holder, which outlives the other processes.

The agent first takes its sockets back from the holder, then gives it each listener that it opens.
It also works without a holder. The holder's side: metadata_proxy.listener_holder.
"""

import asyncio

import structlog

from a9fe.linux.listeners.proxy_link import ProxyLink
from a9fe.linux.listeners.seqpacket import Broken, Channel, Ended
from a9fe.wire.handover import Clear, Drop, Give, Refused

log = structlog.get_logger("a9fe.linux")

PAUSE = 0.2  # s before connecting again


class HolderLink:
    """Mirrors the listeners of a ProxyLink to the holder."""

    def __init__(self, path: str, owner: str, proxy: ProxyLink) -> None:
        """`path`: the holder's control socket. `owner`: the agent's name for the proxy."""
        self._path = path
        self._owner = owner
        self._proxy = proxy
        self._wake = asyncio.Event()
        proxy.mirror(self._wake.set)

    async def run(self) -> None:
        """Mirror our listeners to the holder; cancel to end. The holder then keeps its copies."""
        while True:
            try:
                await self._connected_once()
            except (OSError, Broken, TimeoutError, ValueError) as error:
                log.debug("listener holder not connected", path=self._path, reason=str(error))
            finally:
                self._proxy.recalled()
            await asyncio.sleep(PAUSE)

    async def _connected_once(self) -> None:
        with Channel.connect(self._path) as channel:
            known = await self._recall(channel)
            self._proxy.recalled()
            while True:
                self._wake.clear()
                await self._mirror(channel, known)
                await channel.idle(self._wake)

    async def _recall(self, channel: Channel) -> dict[str, int]:
        """Take the holder's sockets back. Return their identities by key.

        If another version handed over a listener that cannot be parsed, have the holder drop all,
        because we could not bind to the same addresses, and raise Broken.
        """
        try:
            found = await channel.hello(self._owner)
        except Ended:
            raise
        except Broken as error:
            log.warning("dropped unknown sockets of the listener holder", reason=str(error))
            await channel.ask(Clear())
            raise
        return {listener.key: self._proxy.adopt(listener, sock) for listener, sock in found}

    async def _mirror(self, channel: Channel, known: dict[str, int]) -> None:
        kept = self._proxy.kept()
        for key in known.keys() - kept.keys():
            await channel.ask(Drop(key=key))
            del known[key]
        for key, identity in kept.items():
            if known.get(key) == identity:
                continue
            give = self._proxy.copy_of(key)
            if give is None:
                continue
            listener, copy = give
            with copy:
                reply = await channel.ask(Give(listener=listener), [copy])
            known[key] = identity
            if isinstance(reply, Refused):
                log.warning("listener holder refused", key=key, reason=reply.message)
