"""An agent's copies of its listeners in the holder process, which lives on when others are killed.

What the holder has is taken back first; from then on it has what the agent has. The agent works
without it just as well. The holder's side: metadata_proxy.holder.
"""

import asyncio

import structlog

from a9fe.linux.handover import ProxyLink, hello
from a9fe.linux.seqpacket import Broken, Channel

log = structlog.get_logger("a9fe.linux")

PAUSE = 0.2  # s before connecting again


class HolderLink:
    """Mirrors what a ProxyLink has."""

    def __init__(self, path: str, owner: str, proxy: ProxyLink) -> None:
        """`path` of the holder's socket; `owner` as the proxy knows the agent."""
        self._path = path
        self._owner = owner
        self._proxy = proxy
        self._wake = asyncio.Event()
        proxy.mirror(self._wake.set)

    async def run(self) -> None:
        """Keep the holder's copies as ours are for ever; cancel to end. The holder keeps them."""
        while True:
            try:
                await self._connected_once()
            except (OSError, Broken, TimeoutError, ValueError) as error:
                log.debug("listener holder not connected", path=self._path, reason=str(error))
            finally:
                self._proxy.recalled()
            await asyncio.sleep(PAUSE)

    async def _connected_once(self) -> None:
        with Channel(self._path) as channel:
            known = await self._recall(channel)
            self._proxy.recalled()
            while True:
                self._wake.clear()
                await self._mirror(channel, known)
                await channel.idle(self._wake)

    async def _recall(self, channel: Channel) -> dict[str, int]:
        """Take back what it has; the sockets' identities by key.

        What another version gave and we do not understand is let go: we could not bind beside it.
        """
        try:
            found = await hello(channel, self._owner)
        except Broken as error:
            log.warning("dropped unknown sockets of the listener holder", reason=str(error))
            await channel.ask({"op": "clear"})
            return {}
        return {listener.key: self._proxy.adopt(listener, sock) for listener, sock in found}

    async def _mirror(self, channel: Channel, known: dict[str, int]) -> None:
        kept = self._proxy.kept()
        for key in known.keys() - kept.keys():
            await channel.ask({"op": "drop", "key": key})
            del known[key]
        for key, identity in kept.items():
            if known.get(key) == identity:
                continue
            give = self._proxy.copy_of(key)
            if give is None:
                continue
            message, copy = give
            with copy:
                answer = await channel.ask(message, copy)
            known[key] = identity
            if answer.get("op") != "ok":
                log.warning("listener holder refused", key=key, reason=answer.get("message"))
