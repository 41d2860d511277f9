"""The addresses of upstreams that are given by name, kept up to date."""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import structlog

from a9fe.http.upstream.addresses import Addresses
from a9fe.http.upstream.target import Target

LOOKUP_INTERVAL = 30.0  # seconds, as resolvers do not tell how long an answer is valid
RETRY_INTERVAL = 2.0  # seconds, while a look-up fails or no address is up
MAX_ADDRESSES = 16  # of one name; each costs a connection and metrics

Lookup = Callable[[str], Awaitable[Sequence[str]]]
"""Return the addresses of a name. Raises OSError."""

log = structlog.get_logger("a9fe.http")


def is_address(host: str) -> bool:
    """Return whether `host` is an IP address, which may have a zone."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_known(target: Target) -> bool:
    """Return whether the target needs no look-up."""
    return bool(target.path) or is_address(target.host)


def known_now(targets: Sequence[Target]) -> list[Target]:
    """Return the targets that need no look-up."""
    return [target for target in targets if is_known(target)]


async def system_lookup(name: str) -> list[str]:
    """Return the addresses of a name, as the host's resolver orders them. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class Names:
    """Looks up the names among `targets`, and gives all their addresses to `addresses`."""

    def __init__(
        self, targets: Sequence[Target], addresses: Addresses, lookup: Lookup = system_lookup
    ) -> None:
        """No name has an address yet."""
        self._targets = targets
        self._names = list(dict.fromkeys(one.host for one in targets if not is_known(one)))
        self._addresses = addresses
        self._lookup = lookup
        self._found: dict[str, list[str]] = {}
        self._failing: set[str] = set()

    async def keep_up_to_date(self) -> None:
        """Look up again and again, until cancelled. Return at once if there are no names."""
        while self._names:
            await self.look_up()
            is_well = not self._failing and self._addresses.has_other(None)
            await asyncio.sleep(LOOKUP_INTERVAL if is_well else RETRY_INTERVAL)

    async def look_up(self) -> None:
        """Look up all names once. A name that fails keeps its addresses."""
        for name in self._names:
            await self._look_up_one(name)
        self._addresses.replace([one for target in self._targets for one in self._of(target)])

    async def _look_up_one(self, name: str) -> None:
        try:
            self._found[name] = list(dict.fromkeys(await self._lookup(name)))[:MAX_ADDRESSES]
        except OSError as error:
            why = error.strerror or str(error)
            self._addresses.why = f"{name}: {why}"
            if name not in self._failing:
                self._failing.add(name)
                log.warning("cannot look up upstream", name=name, reason=why)
        else:
            self._failing.discard(name)

    def _of(self, target: Target) -> list[Target]:
        if is_known(target):
            return [target]
        found = self._found.get(target.host, [])
        return [replace(target, host=one, name=target.host) for one in found]
